import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import { ChatStream as ChatReading } from "../../domain/models/ChatStream.ts"
import { isAnswer, readAnswer } from "../../domain/models/WholeAnswer.ts"
import type { Model } from "../../domain/routing/Model.ts"
import { simulate, type Simulation, wholeMs } from "../../domain/simulation/SimulatedModel.ts"
import { type Directives, problemWith, requestFrom } from "../../domain/simulation/ChatRequest.ts"
import { scriptOf } from "../../domain/simulation/Fleet.ts"
import type { Fault } from "../../domain/simulation/Script.ts"
import { type AnswerLabel, chunksOf, completionOf, type TimedChunk } from "../../domain/simulation/Wire.ts"
import {
  type CallLimits,
  type ChatBody,
  LanguageModels,
  type LanguageModelsShape,
  ProviderError
} from "../../services/models/LanguageModels.ts"
import { choicesAsked, labelOf } from "./Label.ts"
import { streamFailure } from "./ProviderErrors.ts"
import { translating } from "./Translation.ts"

const seed = "conduit"

/** What a request asks for that only a server has. */
const needsServer = ({ cutAfter, endAfter, gate, scenario }: Directives): string | null =>
  gate === null && scenario === null && cutAfter === null && endAfter === null
    ? null
    : "mock.gate, scenario, cut_after and end_after need a server: conduit mock-llm"

/** What the fault looks like from outside before anything of the answer came; null if it comes later, or not at all. */
const refusalOf = (model: Model, fault: Fault | null): ProviderError | null => {
  const error = (reason: ProviderError["reason"], status: number, retryAfterSeconds: number | null) =>
    new ProviderError({ model: model.id, reason, status, retryAfterSeconds, detail: `simulated fault ${fault}` })
  switch (fault) {
    case "400":
      return error("rejected", 400, null)
    case "429":
      return error("rate_limited", 429, 1)
    case "500":
      return error("server_error", 500, null)
    case "bad_json":
      return error("bad_answer", 200, null)
    default:
      return null
  }
}

const cut = (model: Model) =>
  new ProviderError({ model: model.id, reason: "cut", status: 200, retryAfterSeconds: null, detail: "simulated fault" })

const late = (model: Model, timeoutMs: number) =>
  new ProviderError({
    model: model.id,
    reason: "timeout",
    status: null,
    retryAfterSeconds: null,
    detail: `nothing within ${timeoutMs} ms`
  })

/** Lets simulated time pass, or fails when it is longer than the limit. */
const pass = (model: Model, ms: number, { timeoutMs }: CallLimits) =>
  ms > timeoutMs
    ? Effect.zipRight(Effect.sleep(timeoutMs), late(model, timeoutMs))
    : ms > 0
      ? Effect.sleep(ms)
      : Effect.void

const firstMs = (simulation: Simulation) => (simulation.fault === "hang" ? Infinity : simulation.firstTokenMs)

/** A call that a simulated model takes: what it will do, and since when. */
interface Begun {
  readonly startMillis: number
  readonly simulation: Simulation
  readonly label: AnswerLabel
}

/** What the model will do, or the refusal of the request. `number` is the call's, from 1 on. */
const begin = Effect.fnUntraced(function* (model: Model, body: ChatBody, nextNumber: () => number) {
  const request = requestFrom(body)
  const detail = problemWith({ ...body, model: model.upstream }) ?? needsServer(request.directives)
  if (detail !== null) {
    return yield* new ProviderError({
      model: model.id,
      reason: "rejected",
      status: 400,
      retryAfterSeconds: null,
      detail
    })
  }
  const number = nextNumber()
  const startMillis = yield* Clock.currentTimeMillis
  return {
    startMillis,
    simulation: simulate(scriptOf(model), request, `${seed}/${number}`),
    label: {
      id: `chatcmpl-simulated-${number}`,
      model: model.upstream,
      createdSeconds: Math.floor(startMillis / 1000)
    }
  } satisfies Begun
})

/** A whole answer, when its time has passed. */
const whole = Effect.fnUntraced(function* (
  { label, simulation }: Begun,
  model: Model,
  body: ChatBody,
  limits: CallLimits
) {
  const { fault } = simulation
  const refusal = refusalOf(model, fault)
  const takesMs = refusal !== null ? simulation.firstTokenMs : fault === "hang" ? Infinity : wholeMs(simulation)
  yield* pass(model, takesMs, limits)
  if (refusal !== null) return yield* refusal
  if (fault === "cut") return yield* cut(model)
  const clock = yield* Effect.clock
  const read = readAnswer(JSON.stringify(completionOf(simulation, label)), labelOf(model, body, limits, clock))
  if (!isAnswer(read)) return yield* streamFailure({ model: model.id, secrets: [] }, 200, read)
  return { status: 200, ...read, requestId: null }
})

/** A simulated stream as it is read: its chunks are read like those of a server, each when it is due. */
class SimulatedStream {
  readonly chat: ChatReading
  readonly #begun: Begun
  readonly #model: Model
  readonly #limits: CallLimits
  readonly #chunks: Generator<TimedChunk>
  readonly #breaksAfter: number
  #sent = 0
  #upcoming: TimedChunk | undefined

