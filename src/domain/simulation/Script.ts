import type { ScenarioName } from "./Scenario.ts"
import { type Topic, topics } from "./Topic.ts"

/** What can go wrong with a simulated call. The numbers are the HTTP status of the answer. */
export const faults = ["400", "429", "500", "slow_first_token", "cut", "no_done", "bad_json", "hang"] as const
export type Fault = (typeof faults)[number]

/** How a simulated model behaves. */
export interface ModelScript {
  /** The name that callers use. */
  readonly name: string
  /** Mean quality by topic, [0, 1]. */
  readonly quality: Readonly<Record<Topic, number>>
  /** Mean time to the first token, milliseconds. */
  readonly firstTokenMs: number
  /** Infinity is allowed: the whole answer at once. */
  readonly tokensPerSecond: number
  /** Mean length of an answer. */
  readonly answerTokens: number
  readonly inputUsdPerMTok: number
  readonly outputUsdPerMTok: number
  readonly contextWindow: number
  /** What `GET /v1/models` says of it besides OpenAI's members, as it is sent. */
  readonly listed?: Readonly<Record<string, unknown>>
  /** What it does on the wire, unless the request says. */
  readonly scenario?: ScenarioName
  /** Probability of each fault, tried in this order. */
  readonly faults: Readonly<Partial<Record<Fault, number>>>
}

/** The same quality for every topic. */
export const evenQuality = (quality: number): Readonly<Record<Topic, number>> => ({
  code: quality,
  math: quality,
  translation: quality,
  writing: quality,
  facts: quality,
  chat: quality
})

/** The mean over the topics: what a published benchmark would say. */
export const meanQuality = (script: ModelScript): number =>
  topics.reduce((sum, topic) => sum + script.quality[topic], 0) / topics.length
