import { encodeEvents } from "../../src/domain/learning/EventCodec.ts"
import type { LearningEvent } from "../../src/domain/learning/LearningEvent.ts"
import { dimension } from "../../src/domain/routing/LexicalFeatures.ts"
import { modelEvent, qualityEvent, runEvent, seeded } from "../../test/support/learningEvents.ts"

export const modelIds = Array.from({ length: 12 }, (_, k) => `model-${k}`)

/** What each log begins with. */
export const firstEvents = (): ReadonlyArray<LearningEvent> => modelIds.map((id, k) => modelEvent(id, 0.4 + k / 30))

/** An outcome and a judgement for each decision, in turn. */
export function* eventsOf(count: number): Generator<LearningEvent> {
  const random = seeded(`events ${count}`)
  for (let i = 0; i < count; i++) {
    const decision = i >> 1
    // Some models answer much more often than others.
    const model = modelIds[((decision * 7) % 12) & (decision % 3 === 0 ? 15 : 3)] ?? "model-0"
    const x = Array.from({ length: dimension }, (_, j) => (j === 0 ? 1 : random() - 0.5))
    yield i % 2 === 0
      ? runEvent(decision, model, x, { logOutputTokens: 5 + random(), latencyScore: random() })
      : qualityEvent(decision, model, x, random())
  }
}

/** Payloads of a log: the models, then so many events a commit. */
export function* payloads(events: number, eventsPerCommit: number, withModels = true): Generator<Uint8Array> {
  if (withModels) yield encodeEvents(firstEvents())
  let commit: Array<LearningEvent> = []
  for (const event of eventsOf(events)) {
    commit.push(event)
    if (commit.length < eventsPerCommit) continue
    yield encodeEvents(commit)
    commit = []
  }
  if (commit.length > 0) yield encodeEvents(commit)
}
