import * as Effect from "effect/Effect"
import type { Position } from "../../domain/basics/Ids.ts"
import type { LoggedCommit } from "../../domain/learning/Fold.ts"
import type { LearningEvent } from "../../domain/learning/LearningEvent.ts"
import type { Catalog } from "../../services/models/ModelCatalog.ts"

/** Logs, in every replica, what operators said of models by the command line. */
export const logOperators = (
  { events, position }: LoggedCommit,
  { models }: Catalog,
  disabled: ReadonlySet<string>
): Effect.Effect<void> =>
  Effect.suspend(() => {
    // Most commits hold what requests did, and nothing of operators.
    if (events.every(({ type }) => type === "run" || type === "quality")) return Effect.void
    const told = events.flatMap((event) => said(event, position) ?? [])
    if (!events.some(({ type }) => type === "availability")) return Effect.all(told, { discard: true })
    const isLeft = models.some(({ id, unavailable }) => unavailable === null && !disabled.has(id))
    return Effect.zipRight(
      Effect.all(told, { discard: true }),
      isLeft
        ? Effect.void
        : Effect.logWarning("No model is enabled: requests are answered 503 until one is, by `conduit models enable`")
    )
  })

const said = (event: LearningEvent, position: Position): Effect.Effect<void> | null => {
  switch (event.type) {
    case "availability": {
      const { enabled, model } = event
      return Effect.logInfo(`Model ${model} is ${enabled ? "enabled" : "disabled"} by an operator`, {
        model_id: model,
        position
      })
    }
    case "verdict": {
      const { by, model, verdict } = event
      return Effect.logInfo(
        `The newest change of model ${model} is ${verdict === "confirm" ? "confirmed" : "dismissed"} by ${by}`,
        { model_id: model, position }
      )
    }
    default:
      return null
  }
}
