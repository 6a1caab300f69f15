import * as Effect from "effect/Effect"
import type { LoggedCommit } from "../../domain/learning/Fold.ts"
import type { Catalog } from "../../services/models/ModelCatalog.ts"

/** Logs, in every replica, which models an operator took out of the choice or back, and that none is left. */
export const logAvailability = (
  { events }: LoggedCommit,
  { models }: Catalog,
  disabled: ReadonlySet<string>
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const changes = events.flatMap((event) => (event.type === "availability" ? [event] : []))
    if (changes.length === 0) return Effect.void
    const told = changes.map(({ enabled, model }) =>
      Effect.logInfo(`Model ${model} is ${enabled ? "enabled" : "disabled"} by an operator`, { model_id: model })
    )
    const isLeft = models.some(({ id, unavailable }) => unavailable === null && !disabled.has(id))
    return Effect.zipRight(
      Effect.all(told, { discard: true }),
      isLeft
        ? Effect.void
        : Effect.logWarning("No model is enabled: requests are answered 503 until one is, by `conduit models enable`")
    )
  })
