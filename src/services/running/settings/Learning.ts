import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Parse from "./Parsers.ts"
import type { ReadSetting } from "./Setting.ts"

export const learning = (setting: ReadSetting) =>
  ({
    routerId: setting(
      "CONDUIT_ROUTER_ID",
      Parse.optional(Parse.routerId),
      Option.none(),
      "name of the shared learning state",
      "chat-prod",
      { shown: "generated once and remembered in the database" }
    ),
    /** As much can be lost to `kill -9`. */
    flushInterval: setting(
      "CONDUIT_FLUSH_INTERVAL",
      Parse.duration({ maximum: Duration.hours(1) }),
      Duration.millis(50),
      "implicit outcomes are stored at the latest after this",
      "1 second"
    ),
    maxPending: setting(
      "CONDUIT_MAX_PENDING",
      Parse.integer(1, 10_000_000),
      50_000,
      "outcomes that wait for the database; beyond it the oldest are dropped and counted",
      "200000"
    ),
    feedbackExpiry: setting(
      "CONDUIT_FEEDBACK_EXPIRY",
      Parse.duration({ maximum: Parse.tenYears }),
      Duration.days(7),
      "feedback for an older decision is refused",
      "30 days"
    ),
    maxParked: setting(
      "CONDUIT_MAX_PARKED",
      Parse.integer(0, 10_000_000),
      10_000,
      "feedback that waits for its decision; more is answered 503",
      "100000"
    ),
    storePrompts: setting(
      "CONDUIT_STORE_PROMPTS",
      Parse.flag,
      false,
      "the text of prompts is stored with their decisions, at most 100000 characters of each",
      "true"
    )
  }) as const

/** How long rows are kept. */
export const retention = (setting: ReadSetting) => {
  const age = Parse.duration({ maximum: Parse.tenYears })
  return {
    decisions: setting(
      "CONDUIT_DECISION_RETENTION",
      age,
      Duration.days(90),
      "older decisions are deleted with their feedback; never before `CONDUIT_FEEDBACK_EXPIRY`",
      "30 days"
    ),
    log: setting(
      "CONDUIT_LOG_RETENTION",
      age,
      Duration.days(365),
      "older commits of the learning log are deleted once two snapshots cover them",
      "90 days"
    ),
    prompts: setting("CONDUIT_PROMPT_RETENTION", age, Duration.days(7), "older stored prompts are deleted", "1 day"),
    parked: setting(
      "CONDUIT_PARKED_EXPIRY",
      age,
      Duration.days(7),
      "feedback whose decision has not appeared after this is deleted",
      "1 day"
    )
  } as const
}
