import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import { isLoopback } from "../../domain/basics/Loopback.ts"
import type { EnvironmentShape } from "../../services/running/Environment.ts"
import {
  flushLimit,
  type SettingsShape,
  shutdownBudget,
  terminateLimit,
  unknownNames
} from "../../services/running/Settings.ts"
import { hasKeys } from "../../services/running/settings/Http.ts"
import { pageNames } from "../../services/running/settings/Parsers.ts"
import { fail, type Line, pass, shown, warn } from "./Check.ts"

/** What the settings alone tell. */
export const settingsLines = (settings: SettingsShape, { variables }: EnvironmentShape): ReadonlyArray<Line> => [
  pass("settings", settings.production ? "valid, for production" : "valid; NODE_ENV is not production"),
  ...unknownNames(variables).map((problem) => warn("settings", problem, "correct its name, or take it away"))
]

/** The sum of the limits in the grace, and the time that a balancer needs. */
export const shutdownLines = ({ http, production, shutdown }: SettingsShape): ReadonlyArray<Line> => {
  const budget = shutdownBudget(shutdown)
  const { closeTimeout, drainTimeout, persistTimeout, settle, terminationGrace } = shutdown
  const sum = `drain ${shown(drainTimeout)} + persist ${shown(persistTimeout)} + close ${shown(closeTimeout)} + ${shown(terminateLimit)} + flush ${shown(flushLimit)} = ${shown(budget)}`
  const cut = Duration.greaterThan(http.requestTimeout, drainTimeout)
    ? `; answers that take longer than ${shown(drainTimeout)} are cut at a deploy`
    : ""
  return [
    Duration.greaterThan(budget, terminationGrace)
      ? fail(
          "shutdown",
          `${sum}, more than the ${shown(terminationGrace)} of CONDUIT_TERMINATION_GRACE: the orchestrator would kill it`,
          "raise the grace here and in the orchestrator, or lower CONDUIT_SHUTDOWN_TIMEOUT"
        )
      : pass("shutdown", `${sum}, fits the grace of ${shown(terminationGrace)}${cut}`),
    production && Duration.equals(settle, Duration.zero)
      ? warn(
          "settle",
          "0 s: connections that a balancer still makes when the listener closes are reset",
          "set CONDUIT_SHUTDOWN_SETTLE above the time in which your balancer notices the readiness, for example 5 seconds"
        )
      : pass("settle", `${shown(settle)}, in the drain`)
  ]
}

const fewestCharacters = 20
const fewestDifferent = 8

/** The keys of a setting, as they are given. */
export const keysOf = ({ variables }: EnvironmentShape, setting: "CONDUIT_API_KEYS" | "CONDUIT_METRICS_KEYS") => {
  const all = (variables.get(setting) ?? "").split(",").map((key) => key.trim())
  const given = all.filter((key) => key !== "")
  return { given, plain: given.filter((key) => !key.startsWith("sha256:")) }
}

/** What is known of a key is its length and its characters; of a hash, nothing. */
const keysLine = (name: string, { given, plain }: ReturnType<typeof keysOf>): Line => {
  const weak = plain.filter((key) => key.length < fewestCharacters || new Set(key).size < fewestDifferent)
  if (weak.length > 0) {
    return warn(
      name,
      `${weak.length} of ${given.length} can be guessed: fewer than ${fewestCharacters} characters, or fewer than ${fewestDifferent} different ones`,
      "make keys by `openssl rand -hex 32`"
    )
  }
  return pass(
    name,
    plain.length === 0
      ? `${given.length}, as hashes`
      : `${given.length} (${plain.length} plain: as sha256:HEX they would not be readable in the environment)`
  )
}

/** Who may call, and who may read the metrics. */
export const accessLines = (
  { http, production }: SettingsShape,
  environment: EnvironmentShape
): ReadonlyArray<Line> => {
  const api = keysOf(environment, "CONDUIT_API_KEYS")
  const metrics = keysOf(environment, "CONDUIT_METRICS_KEYS")
  const publicPages: ReadonlyArray<string> = Option.getOrElse(http.publicPages, () => (production ? [] : pageNames))
  const isClosed = hasKeys(http) && !publicPages.includes("metrics")
  const onlyHere = `none: everybody on this machine may, and nobody else (CONDUIT_HOST=${http.host})`
  const open = (line: string, may: string, todo: string) =>
    isLoopback(http.host)
      ? pass(line, onlyHere)
      : warn(line, `none, and CONDUIT_HOST=${http.host}: everybody who reaches the port may ${may}`, todo)
  return [
    api.given.length > 0
      ? keysLine("api keys", api)
      : hasKeys(http)
        ? pass("api keys", "as CONDUIT_ADMIN_KEYS and CONDUIT_API_KEYS_FILE say, and the database")
        : open("api keys", `call${production ? ", as CONDUIT_ALLOW_ANONYMOUS says" : ""}`, "set CONDUIT_API_KEYS"),
    metrics.given.length > 0
      ? keysLine("metrics keys", metrics)
      : isClosed
        ? pass("metrics keys", "none: who reads all reads /metrics, as CONDUIT_PUBLIC_PAGES does not open it")
        : open(
            "metrics keys",
            "read what is used and what it costs at /metrics",
            "set CONDUIT_METRICS_KEYS, or let only the scraper reach the port"
          )
  ]
}

export const loggingLines = ({ log, production }: SettingsShape): ReadonlyArray<Line> => {
  const name = "logging"
  if (production && log.format !== "json") {
    return [warn(name, "LOG_FORMAT=pretty is for people on a terminal", "set LOG_FORMAT=json for log collectors")]
  }
  if (production && log.level === "DEBUG") {
    return [warn(name, "LOG_LEVEL=DEBUG writes several lines a request", "set LOG_LEVEL=INFO")]
  }
  return [pass(name, `${log.format}, ${log.level}`)]
}
