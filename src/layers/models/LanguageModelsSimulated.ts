import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ChatStream as ChatReading } from "../../domain/models/ChatStream.ts"
import { isAnswer, readAnswer } from "../../domain/models/WholeAnswer.ts"
import type { Model } from "../../domain/routing/Model.ts"
import { simulate, type Simulation, wholeMs } from "../../domain/simulation/SimulatedModel.ts"
import { type Directives, problemWith, requestFrom } from "../../domain/simulation/ChatRequest.ts"
import { scriptOf } from "../../domain/simulation/Fleet.ts"
import type { Fault } from "../../domain/simulation/Script.ts"
import { type AnswerLabel, chunksOf, completionOf, type TimedChunk } from "../../domain/simulation/Wire.ts"
import { type CallLimits, type ChatBody, LanguageModels, ProviderError } from "../../services/models/LanguageModels.ts"
import { choicesAsked, labelOf } from "./Label.ts"
import { streamFailure } from "./ProviderErrors.ts"

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

/** Models that exist only here: the engine of `conduit mock-llm` without a network. Gates need that server. */
export const layer: Layer.Layer<LanguageModels> = Layer.sync(LanguageModels, () => {
  let calls = 0

  /** What the model will do, or the refusal of the request. */
  const begin = Effect.fnUntraced(function* (model: Model, body: ChatBody) {
    const request = requestFrom(body)
    const problem = problemWith({ ...body, model: model.upstream }) ?? needsServer(request.directives)
    if (problem !== null) {
      return yield* new ProviderError({
        model: model.id,
        reason: "rejected",
        status: 400,
        retryAfterSeconds: null,
        detail: problem
      })
    }
    calls++
    const startMillis = yield* Clock.currentTimeMillis
    const simulation = simulate(scriptOf(model), request, `${seed}/${calls}`)
    const label: AnswerLabel = {
      id: `chatcmpl-simulated-${calls}`,
      model: model.upstream,
      createdSeconds: Math.floor(startMillis / 1000)
    }
    return { startMillis, simulation, label }
  })

  const complete = Effect.fnUntraced(function* (model: Model, body: ChatBody, limits: CallLimits) {
    const { label, simulation } = yield* begin(model, body)
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

  const stream = Effect.fnUntraced(function* (model: Model, body: ChatBody, limits: CallLimits) {
    const { label, simulation, startMillis } = yield* begin(model, body)
    const refusal = refusalOf(model, simulation.fault)
    yield* pass(model, firstMs(simulation), limits)
    if (refusal !== null) return yield* refusal

    const clock = yield* Effect.clock
    const chat = new ChatReading(labelOf(model, body, limits, clock), choicesAsked(body))
    const chunks = chunksOf(simulation, label, true)
    const breaksAfter = simulation.fault === "cut" ? Math.ceil(simulation.completionTokens / 2) : Infinity
    let sent = 0
    let upcoming: TimedChunk | undefined = takeChunk(chunks)

    /** Reads on until there is something for the caller, or the end. */
    const arrival = Effect.gen(function* () {
      while (!chat.isReady && chat.state === "open") {
        if (upcoming === undefined) {
          if (simulation.fault === "no_done") chat.bodyEnd(null)
          else chat.event(null, "[DONE]", 0)
          continue
        }
        if (sent >= breaksAfter) return yield* cut(model)
        yield* pass(model, startMillis + upcoming.dueMs - (yield* Clock.currentTimeMillis), limits)
        // Everything that is due by now: a slow reader gets more at once.
        const elapsedMs = (yield* Clock.currentTimeMillis) - startMillis
        let taken = 0
        do {
          chat.event(null, JSON.stringify(upcoming.chunk), elapsedMs)
          taken++
          upcoming = takeChunk(chunks)
        } while (
          upcoming !== undefined &&
          upcoming.dueMs <= elapsedMs &&
          sent + taken < breaksAfter &&
          taken < maxEventsAtOnce
        )
        sent += taken
      }
      if (typeof chat.state === "object" && !chat.isReady)
        return yield* streamFailure({ model: model.id, secrets: [] }, 200, chat.state)
    })
    yield* arrival
    return {
      status: 200,
      requestId: null,
      next: Effect.map(arrival, () => chat.take()),
      said: () => chat.said,
      isFinished: () => chat.isFinished,
      usageChunk: () => chat.usageChunk
    }
  })

  return LanguageModels.of({ complete, stream })
})

const maxEventsAtOnce = 256

const takeChunk = (chunks: Generator<TimedChunk>): TimedChunk | undefined => {
  const step = chunks.next()
  return step.done === true ? undefined : step.value
}
