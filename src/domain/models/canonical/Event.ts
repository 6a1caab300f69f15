import type { TokenUsage } from "../../routing/Usage.ts"
import type { Answer, Stop } from "./Answer.ts"
import type { CallPart, Part, ProtocolName, RefusalPart, TextPart, ThinkingPart } from "./Conversation.ts"

/** A part of an answer that comes piece by piece. */
export type StreamedPart = TextPart | RefusalPart | ThinkingPart | CallPart

/**
 * What a stream says, whatever protocol it came in. Parts have numbers of their own, from 0; several may be open at once. A
 * part begins empty, or with what its first event brought, and goes on by pieces of its text or its input.
 */
export type StreamEvent =
  | { readonly type: "begin"; readonly part: number; readonly value: StreamedPart }
  | { readonly type: "piece"; readonly part: number; readonly text: string }
  /** The signature of a thinking part, and whose it is. */
  | { readonly type: "signature"; readonly part: number; readonly signature: string; readonly of: ProtocolName }
  | { readonly type: "end"; readonly part: number }
  /** A part that comes at once, and only its own protocol knows. */
  | { readonly type: "whole"; readonly part: number; readonly value: Part }
  /** The counts so far; the last counts. */
  | { readonly type: "usage"; readonly usage: TokenUsage }
  | { readonly type: "stop"; readonly stop: Stop }

/** Reads the payloads of an upstream's stream, in their order: each is one that its protocol's own automaton let through. */
export interface EventReader {
  readonly read: (payload: string) => ReadonlyArray<StreamEvent>
}

/** Writes a stream for a client. */
export interface EventWriter {
  /** Payloads, an event each. */
  readonly write: (event: StreamEvent) => ReadonlyArray<string>
  /** When the upstream has ended well: what comes before the counts. */
  readonly end: () => ReadonlyArray<string>
  /** The last payload, with the counts; null where this client is told none. Only the protocol's own end comes behind it. */
  readonly last: () => string | null
}

const withText = (part: StreamedPart, text: string): StreamedPart =>
  part.type === "call" ? { ...part, input: part.input + text } : { ...part, text: part.text + text }

/** Puts an answer together from its stream: the same as the whole answer would have been. */
export class Collecting {
  readonly #parts = new Map<number, Part>()
  #stop: Stop = { reason: "end", sequence: null }
  #usage: TokenUsage | null = null

  add(event: StreamEvent): void {
    switch (event.type) {
      case "begin":
      case "whole":
        this.#parts.set(event.part, event.value)
        return
      case "piece":
        return this.#change(event.part, (part) => withText(part, event.text))
      case "signature":
        return this.#change(event.part, (part) =>
          part.type === "thinking" ? { ...part, signature: event.signature, of: event.of } : part
        )
      case "usage":
        this.#usage = event.usage
        return
      case "stop":
        this.#stop = event.stop
        return
      case "end":
    }
  }

  get answer(): Answer {
    const parts = [...this.#parts].sort(([a], [b]) => a - b).map(([, part]) => part)
    return { parts, stop: this.#stop, usage: this.#usage }
  }

  #change(at: number, change: (part: StreamedPart) => Part): void {
    const part = this.#parts.get(at)
    if (part !== undefined && isStreamed(part)) this.#parts.set(at, change(part))
  }
}

const isStreamed = (part: Part): part is StreamedPart =>
  part.type === "text" || part.type === "refusal" || part.type === "thinking" || part.type === "call"

/** A whole answer as a stream, a piece for each part. */
export const eventsOf = ({ parts, stop, usage }: Answer): ReadonlyArray<StreamEvent> => [
  ...parts.flatMap((part, at): ReadonlyArray<StreamEvent> => {
    if (!isStreamed(part)) return [{ type: "whole", part: at, value: part }]
    const text = part.type === "call" ? part.input : part.text
    const value = part.type === "call" ? { ...part, input: "" } : { ...part, text: "" }
    return [
      { type: "begin", part: at, value },
      ...(text === "" ? [] : [{ type: "piece" as const, part: at, text }]),
      { type: "end", part: at }
    ]
  }),
  { type: "stop", stop },
  ...(usage === null ? [] : [{ type: "usage" as const, usage }])
]
