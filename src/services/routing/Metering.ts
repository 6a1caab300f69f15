import * as Context from "effect/Context"
import * as Schema from "effect/Schema"
import type { Charge } from "../../domain/learning/BudgetPacing.ts"
import type * as Effect from "effect/Effect"
import type { KeyHolder } from "../../domain/access/ApiKey.ts"
import type { Spending } from "../storage/BudgetStore.ts"
import type { DatabaseError } from "../storage/Database.ts"

/** What bounds the use of keys and of the router: limits a minute and at once, and budgets. */
export interface MeteringShape {
  /** A plain function, as every request asks. Null where nothing bounds it. `tell` is given header fields for whatever is answered, and may be called again. */
  readonly of: (key: KeyHolder | null, tell: (headers: Readonly<Record<string, string>>) => void) => Meter | null
  /** The router's budget if that is asked for, then those of the keys; who has none is left out. */
  readonly budgets: (
    keys: ReadonlyArray<KeyHolder>,
    withRouter: boolean
  ) => Effect.Effect<ReadonlyArray<BudgetState>, DatabaseError>
}

/** A budget as it is now. */
export interface BudgetState extends Spending {
  readonly subject: "router" | "key"
  readonly name: string
  readonly usdPerDay: number | null
  readonly usdPerMonth: number | null
  readonly paced: boolean
  /** What this replica's last choice was charged for it; null where it is not paced, or this replica has chosen nothing yet. */
  readonly charge: Charge | null
}

export class Metering extends Context.Tag("conduit/services/Metering")<Metering, MeteringShape>() {}

/** Why a request is not begun; null where nothing stands in its way. */
export type Bounded = LimitReached | BudgetSpent | BudgetUnavailable | null

/** One request that asks models: `enter`, then perhaps `reserve`, `used` and `stored`, and `leave` in any case. */
export interface Meter {
  /** Calls back once, perhaps at once. */
  readonly enter: (inputTokens: number, entered: (bounded: Bounded) => void) => void
  /** What its choice is charged for money, by the budgets that are paced; null where none is. Once for each request. */
  readonly charge: () => Charge | null
  /** Puts aside what the calls of the request may cost, in USD. Calls back once, perhaps at once. */
  readonly reserve: (cost: ExpectedCost, reserved: (bounded: Bounded) => void) => void
  /** What it used and cost in the end; null is unknown. */
  readonly used: (tokens: number, costUsd: number | null, outputTokens: number | null) => void
  /** Its row is stored, or never will be. */
  readonly stored: (isStored: boolean) => void
  readonly leave: () => void
}

export interface ExpectedCost {
  readonly model: string
  /** Of the model for this request, as learned; null where the price is unknown. */
  readonly expectedUsd: number | null
  /** Of so many output tokens. */
  readonly usdOf: (outputTokens: number) => number | null
  /** Null where the request says none. */
  readonly maxTokens: number | null
}

/** Of one replica alone, or of all that share a Redis. */
export const Counted = Schema.Literal("shared", "replica")
export type Counted = typeof Counted.Type

export class LimitReached extends Schema.TaggedError<LimitReached>()("LimitReached", {
  key: Schema.String,
  limit: Schema.Literal("requests_per_minute", "tokens_per_minute", "concurrent_requests"),
  most: Schema.Number,
  counted: Counted,
  retryAfterSeconds: Schema.Number
}) {
  override get message() {
    const by = this.counted === "shared" ? "all replicas together" : "this replica"
    return `the limit of ${this.key} is reached: ${this.most} ${this.limit}, counted by ${by}`
  }
}

export class BudgetSpent extends Schema.TaggedError<BudgetSpent>()("BudgetSpent", {
  /** Of a key, or of the router. */
  whose: Schema.String,
  period: Schema.Literal("day", "month"),
  limitUsd: Schema.Number,
  spentUsd: Schema.Number,
  resetsAtMillis: Schema.Number,
  retryAfterSeconds: Schema.Number
}) {
  override get message() {
    return `the budget of ${this.whose} is used up: ${this.limitUsd} USD a ${this.period}, of which ${Number(this.spentUsd.toFixed(9))} are spent and the rest is put aside for requests under way; the next ${this.period} begins at ${new Date(this.resetsAtMillis).toISOString()}`
  }
}

/** What is left of a budget is in the database, which does not answer, and what this replica held of it is used up. */
export class BudgetUnavailable extends Schema.TaggedError<BudgetUnavailable>()("BudgetUnavailable", {
  whose: Schema.String
}) {
  override get message() {
    return `what is left of the budget of ${this.whose} is not known while the database is away: send it again in a moment`
  }
}
