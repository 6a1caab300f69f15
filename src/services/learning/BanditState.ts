import * as Context from "effect/Context"
import type { Charge } from "../../domain/learning/BudgetPacing.ts"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Decision, RoutingRequest } from "../../domain/routing/Decision.ts"
import type { Capability } from "../../domain/routing/Capability.ts"
import type { Model } from "../../domain/routing/Model.ts"
import { type Barrier, isBarrier } from "../../domain/routing/Constraint.ts"
import type { LearnedFacts } from "../../domain/learning/bandit/Hierarchical.ts"
import type { DecisionId, ModelId, Position } from "../../domain/basics/Ids.ts"
import { DatabaseErrorReason } from "../storage/Database.ts"
import type { Session } from "../routing/Sessions.ts"

/** What was learned, as a fold of the log, and the choices made with it. */
export interface BanditStateShape {
  /**
   * Chooses among the models that the masks leave. Synchronous and without I/O; a failure of the learning itself falls
   * back to the order of the configuration with reason `static`.
   */
  readonly decide: (input: DecideInput) => Decision | NoEligibleModel

  /** How often the evidence on the model has changed: a session keeps its model only within one epoch. */
  readonly epoch: (model: ModelId) => number

  /** What is known of each model of the catalogue, at a fixed reference point. */
  readonly learned: (model: ModelId) => LearnedModel

  /** Whether an operator took the model out of the choice; what was learned of it stays. */
  readonly isDisabled: (model: ModelId) => boolean

  /** The log position that is folded. */
  readonly position: () => Position

  /** Completes when that position is folded, or after a second. */
  readonly caughtUp: (position: Position) => Effect.Effect<void>
}

export class BanditState extends Context.Tag("conduit/services/BanditState")<BanditState, BanditStateShape>() {}

export interface DecideInput {
  readonly id: DecisionId
  readonly createdAtMillis: number
  readonly owner: string | null
  readonly request: RoutingRequest
  /** The base features of the prompt, without label slots. */
  readonly features: Float32Array
  /** What the session of the request has, if it is in one. */
  readonly session: Session | null
  /** The newest message is a tool's result: it belongs to the model that made the call. */
  readonly isToolResult: boolean
  /** What the choice is charged for money, by budgets that are paced. */
  readonly charge?: Charge
  /** How often the model's provider read from its cache where it could have, [0, 1]. */
  readonly cacheHits: (model: ModelId) => number
  /** What the request needs and the model cannot do. */
  readonly lacks: (model: Model) => Capability | null
  /** Of the request, as this model counts. */
  readonly inputTokens: (model: Model) => number
  /** What keeps the model from being called for now. */
  readonly barrier: (model: ModelId) => Barrier | null
}

/** At the reference point; the intervals of quality are the central 90 %, `observations` counts judged answers. */
export interface LearnedModel extends LearnedFacts {
  /** Share of the router's recent decisions, [0, 1]. */
  readonly share: number
}

/** The constraints leave no model, or the operators do. Barriers alone pass with time. */
export class NoEligibleModel extends Schema.TaggedError<NoEligibleModel>()("NoEligibleModel", {
  excluded: Schema.Array(Schema.Struct({ model: Schema.String, excludedBy: Schema.String })),
  /** Whether any model can be chosen at all, whatever a request asks for. */
  isAnyEnabled: Schema.Boolean.pipe(
    Schema.propertySignature,
    Schema.withConstructorDefault((): boolean => true)
  ),
  /** Seconds until the first barrier falls; null if nobody knows. */
  retryAfterSeconds: Schema.NullOr(Schema.Number).pipe(
    Schema.propertySignature,
    Schema.withConstructorDefault((): number | null => null)
  )
}) {
  override get message() {
    if (!this.isAnyEnabled) return "no model is enabled now: an operator has disabled every model"
    return `no model satisfies the request: ${this.excluded.map((e) => `${e.model} is excluded by ${e.excludedBy}`).join(", ")}`
  }
  /** Nothing but a barrier stands in the way of these models. */
  get kept(): ReadonlyArray<{ readonly model: string; readonly excludedBy: Barrier }> {
    return this.excluded.flatMap(({ excludedBy, model }) => (isBarrier(excludedBy) ? [{ model, excludedBy }] : []))
  }
  get passes(): boolean {
    return this.kept.length > 0
  }
  /** They have all asked to be left alone for a while. */
  get isLimited(): boolean {
    return this.passes && this.kept.every(({ excludedBy }) => excludedBy === "rate_limit")
  }
}

/** The phase `persist` could not store everything, or not the snapshot. */
export class PersistFailed extends Schema.TaggedError<PersistFailed>()("PersistFailed", {
  reason: DatabaseErrorReason,
  detail: Schema.String,
  unpersisted: Schema.Number
}) {
  override get message() {
    return `${this.detail}; ${this.unpersisted} event(s) not stored`
  }
}

export class PersistTimeout extends Schema.TaggedError<PersistTimeout>()("PersistTimeout", {
  limitMs: Schema.Number,
  unpersisted: Schema.Number
}) {
  override get message() {
    return `persisting did not end within ${this.limitMs} ms; ${this.unpersisted} event(s) not stored`
  }
}
