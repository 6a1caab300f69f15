import * as Context from "effect/Context"

/** Turns the text of a prompt into the base features that the bandit learns on. */
export interface FeatureExtractorShape {
  /** Part of every decision and of the policy's fingerprint: another version is another state. */
  readonly version: string
  /** Length of the vector; the first coordinate is 1. */
  readonly dimension: number
  /** Never fails; reads a bounded part of the text. */
  readonly extract: (text: string) => Float32Array
}

export class FeatureExtractor extends Context.Tag("conduit/services/FeatureExtractor")<
  FeatureExtractor,
  FeatureExtractorShape
>() {}
