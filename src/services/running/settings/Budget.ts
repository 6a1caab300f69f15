import * as Option from "effect/Option"
import * as Parse from "./Parsers.ts"
import type { ReadSetting } from "./Setting.ts"

/** One row a setting, in the order of the guide. */
export const budget = (setting: ReadSetting) =>
  ({
    usdPerDay: setting(
      "CONDUIT_BUDGET_USD_PER_DAY",
      Parse.optional(Parse.usd),
      Option.none(),
      "what all requests of the router may cost in a UTC day, by all replicas together; more are answered 429",
      "100"
    ),
    usdPerMonth: setting(
      "CONDUIT_BUDGET_USD_PER_MONTH",
      Parse.optional(Parse.usd),
      Option.none(),
      "the same of a UTC month",
      "2000"
    ),
    paced: setting(
      "CONDUIT_BUDGET_PACED",
      Parse.flag,
      false,
      "spread the router's budget over its day or month: while more is spent than that allows, dear answers lose score",
      "true"
    )
  }) as const
