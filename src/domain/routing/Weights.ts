/** What a caller cares about; each in [0, 1], sum above 0. They are normalised to sum 1 before use. */
export interface Weights {
  readonly quality: number
  readonly cost: number
  readonly latency: number
}

export const preferenceNames = ["balanced", "quality", "cost", "speed"] as const
export type Preference = (typeof preferenceNames)[number]

export const preferences = {
  balanced: { quality: 0.7, cost: 0.2, latency: 0.1 },
  quality: { quality: 0.8, cost: 0.1, latency: 0.1 },
  cost: { quality: 0.4, cost: 0.5, latency: 0.1 },
  speed: { quality: 0.4, cost: 0.1, latency: 0.5 }
} as const satisfies Record<Preference, Weights>

/** The same proportions with sum 1. */
export const normalise = (weights: Weights): Weights => {
  const sum = weights.quality + weights.cost + weights.latency
  // Whoever wrote 0.7, 0.2 and 0.1 sees just that again.
  if (Math.abs(sum - 1) < 1e-9) return { ...weights }
  return { quality: weights.quality / sum, cost: weights.cost / sum, latency: weights.latency / sum }
}
