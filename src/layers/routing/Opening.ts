import type { StreamSink } from "../../services/routing/Router.ts"
import type { Deadline, Deadlines } from "../../domain/basics/Deadlines.ts"

/** When a stream to a client begins: with its first event, or before, so that nothing between gives up on a silent answer. */
export class Opening<A> {
  readonly #open: (answering: A | null) => StreamSink
  readonly #early: Deadline | null
  #sink: StreamSink | null = null

  /** `earlyMs` 0: never before the first event. */
  constructor(deadlines: Pick<Deadlines, "after">, earlyMs: number, open: (answering: A | null) => StreamSink) {
    this.#open = open
    this.#early = earlyMs > 0 ? deadlines.after(earlyMs, () => this.#beginEarly()) : null
  }

  /** Null while nothing has been begun. */
  get sink(): StreamSink | null {
    return this.#sink
  }

  /** Who answers is known. */
  answering(one: A): StreamSink {
    this.#early?.cancel()
    this.#sink ??= this.#open(one)
    return this.#sink
  }

  /** It is over, begun or not. */
  close(): void {
    this.#early?.cancel()
  }

  #beginEarly(): void {
    if (this.#sink !== null) return
    this.#sink = this.#open(null)
    this.#sink.alive()
  }
}
