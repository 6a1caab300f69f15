import type { ModelId } from "../basics/Ids.ts"
import type { Abilities } from "./Capability.ts"
import type { MoreRates } from "./Cost.ts"
import type { Dialect } from "./Dialect.ts"
import type { ModelParams } from "../models/ModelParams.ts"
import type { Retirement } from "../models/ModelList.ts"

/** How long an upstream may be silent, milliseconds; null where nobody said, then streams may be for a minute. */
export interface SilenceLimits {
  /** Until the head of its answer. */
  readonly firstByteMs: number | null
  /** Between two bytes after that, comments included. */
  readonly idleMs: number | null
}

/**
 * Who says how much a model takes: `conduit.yaml`, its provider's own list, the table of families or the catalogue of
 * prices, the nearest first; null where nobody does.
 */
export type LimitSource = "configuration" | "upstream" | "families" | "prices" | null
export interface LimitSources {
  readonly contextWindow: LimitSource
  readonly maxOutputTokens: LimitSource
}

/** One provider's model with its price and limits: in bandit terms an arm. */
export interface Model {
  readonly id: ModelId
  /** Name of the provider in the configuration. */
  readonly provider: string
  /** The name that the provider knows it by. */
  readonly upstream: string
  /** USD per million tokens; null where nobody stated a price, which is not the same as free. */
  readonly inputUsdPerMTok: number | null
  readonly outputUsdPerMTok: number | null
  /** Of the rarer kinds of tokens, and of long requests. */
  readonly moreRates: MoreRates
  /** Where the price came from, for people: a file's name, or the catalogue of prices and its entry. */
  readonly priceSource: string | null
  /** Tokens of prompt and answer together; null if unknown, then it excludes nothing. */
  readonly contextWindow: number | null
  /** Of an answer; null if unknown. */
  readonly maxOutputTokens: number | null
  /** Of the two; not there where nobody was asked. */
  readonly limitSources?: LimitSources
  /** Not there unless its provider announces its end. */
  readonly retirement?: Retirement
  /** As the configuration, the provider's list and the table of families say. */
  readonly abilities: Abilities
  readonly dialect: Dialect
  /** What it is asked where the caller does not say; not there where its entry asks nothing. */
  readonly params?: ModelParams
  readonly timeouts?: SilenceLimits
  /** Published or configured quality in [0, 1]; null if nothing is known. */
  readonly priorQuality: number | null
  /** How far the quality may well lie from it, as a standard deviation, (0, 1]; without one that of a guess. */
  readonly priorSd?: number
  /** It makes vectors and answers no chats. Those of one space can be compared, whichever model of it made them. */
  readonly embeddings?: { readonly space: string }
  /** Why it cannot be chosen (no key, disabled), or null if it can. */
  readonly unavailable: string | null
  readonly simulated: boolean
}
