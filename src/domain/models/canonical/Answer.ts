import type { TokenUsage } from "../../routing/Usage.ts"
import type { Conversation, Part } from "./Conversation.ts"

/**
 * Why an answer ended. `end`: by itself; `sequence`: at one of the caller's; `filter`: a filter cut it; `refusal`: the model
 * declined; `pause`: the upstream wants to be asked on; `window`: the context window is full.
 */
export const stopReasons = ["end", "length", "calls", "sequence", "filter", "refusal", "pause", "window"] as const
export type StopReason = (typeof stopReasons)[number]

export interface Stop {
  readonly reason: StopReason
  /** The stop sequence that was met. */
  readonly sequence: string | null
}

/** A whole answer, whatever protocol it came in. */
export interface Answer {
  readonly parts: ReadonlyArray<Part>
  readonly stop: Stop
  /** Null where nobody counted. */
  readonly usage: TokenUsage | null
}

/** How the client knows its answer, and what it had asked. */
export interface About {
  /** In the form of the client's protocol. */
  readonly id: string
  /** The model's id in Conduit. */
  readonly model: string
  readonly createdSeconds: number
  readonly conversation: Conversation
  /** Estimated: what is told before the upstream has counted. */
  readonly inputTokens: number
}
