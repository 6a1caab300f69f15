import * as Clock from "effect/Clock"
import * as Layer from "effect/Layer"
import { ModelId } from "../../src/domain/basics/Ids.ts"
import { ChatStream as ChatReading, type StreamFailure } from "../../src/domain/models/ChatStream.ts"
import { isAnswer, readAnswer } from "../../src/domain/models/WholeAnswer.ts"
import type { Model } from "../../src/domain/routing/Model.ts"
import { choicesAsked, labelOf } from "../../src/layers/models/Label.ts"
import type { ErrorSaid } from "../../src/domain/models/ErrorSaid.ts"
import { costReferenceUsd, noMoreRates } from "../../src/domain/routing/Cost.ts"
import {
  type CallLimits,
  type ChatBody,
  type ChatStream,
  LanguageModels,
  type LanguageModelsShape,
  ProviderError
} from "../../src/services/models/LanguageModels.ts"
import { type Catalog } from "../../src/services/models/ModelCatalog.ts"
import { fixedCatalog } from "./catalog.ts"

export const model = (id: string, more: Partial<Model> = {}): Model => ({
  id: ModelId(id),
  provider: "local",
  upstream: `${id}-upstream`,
  inputUsdPerMTok: 1,
  outputUsdPerMTok: 2,
  priceSource: "test",
  contextWindow: null,
  moreRates: noMoreRates,
  maxOutputTokens: null,
  abilities: {},
  dialect: {},
  priorQuality: null,
  unavailable: null,
  simulated: false,
  ...more
})

export const catalogWith = (models: ReadonlyArray<Model>, policy: Partial<Catalog["policy"]> = {}) =>
  fixedCatalog(catalogFrom(models, policy))

export const catalogFrom = (models: ReadonlyArray<Model>, policy: Partial<Catalog["policy"]> = {}): Catalog => ({
  models,
  byId: new Map(models.map((model) => [model.id, model])),
  providers: new Map(),
  policy: { algorithm: "auto", preference: "balanced", ...policy },
  costReferenceUsd: costReferenceUsd(models),
  source: "test",
  shippedPrice: () => null,
  notices: []
})

export const failure = (
  model: string,
  reason: ProviderError["reason"],
  more: Partial<Pick<ProviderError, "status" | "retryAfterSeconds" | "detail" | "said" | "lacks" | "parameter">> = {}
) => new ProviderError({ model, reason, status: null, retryAfterSeconds: null, detail: reason, ...more })

export const words = (message: string, more: Partial<ErrorSaid> = {}): ErrorSaid => ({
  message,
  type: null,
  code: null,
  param: null,
  status: null,
  ...more
})

interface ScriptedStream extends ChatStream {
  readonly stop: () => void
}

/** What a model does when it is called; `hangs` until it is interrupted. */
export type Script = "answers" | "hangs" | ProviderError | ReadonlyArray<string | ProviderError | "hangs">

const answer = (model: string) =>
  JSON.stringify({
    id: "x",
    object: "chat.completion",
    created: 1,
    model,
    choices: [{ index: 0, message: { role: "assistant", content: "Hello" }, finish_reason: "stop" }],
    usage: { prompt_tokens: 100, completion_tokens: 50, total_tokens: 150 }
  })
const hello = JSON.stringify({ choices: [{ index: 0, delta: { content: "Hello" }, finish_reason: "stop" }] })

const clock = Clock.make()

/** Answers by script, by model id; an array is the payloads of a stream and how it goes wrong; after them it ends well. */
export const scriptedModels = (scripts: Record<string, Script>) => {
  const calls: Array<{ readonly model: string; readonly body: ChatBody; readonly limits: CallLimits }> = []
  const interrupted: Array<string> = []
  let open = 0
  const nothing = () => {}
  /** Hangs until it is released. */
  const hang = (id: string) => () => void interrupted.push(id)
  const failed = (model: Model, { detail, reason }: StreamFailure) =>
    failure(model.id, reason === "reported" ? "server_error" : reason, { status: 200, detail })

  const complete: LanguageModelsShape["complete"] = (model, body, limits, done) => {
    calls.push({ model: model.id, body, limits })
    const script = scripts[model.id] ?? "answers"
    if (script === "hangs") return hang(model.id)
    if (script instanceof ProviderError) done(script)
    else {
      const read = readAnswer(answer(model.upstream), labelOf(model, body, limits, clock))
      done(isAnswer(read) ? { status: 200, ...read, requestId: null } : failed(model, read))
    }
    return nothing
  }

  const streamOf = (model: Model, chat: ChatReading, events: Array<string | ProviderError>): ScriptedStream => {
    let stop = nothing
    return {
      stop: () => stop(),
      status: 200,
      requestId: null,
      said: () => chat.said,
      isFinished: () => chat.isFinished,
      usageChunk: () => chat.usageChunk,
      next: (done) => {
        while (!chat.isReady) {
          if (typeof chat.state === "object") return done(failed(model, chat.state))
          const event = events.shift() ?? "[DONE]"
          if (event === "hangs") {
            stop = hang(model.id)
            return
          }
          if (typeof event !== "string") return done(event)
          chat.event(null, event, 0)
        }
        done(chat.take())
      }
    }
  }

  const stream: LanguageModelsShape["stream"] = (model, body, limits, opened) => {
    calls.push({ model: model.id, body, limits })
    open++
    const script = scripts[model.id] ?? "answers"
    let stop = nothing
    if (script === "hangs") stop = hang(model.id)
    else if (script instanceof ProviderError) opened(script)
    else {
      const chat = new ChatReading(labelOf(model, body, limits, clock), choicesAsked(body))
      const streamed = streamOf(model, chat, script === "answers" ? [hello] : [...script])
      stop = () => streamed.stop()
      opened(streamed)
    }
    let isOpen = true
    return () => {
      if (!isOpen) return
      isOpen = false
      open--
      stop()
    }
  }
  const layer = Layer.succeed(LanguageModels, LanguageModels.of({ complete, stream }))
  return { layer, calls, interrupted, scripts, openStreams: () => open }
}
