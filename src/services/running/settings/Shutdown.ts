import * as Duration from "effect/Duration"
import * as Parse from "./Parsers.ts"
import type { ReadSetting } from "./Setting.ts"

export const shutdown = (setting: ReadSetting) =>
  ({
    drainTimeout: setting(
      "CONDUIT_SHUTDOWN_TIMEOUT",
      Parse.duration({ zero: true }),
      Duration.seconds(30),
      "limit of the drain, settle included",
      "20 seconds"
    ),
    settle: setting(
      "CONDUIT_SHUTDOWN_SETTLE",
      Parse.duration({ zero: true }),
      Duration.zero,
      "how long requests are still served after readiness turned 503",
      "5 seconds"
    ),
    persistTimeout: setting(
      "CONDUIT_SHUTDOWN_PERSIST_TIMEOUT",
      Parse.duration(),
      Duration.seconds(3),
      "limit for storing what was learned",
      "5 seconds"
    ),
    closeTimeout: setting(
      "CONDUIT_SHUTDOWN_CLOSE_TIMEOUT",
      Parse.duration(),
      Duration.seconds(10),
      "limit for closing the database pool",
      "5 seconds"
    ),
    terminationGrace: setting(
      "CONDUIT_TERMINATION_GRACE",
      Parse.duration(),
      Duration.seconds(45),
      "what the orchestrator allows between SIGTERM and SIGKILL",
      "60 seconds"
    )
  }) as const
