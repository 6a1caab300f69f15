import * as Option from "effect/Option"
import * as Parse from "./Parsers.ts"
import type { ReadSetting } from "./Setting.ts"

export const models = (setting: ReadSetting) =>
  ({
    configFile: setting(
      "CONDUIT_CONFIG",
      Parse.optional(Parse.text),
      Option.none(),
      "providers, models and policy",
      "/etc/conduit/conduit.yaml",
      { shown: "conduit.yaml if it exists" }
    ),
    /** None = on outside production when no model is usable. */
    simulate: setting(
      "CONDUIT_SIMULATE",
      Parse.optional(Parse.flag),
      Option.none(),
      "simulated models instead of real ones",
      "true",
      { shown: "on outside production when no model is usable" }
    ),
    reloadOnSighup: setting(
      "CONDUIT_RELOAD_ON_SIGHUP",
      Parse.flag,
      false,
      "SIGHUP makes every replica read its `conduit.yaml` again",
      "true",
      { shown: "false: SIGHUP stops the service" }
    )
  }) as const
