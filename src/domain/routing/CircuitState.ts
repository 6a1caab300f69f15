/** Of a model's circuit: `open` lets nothing through, `half_open` one request whose end decides. */
export const circuitStates = ["closed", "open", "half_open"] as const
export type CircuitState = (typeof circuitStates)[number]
