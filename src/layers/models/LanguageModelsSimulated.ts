import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Model } from "../../domain/routing/Model.ts"
import { simulate, type Simulation, wholeMs } from "../../domain/simulation/SimulatedModel.ts"
import { problemWith, requestFrom } from "../../domain/simulation/ChatRequest.ts"
import { scriptOf } from "../../domain/simulation/Fleet.ts"
import type { Fault } from "../../domain/simulation/Script.ts"
import { type AnswerLabel, chunksOf, completionOf, type TimedChunk } from "../../domain/simulation/Wire.ts"
import {
  type CallLimits,
  type ChatBody,
  type ChatStream,
  LanguageModels,
  ProviderError,
  usageFrom
} from "../../services/models/LanguageModels.ts"

const seed = "conduit"

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
    const problem =
      problemWith({ ...body, model: model.upstream }) ??
      (request.directives.gate === null ? null : "mock.gate needs a server that can open it: conduit mock-llm")
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
    const answer = completionOf(simulation, label)
    return {
      status: 200,
      body: answer,
      usage: usageFrom(answer.usage),
      finishReason: answer.choices[0]?.finish_reason ?? null
    }
  })

  const stream = Effect.fnUntraced(function* (model: Model, body: ChatBody, limits: CallLimits) {
    const { label, simulation, startMillis } = yield* begin(model, body)
    const refusal = refusalOf(model, simulation.fault)
    yield* pass(model, firstMs(simulation), limits)
    if (refusal !== null) return yield* refusal

    const chunks = chunksOf(simulation, label, true)
    const breaksAfter = simulation.fault === "cut" ? Math.ceil(simulation.completionTokens / 2) : Infinity
    let sent = 0
    let upcoming: TimedChunk | undefined = takeChunk(chunks)

    const next: ChatStream["next"] = Effect.gen(function* () {
      if (upcoming === undefined) return simulation.fault === "no_done" ? yield* cut(model) : []
      if (sent >= breaksAfter) return yield* cut(model)
      const now = yield* Clock.currentTimeMillis
      yield* pass(model, startMillis + upcoming.dueMs - now, limits)
      // Everything that is due by now: a slow reader gets more at once.
      const elapsedMs = (yield* Clock.currentTimeMillis) - startMillis
      const arrived: Array<string> = []
      do {
        arrived.push(JSON.stringify(upcoming.chunk))
        upcoming = takeChunk(chunks)
      } while (
        upcoming !== undefined &&
        upcoming.dueMs <= elapsedMs &&
        sent + arrived.length < breaksAfter &&
        arrived.length < maxEventsAtOnce
      )
      sent += arrived.length
      return arrived
    })
    return { status: 200, next }
  })

  return LanguageModels.of({ complete, stream })
})

const maxEventsAtOnce = 256

const takeChunk = (chunks: Generator<TimedChunk>): TimedChunk | undefined => {
  const step = chunks.next()
  return step.done === true ? undefined : step.value
}
