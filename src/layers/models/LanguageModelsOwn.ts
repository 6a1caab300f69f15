import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import type { Said } from "../../domain/models/Said.ts"
import type { Model } from "../../domain/routing/Model.ts"
import {
  type CallLimits,
  type ChatAnswer,
  type ChatBody,
  type ChatStream,
  LanguageModels,
  type LanguageModelsShape,
  ProviderError
} from "../../services/models/LanguageModels.ts"
import { translating } from "./Translation.ts"

/** One call of a model. `body` is the client's chat request as it came, unknown fields included, or the chat that it is. */
export interface OwnCall {
  readonly model: Model
  readonly body: ChatBody
  readonly isStream: boolean
}

/** What a model of one's own says. Tokens that are not told are not known, and neither is the cost. */
export interface OwnAnswer {
  readonly text: string
  readonly inputTokens?: number
  readonly outputTokens?: number
}

/** Answers a call; it is interrupted when the client leaves. Its failures are those of a provider: others are tried. */
export type OwnModels = (call: OwnCall) => Effect.Effect<OwnAnswer, ProviderError>

/** Models that are called by a function, whatever provider the configuration names. A stream has the text in one event. */
export const layer = (answer: OwnModels): Layer.Layer<LanguageModels> =>
  Layer.effect(
    LanguageModels,
    Effect.gen(function* () {
      const runtime = yield* Effect.runtime<never>()
      const clock = yield* Effect.clock
      const call = (given: OwnCall, limits: CallLimits, done: (exit: Exit.Exit<OwnAnswer, ProviderError>) => void) => {
        let isAborted = false
        const limited = Effect.timeoutFail(answer(given), {
          duration: limits.timeoutMs,
          onTimeout: () => failure(given.model, "timeout", `no answer within ${limits.timeoutMs} ms`)
        })
        const fiber = Runtime.runFork(runtime)(limited)
        fiber.addObserver((exit) => {
          if (!isAborted) done(exit)
        })
        return () => {
          isAborted = true
          fiber.unsafeInterruptAsFork(FiberId.none)
        }
      }
      const called: LanguageModelsShape = {
        complete: (model, body, limits, done) =>
          call({ model, body, isStream: false }, limits, (exit) =>
            done(Exit.isSuccess(exit) ? whole(model, limits, exit.value) : errorOf(model, exit.cause))
          ),
        stream: (model, body, limits, opened) =>
          call({ model, body, isStream: true }, limits, (exit) =>
            opened(Exit.isSuccess(exit) ? streamed(model, body, limits, exit.value) : errorOf(model, exit.cause))
          )
      }
      return LanguageModels.of(translating(called, () => "chat", clock))
    })
  )

const failure = (model: Model, reason: "timeout" | "bad_answer", detail: string) =>
  new ProviderError({ model: model.id, reason, status: null, retryAfterSeconds: null, detail })

/** A bug of the function is an answer that nobody can use. */
const errorOf = (model: Model, cause: Cause.Cause<ProviderError>): ProviderError =>
  Option.getOrElse(Cause.failureOption(cause), () => failure(model, "bad_answer", Cause.pretty(cause).slice(0, 500)))

const usageOf = ({ inputTokens, outputTokens }: OwnAnswer) =>
  inputTokens === undefined || outputTokens === undefined
    ? null
    : { prompt_tokens: inputTokens, completion_tokens: outputTokens, total_tokens: inputTokens + outputTokens }

const saidOf = (model: Model, id: string, answer: OwnAnswer): Said => ({
  id,
  usage: usageOf(answer),
  finishReason: "stop",
  servedModel: model.upstream,
  isRefusal: false,
  characters: answer.text.length,
  toolCallIds: []
})

const headOf = (model: Model, { answerId = "chatcmpl-own" }: CallLimits, object: string) => ({
  id: answerId,
  object,
  created: 0,
  model: model.id
})

const whole = (model: Model, limits: CallLimits, answer: OwnAnswer): ChatAnswer => {
  const head = headOf(model, limits, "chat.completion")
  const usage = usageOf(answer)
  return {
    status: 200,
    requestId: null,
    said: saidOf(model, head.id, answer),
    text: JSON.stringify({
      ...head,
      choices: [{ index: 0, message: { role: "assistant", content: answer.text }, finish_reason: "stop" }],
      ...(usage === null ? {} : { usage })
    })
  }
}

const asksUsage = (body: ChatBody): boolean => {
  const options = body["stream_options"]
  return typeof options === "object" && options !== null && "include_usage" in options && options.include_usage === true
}

const streamed = (model: Model, body: ChatBody, limits: CallLimits, answer: OwnAnswer): ChatStream => {
  const head = headOf(model, limits, "chat.completion.chunk")
  const usage = usageOf(answer)
  const chunk = (delta: object, finishReason: string | null) =>
    JSON.stringify({ ...head, choices: [{ index: 0, delta, finish_reason: finishReason }] })
  let left = [chunk({ role: "assistant", content: answer.text }, null), chunk({}, "stop")]
  return {
    status: 200,
    requestId: null,
    next: (done) => {
      const events = left
      left = []
      done(events)
    },
    said: () => saidOf(model, head.id, answer),
    isFinished: () => left.length === 0,
    usageChunk: () => (usage === null || !asksUsage(body) ? null : JSON.stringify({ ...head, choices: [], usage }))
  }
}
