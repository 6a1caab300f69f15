import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ModelId } from "../../src/domain/basics/Ids.ts"
import type { Model } from "../../src/domain/routing/Model.ts"
import { costReferenceUsd } from "../../src/domain/routing/Cost.ts"
import {
  type CallLimits,
  type ChatBody,
  LanguageModels,
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
  notices: []
})

export const failure = (
  model: string,
  reason: ProviderError["reason"],
  more: Partial<Pick<ProviderError, "status" | "retryAfterSeconds">> = {}
) => new ProviderError({ model, reason, status: null, retryAfterSeconds: null, detail: reason, ...more })

/** What a model does when it is called; `hangs` until it is interrupted. */
export type Script = "answers" | "hangs" | ProviderError | ReadonlyArray<string | ProviderError | "hangs">

/** Answers by script, by model id; an array is the payloads of a stream and how it goes wrong. */
export const scriptedModels = (scripts: Record<string, Script>) => {
  const calls: Array<{ readonly model: string; readonly body: ChatBody; readonly limits: CallLimits }> = []
  const interrupted: Array<string> = []
  let open = 0
  const hang = (id: string) => Effect.onInterrupt(Effect.never, () => Effect.sync(() => void interrupted.push(id)))
  const layer = Layer.succeed(
    LanguageModels,
    LanguageModels.of({
      complete: (model, body, limits) =>
        Effect.suspend(() => {
          calls.push({ model: model.id, body, limits })
          const script = scripts[model.id] ?? "answers"
          if (script === "hangs") return hang(model.id)
          if (script instanceof ProviderError) return script
          const usage = { inputTokens: 100, outputTokens: 50 }
          return Effect.succeed({ status: 200, body: { id: "x", model: model.upstream }, usage, finishReason: "stop" })
        }),
      stream: (model, body, limits) =>
        Effect.acquireRelease(
          Effect.sync(() => void open++),
          () => Effect.sync(() => void open--)
        ).pipe(
          Effect.flatMap(() => {
            calls.push({ model: model.id, body, limits })
            const script = scripts[model.id] ?? []
            if (script === "hangs") return hang(model.id)
            if (script instanceof ProviderError) return script
            const events = script === "answers" ? [] : [...script]
            return Effect.succeed({
              status: 200,
              next: Effect.suspend(() => {
                const event = events.shift()
                if (event === undefined) return Effect.succeed([])
                if (event === "hangs") return hang(model.id)
                return typeof event === "string" ? Effect.succeed([event]) : event
              })
            })
          })
        )
    })
  )
  return { layer, calls, interrupted, scripts, openStreams: () => open }
}
