import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { KeyHolder } from "../../domain/access/ApiKey.ts"
import { readerOf } from "../../domain/basics/Owner.ts"
import type { LiveEvents, ServiceState } from "../../services/api/LiveEvents.ts"
import type { DecisionEntry, ModelList } from "../../services/api/Responses.ts"
import type { Caller, RouterShape } from "../../services/routing/Router.ts"
import { toPublic } from "./ErrorTable.ts"
import type { Exchange } from "./Exchange.ts"
import type { Handler } from "./Handler.ts"
import { Overloaded } from "./HttpErrors.ts"
import { decisionEntry, type ShownWith } from "./Present.ts"

export interface LiveDependencies {
  readonly router: Pick<RouterShape, "decisions">
  readonly reference: () => ShownWith
  readonly models: (caller: Caller) => ModelList
  readonly state: (key: KeyHolder | null) => ServiceState
}

/** Each asks the database once a second. */
const mostStreams = 32
const everyMillis = 1_000
/** The newest ones are looked at for what is new in them. */
const watchedDecisions = 50
/** Then the client comes again, and its key is looked at again. */
const mostRounds = 300
/** A comment shows that the connection lives when nothing happened in so many rounds. */
const quietRounds = 10

const headers = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-store",
  "x-accel-buffering": "no",
  "x-content-type-options": "nosniff"
}

/**
 * What happens, as server-sent events, for as long as the client listens: from the stored rows and the models as they are
 * learned, as the lookups answer them. It does not count as a request, so nobody's dashboard holds up a drain.
 */
export const make = (dependencies: LiveDependencies): Handler => {
  let open = 0
  return (exchange) =>
    Effect.suspend(() => {
      if (exchange.request.method === "HEAD") return Effect.succeed({ status: 200, headers, body: "" })
      if (open >= mostStreams) {
        return new Overloaded({
          detail: `more than ${mostStreams} clients watch this replica already`,
          retryAfterSeconds: 5
        })
      }
      open++
      exchange.beginStream(headers, (error) => eventOf("trouble", { message: toPublic(error).message }))
      const stream = new EventWriter(exchange)
      return Effect.raceFirst(
        closed(exchange),
        Effect.repeat(
          round(dependencies, exchange, stream),
          Schedule.addDelay(Schedule.recurs(mostRounds), () => everyMillis)
        )
      ).pipe(Effect.ensuring(Effect.sync(() => open--)), Effect.as(null))
    })
}

/** The exchange of what is not counted is told nothing when its client leaves. */
const closed = ({ response }: Exchange): Effect.Effect<void> =>
  Effect.async((resume) => {
    if (response.destroyed || response.socket?.destroyed === true) return resume(Effect.void)
    const left = () => resume(Effect.void)
    response.once("close", left)
    return Effect.sync(() => response.off("close", left))
  })

const round = (
  { models, reference, router, state }: LiveDependencies,
  { caller, key }: Exchange,
  stream: EventWriter
): Effect.Effect<void> =>
  Effect.gen(function* () {
    if (stream.isBehind) return
    stream.tell("service", state(key))
    stream.tell("models", models(caller))
    const found = yield* router.decisions({ ...anyDecision, ...readerOf(caller), limit: watchedDecisions })
    stream.tellDecisions(found.map(({ feedback, record }) => decisionEntry(record, feedback, reference())))
    stream.tell("trouble", { message: null })
  }).pipe(
    Effect.catchAll((error) => Effect.sync(() => stream.tell("trouble", { message: toPublic(error).message }))),
    Effect.ensuring(Effect.sync(() => stream.roundEnded()))
  )

const anyDecision = {
  model: null,
  fromMillis: null,
  untilMillis: null,
  userId: null,
  task: null,
  algorithm: null,
  reason: null,
  outcome: null,
  before: null
}

const eventOf = <Name extends keyof LiveEvents>(name: Name, data: LiveEvents[Name]): string =>
  `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`

/** Writes what has changed since it was written last. */
class EventWriter {
  readonly #exchange: Pick<Exchange, "response">
  readonly #told = new Map<string, string>()
  #decisions: ReadonlyMap<string, string> = new Map()
  #quiet = 0

  constructor(exchange: Pick<Exchange, "response">) {
    this.#exchange = exchange
  }

  /** The client has not taken what was written before: it gets the next state instead of each one. */
  get isBehind(): boolean {
    return this.#exchange.response.writableNeedDrain
  }

  tell<Name extends "service" | "models" | "trouble">(name: Name, data: LiveEvents[Name]): void {
    const event = eventOf(name, data)
    if (this.#told.get(name) === event) return
    this.#told.set(name, event)
    this.#write(event)
  }

  tellDecisions(newest: ReadonlyArray<DecisionEntry>): void {
    const texts = newest.map((entry): readonly [id: string, text: string] => [entry.id, JSON.stringify(entry)])
    const changed = texts.filter(([id, text]) => this.#decisions.get(id) !== text)
    const isFirst = !this.#told.has("decisions")
    this.#told.set("decisions", "")
    this.#decisions = new Map(texts)
    if (changed.length === 0 && !isFirst) return
    this.#write(`event: decisions\ndata: [${changed.map(([, text]) => text).join(",")}]\n\n`)
  }

  roundEnded(): void {
    if (this.#quiet++ >= quietRounds) this.#write(": keep-alive\n\n")
  }

  #write(text: string): void {
    this.#quiet = 0
    const { response } = this.#exchange
    if (!response.writableEnded && !response.destroyed) response.write(text)
  }
}
