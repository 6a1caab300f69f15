import * as Effect from "effect/Effect"
import type { Position } from "../../../domain/basics/Ids.ts"
import type { LearningEvent } from "../../../domain/learning/LearningEvent.ts"

/** What one fold took in: how many events of which kind, about which models. */
export const folded = (commit: {
  readonly position: Position
  readonly events: ReadonlyArray<LearningEvent>
}): Effect.Effect<void> => {
  const kinds: Record<string, number> = {}
  const models = new Set<string>()
  for (const event of commit.events) {
    kinds[event.type] = (kinds[event.type] ?? 0) + 1
    if (event.type !== "reload") models.add(event.model)
  }
  return Effect.logDebug("folded", {
    position: commit.position,
    events: commit.events.length,
    kinds,
    models: [...models]
  })
}
