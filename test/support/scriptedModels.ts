import * as Clock from "effect/Clock"
import * as Layer from "effect/Layer"
import { ModelId } from "../../src/domain/basics/Ids.ts"
import { ChatStream as ChatReading } from "../../src/domain/models/ChatStream.ts"
import { type StreamFailure } from "../../src/domain/models/AnswerStream.ts"
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
  aliases: [],
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

/** One thing that happens in a stream: an event, a failure, silence for good or for a while, or its end without [DONE]. */
type Step = string | ProviderError | "hangs" | "ends" | { readonly waitMs: number }

/**
 * What a model does when it is called. `hangs` until it is interrupted, whatever its limit; a wait that is longer than the
 * limit fails at it. A list is what a stream brings; after it the stream ends well. `whole` is the text of a whole answer.
 */
export type Script =
  | "answers"
  | "hangs"
  | ProviderError
  | ReadonlyArray<Step>
  | { readonly whole: string; readonly waitMs: number }
  | ((body: ChatBody, stream: boolean) => Script)

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
const nothing = () => {}

const failed = (model: Model, { detail, reason }: StreamFailure) =>
  failure(model.id, reason === "reported" ? "server_error" : reason, { status: 200, detail })

/** Calls back when the wait is over, or fails at the limit; answers what stops it. */
const wait = (
  model: Model,
  waitMs: number,
  { timeoutMs }: CallLimits,
  over: () => void,
  late: (error: ProviderError) => void
): (() => void) => {
  if (waitMs <= 0) {
    over()
    return nothing
  }
  const isLate = waitMs > timeoutMs
  const end = () => (isLate ? late(failure(model.id, "timeout")) : over())
  const timer = setTimeout(end, Math.min(waitMs, timeoutMs))
  return () => clearTimeout(timer)
}

/** The steps of one stream, as they are asked for. */
class ScriptedStream {
  readonly chat: ChatReading
  readonly #model: Model
  readonly #limits: CallLimits
  readonly #steps: Array<Step>
  readonly #interrupted: (id: string) => void
  stop = nothing

  constructor(
    model: Model,
    limits: CallLimits,
    steps: ReadonlyArray<Step>,
    chat: ChatReading,
    interrupted: (id: string) => void
  ) {
    this.chat = chat
    this.#model = model
    this.#limits = limits
    this.#steps = [...steps]
    this.#interrupted = interrupted
  }

  /** Calls back when there is something to take, or what went wrong. */
  arrival(done: (error: ProviderError | null) => void): void {
    const { chat } = this
    this.stop = nothing
    while (!chat.isReady) {
      if (typeof chat.state === "object") return done(failed(this.#model, chat.state))
      const step = this.#steps.shift() ?? "[DONE]"
      if (step === "hangs") {
        this.stop = () => this.#interrupted(this.#model.id)
        return
      }
      if (step instanceof ProviderError) return done(step)
      if (step === "ends") chat.bodyEnd(null)
      else if (typeof step === "string") chat.event(null, step, 0)
      else {
        this.stop = wait(this.#model, step.waitMs, this.#limits, () => this.arrival(done), done)
        return
      }
    }
    done(null)
  }

  get stream(): ChatStream {
    const { chat } = this
    return {
      status: 200,
      requestId: null,
      said: () => chat.said,
      isFinished: () => chat.isFinished,
      usageChunk: () => chat.usageChunk,
      next: (done) => this.arrival((error) => done(error ?? chat.take()))
    }
  }
}

const scriptFor = (script: Script | undefined, body: ChatBody, stream: boolean): Exclude<Script, Function> => {
  const found = script ?? "answers"
  return typeof found === "function" ? scriptFor(found(body, stream), body, stream) : found
}

/** Answers by script, by model id. It keeps the contract of LanguageModels, as long as no script hangs. */
export const scriptedModels = (scripts: Record<string, Script>) => {
  const calls: Array<{ readonly model: string; readonly body: ChatBody; readonly limits: CallLimits }> = []
  const interrupted: Array<string> = []
  let open = 0

  const complete: LanguageModelsShape["complete"] = (model, body, limits, done) => {
    calls.push({ model: model.id, body, limits })
    const script = scriptFor(scripts[model.id], body, false)
    if (script === "hangs") return () => void interrupted.push(model.id)
    if (script instanceof ProviderError) {
      done(script)
      return nothing
    }
    const { waitMs, whole } =
      typeof script === "object" && "whole" in script ? script : { whole: answer(model.upstream), waitMs: 0 }
    const over = () => {
      const read = readAnswer(whole, labelOf(model, body, limits, clock))
      done(isAnswer(read) ? { status: 200, ...read, requestId: null } : failed(model, read))
    }
    return wait(model, waitMs, limits, over, done)
  }

  const stream: LanguageModelsShape["stream"] = (model, body, limits, opened) => {
    calls.push({ model: model.id, body, limits })
    open++
    const script = scriptFor(scripts[model.id], body, true)
    let stop = nothing
    if (script === "hangs") stop = () => void interrupted.push(model.id)
    else if (script instanceof ProviderError) opened(script)
    else {
      const steps = script === "answers" || "whole" in script ? [hello] : script
      const chat = new ChatReading(labelOf(model, body, limits, clock), choicesAsked(body))
      const streamed = new ScriptedStream(model, limits, steps, chat, (id) => void interrupted.push(id))
      stop = () => streamed.stop()
      streamed.arrival((error) => opened(error ?? streamed.stream))
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
