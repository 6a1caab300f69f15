/** The request at which models are compared before anything was observed: tokens in and out. */
export const referenceTokens = { input: 500, output: 300 } as const

/** The latency whose score is 1/2, seconds; and what a model takes as long as nobody knows. */
export const referenceLatencySeconds = 2

/** The score of what nobody stated, and the quality of a model that nobody judged. */
export const neutral = 0.5