  constructor(begun: Begun, model: Model, limits: CallLimits, chat: ChatReading) {
    const { label, simulation } = begun
    this.chat = chat
    this.#begun = begun
    this.#model = model
    this.#limits = limits
    this.#chunks = chunksOf(simulation, label, true)
    this.#breaksAfter = simulation.fault === "cut" ? Math.ceil(simulation.completionTokens / 2) : Infinity
    this.#upcoming = takeChunk(this.#chunks)
  }

  /** Reads on until there is something for the caller, or the end. */
  get arrival(): Effect.Effect<void, ProviderError> {
    return Effect.gen(this, function* () {
      const { chat } = this
      const { startMillis } = this.#begun
      while (!chat.isReady && chat.state === "open") {
        if (this.#upcoming === undefined) {
          this.#end()
          continue
        }
        if (this.#sent >= this.#breaksAfter) return yield* cut(this.#model)
        const leftMs = startMillis + this.#upcoming.dueMs - (yield* Clock.currentTimeMillis)
        yield* pass(this.#model, leftMs, this.#limits)
        this.#readDue((yield* Clock.currentTimeMillis) - startMillis)
      }
      if (typeof chat.state === "object" && !chat.isReady) {
        return yield* streamFailure({ model: this.#model.id, secrets: [] }, 200, chat.state)
      }
    })
  }

  #end(): void {
    if (this.#begun.simulation.fault === "no_done") this.chat.bodyEnd(null)
    else this.chat.event(null, "[DONE]", 0)
  }

  /** The next one, and everything else that is due by now: a slow reader gets more at once. */
  #readDue(elapsedMs: number): void {
    const most = Math.min(this.#breaksAfter, this.#sent + maxEventsAtOnce)
    do {
      if (this.#upcoming === undefined) return
      this.chat.event(null, JSON.stringify(this.#upcoming.chunk), elapsedMs)
      this.#sent++
      this.#upcoming = takeChunk(this.#chunks)
    } while (this.#upcoming !== undefined && this.#upcoming.dueMs <= elapsedMs && this.#sent < most)
  }
}

const streamed = Effect.fnUntraced(function* (begun: Begun, model: Model, body: ChatBody, limits: CallLimits) {
  const { simulation } = begun
  const refusal = refusalOf(model, simulation.fault)
  yield* pass(model, firstMs(simulation), limits)
  if (refusal !== null) return yield* refusal
  const chat = new ChatReading(labelOf(model, body, limits, yield* Effect.clock), choicesAsked(body))
  const stream = new SimulatedStream(begun, model, limits, chat)
  yield* stream.arrival
  return {
    status: 200,
    requestId: null,
    next: Effect.map(stream.arrival, () => chat.take()),
    said: () => chat.said,
    isFinished: () => chat.isFinished,
    usageChunk: () => chat.usageChunk
  }
})

/** Runs the effect, and calls back unless it is stopped before. */
const runWith =
  (runtime: Runtime.Runtime<never>) =>
  <A>(effect: Effect.Effect<A, ProviderError>, done: (result: A | ProviderError) => void) => {
    const stop = Runtime.runCallback(runtime)(effect, {
      onExit: (exit) => {
        if (Exit.isSuccess(exit)) return done(exit.value)
        const failed = Cause.failureOption(exit.cause)
        if (Option.isSome(failed)) done(failed.value)
      }
    })
    return () => stop()
  }

/** Models that exist only here: the engine of `conduit mock-llm` without a network. Gates need that server. */
export const layer: Layer.Layer<LanguageModels> = Layer.effect(
  LanguageModels,
  Effect.map(Effect.all([Effect.runtime<never>(), Effect.clock]), ([runtime, clock]) => {
    const run = runWith(runtime)
    let calls = 0
    const nextNumber = () => ++calls
    const simulated: LanguageModelsShape = {
      complete: (model, body, limits, done) =>
        run(
          Effect.flatMap(begin(model, body, nextNumber), (begun) => whole(begun, model, body, limits)),
          done
        ),

      stream: (model, body, limits, opened) => {
        let stopWaiting = () => {}
        const opening = Effect.flatMap(begin(model, body, nextNumber), (begun) => streamed(begun, model, body, limits))
        const stopOpening = run(opening, (begun) => {
          if (begun instanceof ProviderError) return opened(begun)
          const { next, ...more } = begun
          opened({
            ...more,
            next: (done) => {
              stopWaiting = run(next, done)
            }
          })
        })
        return () => {
          stopOpening()
          stopWaiting()
        }
      }
    }
    return LanguageModels.of(translating(simulated, () => "chat", clock))
  })
)

const maxEventsAtOnce = 256

const takeChunk = (chunks: Generator<TimedChunk>): TimedChunk | undefined => {
  const step = chunks.next()
  return step.done === true ? undefined : step.value
}
