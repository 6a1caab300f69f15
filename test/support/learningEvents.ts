import { DecisionId, ModelId, uuidV7From } from "../../src/domain/basics/Ids.ts"
import type { ModelEvent, QualityEvent, RunEvent } from "../../src/domain/learning/LearningEvent.ts"
import { uniform } from "../../src/domain/basics/Rng.ts"

/** Uniform numbers that are the same in every run. */
export const seeded = (seed: string): (() => number) => {
  let count = 0
  return () => uniform(`${seed}|${count++}`)
}

/** The same decision id for the same number. */
export const decisionId = (n: number): DecisionId => {
  const bytes = new Uint8Array(10)
  new DataView(bytes.buffer).setFloat64(2, n)
  return DecisionId(uuidV7From(1_767_225_600_000 + n, bytes))
}

export const modelEvent = (model: string, priorQuality: number | null = null): ModelEvent => ({
  type: "model",
  model: ModelId(model),
  priorQuality
})

export const runEvent = (
  n: number,
  model: string,
  x: ReadonlyArray<number>,
  rest: Partial<RunEvent> = {}
): RunEvent => ({
  type: "run",
  decisionId: decisionId(n),
  model: ModelId(model),
  task: null,
  features: Float32Array.from(x),
  ok: true,
  logOutputTokens: 5,
  latencyScore: 0.5,
  ...rest
})

/** A first judgement of full weight, of a decision that nothing has overtaken. */
export const qualityEvent = (
  n: number,
  model: string,
  x: ReadonlyArray<number>,
  quality: number,
  rest: Partial<QualityEvent> = {}
): QualityEvent => ({
  type: "quality",
  decisionId: decisionId(n),
  model: ModelId(model),
  task: null,
  features: Float32Array.from(x),
  decidedAt: Number.MAX_SAFE_INTEGER,
  quality,
  weight: 1,
  previous: null,
  ...rest
})
