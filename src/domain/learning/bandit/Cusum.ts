/**
 * One step of a one-sided CUSUM: how far standardised residuals have drifted upwards beyond `slack` each. Feed it the
 * negated residual for the other side. Page, Continuous inspection schemes, Biometrika 41 (1954).
 */
export const drift = (sum: number, residual: number, slack: number): number => Math.max(0, sum + residual - slack)
