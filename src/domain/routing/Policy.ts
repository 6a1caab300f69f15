/**
 * What a configuration may name: `auto` is `thompson`; `static` is the order of the configuration; the others choose by the
 * same fold in another way.
 */
export const policyAlgorithms = ["auto", "thompson", "ucb", "epsilon-greedy", "squarecb", "random", "static"] as const
export type PolicyAlgorithm = (typeof policyAlgorithms)[number]

/** Whether the choice serves, or is made and logged while one model serves. */
export const policyModes = ["serve", "observe"] as const
