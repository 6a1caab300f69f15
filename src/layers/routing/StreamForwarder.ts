import { withMembers } from "../../domain/basics/JsonText.ts"
import type { StreamedText } from "../../domain/models/AnswerText.ts"
import type { Deadline } from "../../domain/basics/Deadlines.ts"
import type { Model } from "../../domain/routing/Model.ts"
import { type ChatStream, ProviderError } from "../../services/models/LanguageModels.ts"
import type { StreamSink } from "../../services/routing/Router.ts"
import type { Account, Accounting } from "./Accounting.ts"
import { factsOf, type RoutedRequest } from "./RoutedRequest.ts"

/** Why a stream that had begun is not whole: the model's failure, or that the time was up. */
export type Broken = ProviderError | "timeout"

/** The stream of the answering model on its way to the client, as fast as the client takes it. Whole, because these are the moves of one machine. */
export class StreamForwarder {
  readonly #source: ChatStream
  readonly #sink: StreamSink
  readonly #account: () => Account
  readonly #deadline: Deadline
  readonly #ended: (broken: Broken | null) => void
  readonly #onBug: (bug: unknown) => void
  readonly #heard: StreamedText | null
  #clientReads = true
  #isOver = false

  constructor(
    { accounting, firstTokenMs, heard, onBug, timeLimit }: StreamForwarderOptions,
    routed: RoutedRequest,
    source: ChatStream,
    model: Model,
    sink: StreamSink,
    ended: (broken: Broken | null) => void
  ) {
    this.#source = source
    this.#sink = sink
    this.#ended = ended
    this.#onBug = onBug
    this.#heard = heard
    this.#account = () => accounting.of(model, routed.request, source.said(), source.requestId)
    routed.noteFacts(() => factsOf(this.#account(), source.said(), firstTokenMs))
    this.#deadline = timeLimit(() => this.#end("timeout"))
  }

  get clientReads(): boolean {
    return this.#clientReads
  }

  start(): void {
    this.#source.next(this.#arrived)
  }

  stop(): void {
    this.#isOver = true
    this.#deadline.cancel()
  }

  readonly #arrived = (events: ReadonlyArray<string> | ProviderError): void => {
    if (this.#isOver) return
    try {
      if (events instanceof ProviderError) this.#end(events)
      else if (events.length > 0) {
        this.#heard?.add(events)
        this.#send(events, this.#taken)
      } else this.#sendCounts()
    } catch (bug) {
      this.#onBug(bug)
    }
  }

  #send(events: ReadonlyArray<string>, taken: () => void): void {
    this.#clientReads = false
    this.#sink.events(events, taken)
  }

  /** The client can take more. */
  readonly #taken = (): void => {
    if (this.#isOver) return
    this.#clientReads = true
    try {
      if (this.#source.isFinished()) this.#sink.finishing()
      this.#source.next(this.#arrived)
    } catch (bug) {
      this.#onBug(bug)
    }
  }

  #sendCounts(): void {
    const counts = this.#source.usageChunk()
    if (counts === null) this.#end(null)
    else this.#send([withCost(counts, this.#account().costUsd)], this.#countsTaken)
  }

  readonly #countsTaken = (): void => {
    if (this.#isOver) return
    this.#clientReads = true
    try {
      this.#end(null)
    } catch (bug) {
      this.#onBug(bug)
    }
  }

  #end(broken: Broken | null): void {
    this.stop()
    this.#ended(broken)
  }
}

interface StreamForwarderOptions {
  readonly accounting: Accounting
  readonly firstTokenMs: number | null
  /** Takes what is sent, where it is judged. */
  readonly heard: StreamedText | null
  readonly onBug: (bug: unknown) => void
  /** Runs it when the request's time is up. */
  readonly timeLimit: (run: () => void) => Deadline
}

const withCost = (chunk: string, usd: number | null): string =>
  withMembers(chunk, new Map([["conduit", JSON.stringify({ cost_usd: usd })]]))
