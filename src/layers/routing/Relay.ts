import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { costUsd } from "../../domain/routing/Cost.ts"
import type { Model } from "../../domain/routing/Model.ts"
import {
  type ChatBody,
  type ChatStream,
  type ProviderError,
  type Usage,
  usageFrom
} from "../../services/models/LanguageModels.ts"
import { AllModelsFailed, type StreamSink } from "../../services/routing/Router.ts"
import type { Attempts } from "./Attempts.ts"
import type { Deadlines } from "./Deadlines.ts"
import type { Learning } from "./Settlement.ts"
import * as Trial from "./Trial.ts"

interface Parts {
  readonly attempts: Pick<Attempts, "remainingMs">
  readonly deadlines: Deadlines
  readonly learning: Pick<Learning, "settle">
  readonly nowMs: () => number
}

/** From the answering model to the client, until the deadline. The sink hears of every end, and every end is an outcome. */
export const make =
  ({ attempts, deadlines, learning, nowMs }: Parts) =>
  (trial: Trial.Trial, source: ChatStream, model: Model, body: ChatBody, sink: StreamSink): Effect.Effect<void> => {
    const chunks = chunksOf(model, asksForUsage(body))
    const firstTokenMs = trial.current === null ? null : nowMs() - trial.current.startedMs
    trial.facts = () => {
      const usage = chunks.usage()
      const outputTokens = Math.ceil(chunks.characters() / 4)
      const { inputTokens } = trial.decision.request
      return {
        usage,
        outputTokens,
        costUsd: costUsd(model, usage?.inputTokens ?? inputTokens, usage?.outputTokens ?? outputTokens),
        finishReason: chunks.finishReason(),
        responseModel: chunks.responseModel(),
        firstTokenMs
      }
    }
    let clientReads = true

    const pump = Effect.gen(function* () {
      while (true) {
        const payloads = yield* source.next
        if (payloads.length === 0) return
        const relayed = payloads.flatMap((payload) => chunks.relay(payload) ?? [])
        if (relayed.length === 0) continue
        clientReads = false
        yield* sink.events(relayed)
        clientReads = true
      }
    })

    const broken = (reason: Trial.FailureReason, error: ProviderError | null) =>
      Effect.flatMap(
        learning.settle(
          trial,
          reason === "timeout" && !clientReads ? Trial.aborted("client_slow") : Trial.failed(reason, error)
        ),
        () =>
          sink.fail(
            new AllModelsFailed({
              decisionId: trial.decision.id,
              timedOut: reason === "timeout",
              retryAfterSeconds: null,
              attempts: Trial.attemptsOf(trial)
            })
          )
      )

    return deadlines
      .within(attempts.remainingMs(trial), () => "timeout" as const, Effect.either(pump))
      .pipe(
        Effect.matchEffect({
          onFailure: (reason) => broken(reason, null),
          onSuccess: Either.match({
            onLeft: (error) => broken(error.reason, error),
            onRight: () => Effect.zipRight(learning.settle(trial, Trial.answered(source.status)), sink.end)
          })
        })
      )
  }

/** What a stream says about itself on its way to the client. */
interface Chunks {
  /**
   * The payload as the client gets it, or null if it is not for the client: `model` is the id that clients know; the
   * usage chunk passes only if the caller asked for it, with the cost. What is not a JSON object passes as it is.
   */
  readonly relay: (payload: string) => string | null
  readonly usage: () => Usage | null
  readonly finishReason: () => string | null
  readonly responseModel: () => string | null
  /** Of text and tool arguments that were relayed. */
  readonly characters: () => number
}

const chunksOf = (model: Model, includeUsage: boolean): Chunks => {
  let usage: Usage | null = null
  let finishReason: string | null = null
  let responseModel: string | null = null
  let characters = 0

  return {
    relay: (payload) => {
      const chunk = Either.getOrNull(parse(payload))
      if (!isRecord(chunk)) return payload
      if (responseModel === null && typeof chunk["model"] === "string") responseModel = chunk["model"]
      const choices: ReadonlyArray<unknown> = Array.isArray(chunk["choices"]) ? chunk["choices"] : []
      for (const choice of choices) {
        if (!isRecord(choice)) continue
        characters += deltaLength(choice["delta"])
        if (typeof choice["finish_reason"] === "string") finishReason = choice["finish_reason"]
      }
      const counted = usageFrom(chunk["usage"])
      if (counted === null) return JSON.stringify({ ...chunk, model: model.id })
      usage = counted
      if (includeUsage) {
        const cost = costUsd(model, counted.inputTokens, counted.outputTokens)
        return JSON.stringify({ ...chunk, model: model.id, conduit: { cost_usd: cost } })
      }
      return choices.length === 0 ? null : JSON.stringify({ ...chunk, model: model.id })
    },
    usage: () => usage,
    finishReason: () => finishReason,
    responseModel: () => responseModel,
    characters: () => characters
  }
}

const parse = (payload: string) => Either.try((): unknown => JSON.parse(payload))

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const lengthOf = (value: unknown) => (typeof value === "string" ? value.length : 0)

const deltaLength = (delta: unknown): number => {
  if (!isRecord(delta)) return 0
  const tools: ReadonlyArray<unknown> = Array.isArray(delta["tool_calls"]) ? delta["tool_calls"] : []
  return tools.reduce<number>(
    (sum, tool) => sum + (isRecord(tool) && isRecord(tool["function"]) ? lengthOf(tool["function"]["arguments"]) : 0),
    lengthOf(delta["content"])
  )
}

/** Whether the caller wants the usage chunk. */
const asksForUsage = (body: ChatBody): boolean =>
  isRecord(body["stream_options"]) && body["stream_options"]["include_usage"] === true
