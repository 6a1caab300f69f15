import type { Capability } from "./Capability.ts"

/** What the chosen model must satisfy. It is a mask: applied before the choice, never traded against the score. */
export interface Constraints {
  /** Upper bound on the expected cost of the request, USD. */
  readonly max_cost_usd?: number
  /** Upper bound on the expected latency in milliseconds: of the whole call, or of the first token of a stream. */
  readonly max_latency_ms?: number
  /** Lower bound on the predicted quality, [0, 1]. */
  readonly min_quality?: number
  readonly allowed_models?: ReadonlyArray<string>
  /** Name of the only provider allowed. */
  readonly provider?: string
}

/** What keeps a model away for a while: it failed again and again, or it asked to be left alone. */
const barriers = ["circuit", "rate_limit"] as const
export type Barrier = (typeof barriers)[number]

/** What can exclude a model; the first five are the constraint's own key. */
export const exclusions = [
  "max_cost_usd",
  "max_latency_ms",
  "min_quality",
  "allowed_models",
  "provider",
  "context",
  "price_unknown",
  "disabled",
  "operation",
  "switch_budget",
  "capability:vision",
  "capability:audio",
  "capability:files",
  "capability:tools",
  "capability:json_schema",
  "capability:reasoning",
  "capability:logprobs",
  "capability:choices",
  "capability:native_tools",
  ...barriers
] as const satisfies ReadonlyArray<
  | keyof Constraints
  | Barrier
  | `capability:${Capability}`
  | "context"
  | "price_unknown"
  | "disabled"
  | "operation"
  | "switch_budget"
>
export type ExcludedBy = (typeof exclusions)[number]

export const isBarrier = (excludedBy: string | null): excludedBy is Barrier =>
  barriers.some((barrier) => barrier === excludedBy)

/** What a mask looks at, for one model and one request. */
export interface Prospect {
  readonly model: string
  readonly provider: string
  readonly unavailable: boolean
  /** It does what the request asks for: chats, or embeddings. */
  readonly serves: boolean
  readonly barrier: Barrier | null
  /** What the request needs and the model cannot do. */
  readonly lacks: Capability | null
  readonly contextWindow: number | null
  readonly quality: number
  /** Null where the price is unknown. */
  readonly costUsd: number | null
  readonly latencySeconds: number
}

/** The first thing that excludes the model, or null if it is eligible. A barrier is named last: only it passes with time. */
export const excludedBy = (
  prospect: Prospect,
  constraints: Constraints,
  request: { readonly inputTokens: number; readonly maxTokens: number | null }
): ExcludedBy | null => {
  if (prospect.unavailable) return "disabled"
  if (!prospect.serves) return "operation"
  if (constraints.allowed_models !== undefined && !constraints.allowed_models.includes(prospect.model))
    return "allowed_models"
  if (constraints.provider !== undefined && constraints.provider !== prospect.provider) return "provider"
  if (prospect.lacks !== null) return `capability:${prospect.lacks}`
  if (prospect.contextWindow !== null && request.inputTokens + (request.maxTokens ?? 0) > prospect.contextWindow)
    return "context"
  if (constraints.max_cost_usd !== undefined) {
    if (prospect.costUsd === null) return "price_unknown"
    if (prospect.costUsd > constraints.max_cost_usd) return "max_cost_usd"
  }
  if (constraints.max_latency_ms !== undefined && prospect.latencySeconds * 1000 > constraints.max_latency_ms)
    return "max_latency_ms"
  if (constraints.min_quality !== undefined && prospect.quality < constraints.min_quality) return "min_quality"
  return prospect.barrier
}
