import type { Asker } from "../basics/Owner.ts"
import type { Decision } from "./Decision.ts"
import type { Attempt, Outcome } from "./Outcome.ts"

/** A decision with what came of it: one row of `decisions`. */
export interface DecisionRecord {
  readonly decision: Decision
  readonly attempts: ReadonlyArray<Attempt>
  /** Null for a decision of `/v1/route` that nobody reported on yet. */
  readonly outcome: Outcome | null
  /** The text that was routed; null unless the settings say that prompts are stored. */
  readonly prompt: string | null
}

/** What the caller of `/v1/route` says about the call that it made itself. */
export interface OutcomeReport extends Asker {
  readonly decisionId: Decision["id"]
  readonly ok: boolean
  readonly inputTokens: number | null
  readonly outputTokens: number | null
  readonly latencyMs: number | null
  readonly error: string | null
}
