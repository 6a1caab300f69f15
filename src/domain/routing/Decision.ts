import type { Charge } from "../learning/BudgetPacing.ts"
import type { Capability } from "./Capability.ts"
import type { Constraints } from "./Constraint.ts"
import type { ProtocolName } from "../models/canonical/Conversation.ts"
import type { Bill } from "./ConversationCost.ts"
import type { DecisionId, ModelId, Position, RouterId } from "../basics/Ids.ts"
import type { Preference, Weights } from "./Weights.ts"

/** What a model is for besides chats. */
export type Operation = "embeddings"

/** What routing looks at in a request: the text itself is used for features and then forgotten. */
export interface RoutingRequest {
  /** The text of the prompt, all parts of all messages, newest last. */
  readonly text: string
  /** Estimated tokens of all that is sent. */
  readonly inputTokens: number
  /** What a model must be capable of. */
  readonly needs: ReadonlyArray<Capability>
  /** The caller's limit on the answer's tokens. */
  readonly maxTokens: number | null
  readonly stream: boolean
  /** What is asked of the model; a chat where it is not there. */
  readonly operation?: Operation
  /** In which it is asked, where that is not OpenAI's chat: what only one protocol has, only its upstreams can do. */
  readonly protocol?: ProtocolName
  readonly task: string | null
  readonly preference: Preference
  /** By the caller, and not by the policy. */
  readonly isPreferenceStated: boolean
  /** Normalised to sum 1. */
  readonly weights: Weights
  readonly constraints: Constraints
  readonly userId: string | null
  readonly sessionId: string | null
  /** The model the caller named instead of `auto`. */
  readonly pinned: ModelId | null
  /** The name that the caller gave, where it is an alias. */
  readonly askedModel: string | null
  /** Whether a pinned model may fall back to another one. */
  readonly fallback: boolean
  /** The client says that it sends this again. */
  readonly isRetry: boolean
}

/** Why the model was chosen. `fallback`: another one answered. `observe`: it serves while choices are only looked at. */
export const reasons = [
  "best",
  "explore",
  "probe",
  "pinned",
  "session",
  "only_eligible",
  "fallback",
  "control",
  "observe",
  "static"
] as const
export type Reason = (typeof reasons)[number]

/** Reasons of a choice that was drawn, with a propensity that says how likely it was. */
export const drawnReasons = [
  "best",
  "explore",
  "probe",
  "control",
  "only_eligible"
] as const satisfies ReadonlyArray<Reason>
export type DrawnReason = (typeof drawnReasons)[number]

/** One model as the decision saw it. Numbers are rounded to six significant digits, so that a float4 column keeps them. */
export interface Candidate {
  readonly model: ModelId
  readonly eligible: boolean
  /** One of `exclusions`; a replica of a later version may have stored a word that this one does not know. */
  readonly excludedBy: string | null
  /** Predicted quality, success rate included, [0, 1]. */
  readonly quality: number
  readonly qualitySd: number
  /** Expected USD of this request; null where the price is unknown. */
  readonly costUsd: number | null
  /** Where turns of a session are weighed: what a turn costs on average over this one and those to come, USD. */
  readonly conversationUsd?: number | null
  readonly latencySeconds: number
  /** The score that was drawn; 0 if not eligible. */
  readonly score: number
  /** Probability that this request's draw would choose it; 0 if not eligible. */
  readonly propensity: number
}

/** One routing choice, complete enough to replay it from the row alone. */
export interface Decision {
  readonly id: DecisionId
  readonly createdAtMillis: number
  readonly routerId: RouterId
  /** The key that made it, hashed; null without keys. Another key cannot see it. */
  readonly owner: string | null
  readonly policy: { readonly algorithm: string; readonly version: string; readonly position: Position }
  readonly request: {
    readonly task: string | null
    readonly preference: Preference
    readonly weights: Weights
    readonly constraints: Constraints
    /** The name that the caller gave, where it is an alias of `conduit.yaml`. */
    readonly askedModel: string | null
    readonly userId: string | null
    readonly sessionId: string | null
    readonly stream: boolean
    readonly inputTokens: number
    readonly maxTokens: number | null
    readonly featuresVersion: string
  }
  /** Float32, so that the stored row and the memory agree to the bit. */
  readonly features: Float32Array
  readonly candidates: ReadonlyArray<Candidate>
  /** The first choice; what answered after a fallback stands in the outcome. */
  readonly chosen: ModelId
  readonly propensity: number
  /** One of `reasons`, or a word that a replica of a later version has stored. */
  readonly reason: string
  readonly exploration: boolean
  /** What the draw was keyed with. */
  readonly seed: string
  /** What money was charged, where a budget is paced. */
  readonly pacing?: Charge
  /** Where turns of a session are weighed, for the next one; not stored. */
  readonly turn?: DecidedTurn
}

/** What is noted of a turn when its model is chosen. */
export interface DecidedTurn {
  /** The model of the session's first turn. */
  readonly first: ModelId
  /** Of the session, with this turn as it is expected. */
  readonly bill: Bill
  /** The chosen model's provider may have the prefix in its cache. */
  readonly isWarm: boolean
}

/** The models to try, best first: the chosen one, then the other eligible ones by their drawn score. */
export const ranking = ({ candidates, chosen }: Decision): ReadonlyArray<ModelId> => {
  const others: Array<Candidate> = []
  for (const candidate of candidates) {
    if (!candidate.eligible || candidate.model === chosen) continue
    // Put where it belongs: they are few, and this is done for every request.
    let place = others.length
    for (let before = others[place - 1]; before !== undefined && before.score < candidate.score; place--) {
      others[place] = before
      before = others[place - 2]
    }
    others[place] = candidate
  }
  const models = [chosen]
  for (const { model } of others) models.push(model)
  return models
}
