// What learning costs: decoding and folding the log, predicting, choosing, extracting features, a snapshot.
import * as Either from "effect/Either"
import * as H from "../src/domain/learning/bandit/Hierarchical.ts"
import { choose } from "../src/domain/routing/Choice.ts"
import { decodeEvents, encodeEvents } from "../src/domain/learning/EventCodec.ts"
import { ModelId, type DecisionId, RouterId } from "../src/domain/basics/Ids.ts"
import type { LearningEvent } from "../src/domain/learning/LearningEvent.ts"
import { noMoreRates } from "../src/domain/routing/Cost.ts"
import { extract } from "../src/domain/routing/LexicalFeatures.ts"
import type { Model } from "../src/domain/routing/Model.ts"
import { normalise, preferences } from "../src/domain/routing/Weights.ts"
import { decide } from "../src/layers/learning/fold/Deciding.ts"
import { uniform } from "../src/domain/basics/Rng.ts"
import { decisionId } from "../test/support/learningEvents.ts"

let count = 0
const random = () => uniform(`fold|${count++}`)
const models = Array.from({ length: 12 }, (_, k) => ModelId(`model-${k}`))

const events: Array<LearningEvent> = models.map((model, k) => ({ type: "model", model, priorQuality: 0.4 + k / 30 }))
for (let i = 0; i < 30_000; i++) {
  const id: DecisionId = decisionId(i)
  const model = models[Math.floor(random() * random() * 12)] ?? ModelId("model-0")
  const features = Float32Array.from({ length: 24 }, (_, j) => (j === 0 ? 1 : random() - 0.5))
  const shared = { decisionId: id, model, task: null, features }
  events.push({ type: "run", ...shared, ok: true, logOutputTokens: 5 + random(), latencyScore: random() })
  events.push({ type: "quality", ...shared, decidedAt: i, quality: random(), weight: 1, previous: null })
}
const payloads = Array.from({ length: Math.ceil(events.length / 20) }, (_, i) =>
  encodeEvents(events.slice(i * 20, i * 20 + 20))
)

const print = (what: string, value: number, unit: string) =>
  console.log(`${what.padEnd(44)} ${value.toFixed(value < 100 ? 1 : 0).padStart(9)} ${unit}`)

const microseconds = (runs: number, run: (i: number) => void): number => {
  for (let i = 0; i < runs / 5; i++) run(i)
  const started = performance.now()
  for (let i = 0; i < runs; i++) run(i)
  return ((performance.now() - started) * 1000) / runs
}

let state = H.make(H.defaultParameters, 24)
for (let round = 0; round < 3; round++) {
  state = H.make(H.defaultParameters, 24)
  const started = performance.now()
  for (const [position, payload] of payloads.entries()) {
    for (const event of Either.getOrThrow(decodeEvents(payload))) H.fold(state, position + 1, event)
  }
  const seconds = (performance.now() - started) / 1000
  print(`decode and fold, 12 models, d 24, round ${round + 1}`, events.length / seconds, "events/s")
}
print("bytes an event", payloads.reduce((sum, p) => sum + p.length, 0) / events.length, "bytes")

const ten = models.slice(0, 10)
const x = Float32Array.from({ length: 24 }, (_, j) => (j === 0 ? 1 : 0.1))
print(
  "predict 10 models",
  microseconds(5000, () => ten.forEach((model) => H.predict(state, model, null, null, x))),
  "us"
)
const after = (i: number) => {
  const event = events[12 + (i % 60_000)]
  if (event !== undefined) H.fold(state, 10_000 + i, event)
  for (const model of ten) H.predict(state, model, null, null, x)
}
print("fold 1 event, predict 10 models", microseconds(5000, after), "us")
const options = ten.map((model) => {
  const prediction = H.predict(state, model, null, null, x)
  return {
    ...prediction,
    model,
    eligible: true,
    excludedBy: null,
    mean: prediction.quality,
    sd: prediction.qualitySd,
    rise: prediction.qualityRise,
    costUsd: 0.001
  }
})
const draw = (i: number) =>
  choose({
    candidates: options,
    epsilon: 0.01,
    control: 0.01,
    mostProbes: 0.2,
    seed: "seed",
    key: `${i}`,
    decisionId: `${i}`
  })
print("choose among 10, with propensities", microseconds(5000, draw), "us")
const catalogued = ten.map((id, k): Model => ({
  id,
  provider: "bench",
  upstream: id,
  inputUsdPerMTok: 0.1,
  outputUsdPerMTok: 1 + k,
  moreRates: noMoreRates,
  priceSource: null,
  contextWindow: 128_000,
  maxOutputTokens: null,
  abilities: {},
  dialect: {},
  priorQuality: 0.4 + k / 30,
  unavailable: null,
  simulated: false
}))
const deciding = {
  catalog: {
    models: catalogued,
    byId: new Map(catalogued.map((model) => [model.id, model])),
    providers: new Map(),
    aliases: [],
    policy: { algorithm: "auto" as const, preference: "balanced" as const },
    costReferenceUsd: 0.001,
    source: "bench",
    shippedPrice: () => null,
    notices: []
  },
  disabled: new Set<string>(),
  router: { id: RouterId("bench"), seed: "seed" },
  featuresVersion: "bench"
}
const decideOf = (count: number) => {
  const models = catalogued.slice(0, count)
  const among = { ...deciding, catalog: { ...deciding.catalog, models } }
  return (i: number) => {
    const text = `Question ${i}: explain in two sentences why the sky is blue at noon and red at dusk.`
    decide(among, state, 1, {
      id: decisionId(i),
      createdAtMillis: i,
      owner: null,
      request: {
        text,
        inputTokens: 40,
        needs: [],
        maxTokens: null,
        stream: false,
        task: null,
        preference: "balanced",
        isPreferenceStated: false,
        weights: normalise(preferences.balanced),
        constraints: {},
        userId: null,
        sessionId: null,
        pinned: null,
        askedModel: null,
        fallback: false,
        isRetry: false
      },
      features: extract(text),
      session: null,
      isToolResult: false,
      cacheHits: () => 0.9,
      lacks: () => null,
      inputTokens: () => 40,
      barrier: () => null
    })
  }
}
for (const count of [3, 10]) {
  const rounds = Array.from({ length: 15 }, () => microseconds(2000, decideOf(count)))
  print(`decide among ${count}, features and all`, Math.min(...rounds), "us, the best of 15 rounds")
}
const prompt = "Write a function that computes the sum of 12 numbers, and explain why it works. ".repeat(10)
print(
  "extract 800 characters",
  microseconds(5000, () => extract(prompt)),
  "us"
)
print(
  "extract 8,000 characters",
  microseconds(1000, () => extract(prompt.repeat(10))),
  "us"
)
const bytes = H.encode(state)
print("snapshot, 12 models", bytes.length / 1024, "KiB")
print(
  "encode",
  microseconds(200, () => H.encode(state)),
  "us"
)
print(
  "decode",
  microseconds(200, () => Either.getOrThrow(H.decode(bytes, H.defaultParameters, 24))),
  "us"
)
