import { createHash } from "node:crypto"
import type { DecisionRecord, OutcomeReport } from "../../src/domain/routing/DecisionRecord.ts"
import type { FeedbackSubmission } from "../../src/domain/learning/Feedback.ts"
import { DecisionId, ModelId, type RouterId, uuidV7From } from "../../src/domain/basics/Ids.ts"
import type { Outcome } from "../../src/domain/routing/Outcome.ts"
import type { Commit } from "../../src/services/storage/Database.ts"

const startMillis = 1_767_225_600_000
let made = 0

/** A UUIDv7 of a fixed time and a running number. */
export const nextId = (): string => {
  made++
  return uuidV7From(startMillis + made, createHash("sha256").update(`${process.pid}-${made}`).digest())
}

const f32 = (value: number) => Number(new Float32Array([value])[0]?.toPrecision(6))
export const small = ModelId("small")
export const large = ModelId("large")

export const answered = (model: ModelId = small): Outcome => ({
  model,
  ok: true,
  aborted: false,
  finishReason: "stop",
  inputTokens: 120,
  outputTokens: 180,
  costUsd: 0.0000300000000123,
  latencyMs: 812.25,
  firstTokenMs: null,
  error: null,
  details: null
})

/** A decision between two models with an answer of the small one. */
export const recordOf = (
  routerId: RouterId,
  overrides: Partial<DecisionRecord> & {
    readonly owner?: string | null
    readonly features?: Float32Array
    readonly seed?: string
    readonly request?: Partial<DecisionRecord["decision"]["request"]>
  } = {}
): DecisionRecord => {
  const id = DecisionId(nextId())
  const outcome = overrides.outcome === undefined ? answered() : overrides.outcome
  return {
    decision: {
      id,
      createdAtMillis: Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16),
      routerId,
      owner: overrides.owner ?? null,
      policy: { algorithm: "thompson", version: "1", position: 3 },
      request: {
        task: "code",
        preference: "balanced",
        weights: { quality: 0.25, cost: 0.25, latency: 0.5 },
        constraints: { max_cost_usd: 0.01, allowed_models: ["small", "large"] },
        userId: "user",
        sessionId: null,
        stream: false,
        inputTokens: 30.5,
        maxTokens: 4e12,
        askedModel: null,
        featuresVersion: "lexical-1",
        ...overrides.request
      },
      features: overrides.features ?? Float32Array.from({ length: 24 }, (_, i) => Math.sin(i + 1)),
      candidates: [
        {
          model: small,
          eligible: true,
          excludedBy: null,
          quality: f32(0.712345),
          qualitySd: f32(0.0412345),
          costUsd: f32(0.0000412345),
          latencySeconds: f32(0.812345),
          score: f32(0.781234),
          propensity: 1
        },
        {
          model: large,
          eligible: false,
          excludedBy: "max_cost_usd",
          quality: f32(0.9),
          qualitySd: f32(0.01),
          costUsd: null,
          latencySeconds: f32(1.5),
          score: 0,
          propensity: 0
        }
      ],
      chosen: small,
      propensity: 0.123456789012345,
      reason: "best",
      exploration: false,
      seed: overrides.seed ?? "seed"
    },
    attempts:
      overrides.attempts ??
      (outcome === null
        ? []
        : [{ model: small, ok: outcome.ok, status: 200, latencyMs: 812.25, error: outcome.error }]),
    outcome,
    prompt: overrides.prompt ?? null
  }
}

export const feedbackOn = (decisionId: DecisionId, overrides: Partial<FeedbackSubmission> = {}): FeedbackSubmission => {
  const id = nextId()
  return {
    id,
    decisionId,
    kind: "score",
    value: 0.9,
    confidence: 1,
    comment: null,
    source: "api",
    idempotencyKey: id,
    createdAtMillis: startMillis + made,
    owner: null,
    ...overrides
  }
}

export const reportOn = (decisionId: DecisionId, overrides: Partial<OutcomeReport> = {}): OutcomeReport => ({
  decisionId,
  ok: true,
  inputTokens: 10,
  outputTokens: 20,
  latencyMs: 2000,
  error: null,
  owner: null,
  ...overrides
})

export const commitOf = (routerId: RouterId, parts: Partial<Commit>): Commit => ({
  routerId,
  commitId: nextId(),
  decisions: [],
  reports: [],
  feedback: [],
  events: [],
  joined: [],
  maxParked: 1000,
  ...parts
})
