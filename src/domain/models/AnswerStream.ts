import type { ErrorSaid } from "./ErrorSaid.ts"
import type { Said } from "./Said.ts"

/** How long a stream may say nothing more after its last finish reason: then it is over, `[DONE]` or not. Milliseconds. */
export const graceMs = 1000

/** Why a stream is no answer. */
export interface StreamFailure {
  /**
   * `reported`: the upstream said so itself. `cut`: it ended before every choice had finished. `empty`: it finished
   * without any text, call, refusal or token. `bad_answer`: none of its events was a chunk.
   */
  readonly reason: "reported" | "cut" | "empty" | "bad_answer"
  readonly error: ErrorSaid | null
  readonly detail: string
}

export type StreamState = "open" | "complete" | StreamFailure

/**
 * Reads a stream of an upstream's protocol event by event, for a client of the same one: what of it goes to the client,
 * what it says of itself, and when it is over. Pure: time comes with the events, in milliseconds of any clock.
 */
export interface AnswerStream {
  readonly state: StreamState
  /** There is something to take, or nothing more will come. */
  readonly isReady: boolean
  /** When the stream is over though nothing more comes; null while it has not finished. */
  readonly graceUntilMs: number | null
  /** What may still come are counts and the end. */
  readonly isFinished: boolean
  readonly said: Said
  /** The payload with the counts that follows a complete stream, ahead of the protocol's own end; null without one. */
  readonly usageChunk: string | null
  /** An event with its name, null where it has none. */
  readonly event: (name: string | null, data: string, nowMs: number) => void
  /** The body is over: it ended, or it broke (`detail` says how). */
  readonly bodyEnd: (detail: string | null) => void
  /** Time has passed. */
  readonly tick: (nowMs: number) => void
  /** What goes to the client next: the data of events, in order. */
  readonly take: () => ReadonlyArray<string>
}
