import { encodeEvents } from "../../src/domain/learning/EventCodec.ts"
import type { LearningEvent } from "../../src/domain/learning/LearningEvent.ts"
import { dimension } from "../../src/domain/routing/LexicalFeatures.ts"
import { modelEvent, qualityEvent, runEvent, seeded } from "../../test/support/learningEvents.ts"

export const modelIds = Array.from({ length: 12 }, (_, k) => `model-${k}`)

/** Payloads of a log: the models, then an outcome and a judgement for each decision, so many events a commit. */
export function* payloads(events: number, eventsPerCommit: number, withModels = true): Generator<Uint8Array> {
  const random = seeded(`events ${events}`)
  let commit: Array<LearningEvent> = withModels ? modelIds.map((id, k) => modelEvent(id, 0.4 + k / 30)) : []
  if (commit.length > 0) yield encodeEvents(commit)
  commit = []
  for (let i = 0; i < events; i++) {
    const decision = i >> 1
    // Some models answer much more often than others.
    const model = modelIds[((decision * 7) % 12) & (decision % 3 === 0 ? 15 : 3)] ?? "model-0"
    const x = Array.from({ length: dimension }, (_, j) => (j === 0 ? 1 : random() - 0.5))
    commit.push(
      i % 2 === 0
        ? runEvent(decision, model, x, { logOutputTokens: 5 + random(), latencyScore: random() })
        : qualityEvent(decision, model, x, random())
    )
    if (commit.length < eventsPerCommit && i + 1 < events) continue
    yield encodeEvents(commit)
    commit = []
  }
}
