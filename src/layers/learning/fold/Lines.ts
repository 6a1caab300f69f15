import * as Effect from "effect/Effect"
import type { Position } from "../../../domain/basics/Ids.ts"
import type { Change } from "../../../domain/learning/bandit/Hierarchical.ts"
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

/** A model's answers are no longer what they were: every replica says so, at the same position of the log. */
export const changed = (change: Change): Effect.Effect<void> => {
  const { after, answers, before, direction, evidence, model, position, scope, since, task } = change
  const what = scope === "task" ? ` on task ${task}` : scope === "unlabelled" ? " on requests without a task" : ""
  const numbers =
    before === null || after === null
      ? "its answers are again as good as before it fell"
      : `${Math.round(answers ?? 0)} judged answers have mean ${after.toFixed(2)} where ${before.toFixed(2)} was expected`
  return Effect.logWarning(`model ${model} has changed (${direction})${what}: ${numbers}`, {
    model_id: model,
    scope,
    task,
    direction,
    position,
    since,
    evidence: Math.round(evidence)
  })
}
