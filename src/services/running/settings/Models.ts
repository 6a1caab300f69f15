import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Parse from "./Parsers.ts"
import type { ReadSetting } from "./Setting.ts"

const proxyOf = (setting: ReadSetting, name: string, alias: string, meaning: string) =>
  setting(name, Parse.optional(Parse.proxyUrl), Option.none(), meaning, "http://proxy.internal:3128", {
    alias,
    secret: true
  })

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
    /** How models are reached where not directly; machines of the loopback always are. */
    proxy: {
      http: proxyOf(setting, "HTTP_PROXY", "http_proxy", "proxy of calls to models with an http:// address"),
      https: proxyOf(setting, "HTTPS_PROXY", "https_proxy", "proxy of calls to models with an https:// address"),
      no: setting(
        "NO_PROXY",
        Parse.text,
        "",
        "hosts that are called without a proxy: names with their subdomains, `host:port` or `*`, comma separated",
        ".internal,10.0.0.5:9001",
        { alias: "no_proxy", shown: "none" }
      )
    },
    /** Zero = the providers are not asked. */
    listInterval: setting(
      "CONDUIT_MODEL_LIST_INTERVAL",
      Parse.duration({ zero: true }),
      Duration.hours(1),
      "each provider is asked at start and so often what it says of its models (`GET /models`); 0 asks nobody",
      "1 day"
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
