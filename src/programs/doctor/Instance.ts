import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type { EnvironmentShape } from "../../services/running/Environment.ts"
import type { HttpProbe } from "../../services/running/HttpProbe.ts"
import type { SettingsShape } from "../../services/running/Settings.ts"
import { fail, type Findings, found, type Line, pass, warn } from "./Check.ts"
import { keysOf } from "./Configuration.ts"
import { ask, hostOf } from "./Http.ts"

const documented = [
  "conduit_requests_total",
  "conduit_requests_active",
  "conduit_routing_latency_seconds",
  "conduit_model_selection"
]

/** Where this configuration listens; null for any free port. */
const configuredUrl = ({ http }: SettingsShape): string | null => {
  if (http.port === 0) return null
  const host = http.host === "0.0.0.0" ? "127.0.0.1" : http.host === "::" ? "::1" : http.host
  return `http://${host.includes(":") ? `[${host}]` : host}:${http.port}`
}

const Ready = Schema.decodeUnknownEither(
  Schema.parseJson(Schema.Struct({ status: Schema.Literal("ready", "not_ready"), phase: Schema.String }))
)

/** Names of the exposition's metrics, or the first line that is no sample. */
const namesOf = (text: string): Either.Either<ReadonlySet<string>, string> => {
  const sample = /^[a-zA-Z_:][a-zA-Z0-9_:]*(\{.*\})? (?:[+-]?Inf|NaN|[-+0-9.eE]+)(?: -?\d+)?$/
  const lines = text.split("\n").filter((line) => line !== "")
  const wrong = lines.find((line) => !line.startsWith("#") && !sample.test(line))
  if (wrong !== undefined) return Either.left(wrong.slice(0, 80))
  return Either.right(new Set(Array.from(text.matchAll(/^# TYPE (\S+)/gm), ([, name = ""]) => name)))
}

const metricsLine = (base: string, environment: EnvironmentShape): Effect.Effect<Line, never, HttpProbe> => {
  const name = "metrics"
  const { given, plain } = keysOf(environment, "CONDUIT_METRICS_KEYS")
  const [key] = plain
  return Effect.map(Effect.either(ask(`${base}/metrics`, key === undefined ? null : Redacted.make(key))), (asked) => {
    if (Either.isLeft(asked)) return fail(name, `GET /metrics: ${asked.left.message}`, "look at the log of the service")
    const { status, text } = asked.right
    if (status === 401 && key === undefined && given.length > 0) {
      return pass(name, "GET /metrics wants a key, of which only the hash is known here: not read")
    }
    if (status === 401 && given.length === 0) {
      return pass(name, "GET /metrics wants a key that reads all, or CONDUIT_PUBLIC_PAGES=metrics: not read")
    }
    if (status === 401) {
      return fail(name, "GET /metrics: 401", "the instance has other CONDUIT_METRICS_KEYS: keys are read at start")
    }
    if (status !== 200) return fail(name, `GET /metrics: ${status}`, "look at the log of the service")
    const names = namesOf(text)
    if (Either.isLeft(names)) {
      return fail(name, `GET /metrics has a line that is no sample: ${names.left}`, "report this as a bug of Conduit")
    }
    if (names.right.size === 0) {
      return fail(
        name,
        "GET /metrics answers without a metric",
        "what answers there is not Conduit: see what is between"
      )
    }
    const absent = documented.filter((one) => !names.right.has(one))
    return pass(
      name,
      `${names.right.size} at /metrics${absent.length === 0 ? "" : `; ${absent.join(", ")} with the first event`}`
    )
  })
}

/** A running instance, if there is one. */
export const instanceFindings = (
  settings: SettingsShape,
  environment: EnvironmentShape,
  named: Option.Option<string>
): Effect.Effect<Findings, never, HttpProbe> =>
  Effect.gen(function* () {
    const name = "instance"
    const url = Option.getOrElse(named, () => configuredUrl(settings))
    if (url === null) {
      return found(warn(name, "CONDUIT_PORT=0 is any free port", "name a running instance by --url to check it"))
    }
    const base = url.replace(/\/+$/, "")
    if (!URL.canParse(base)) return found(fail(name, "--url is no address", "name it as http://HOST:PORT"))
    const asked = yield* Effect.either(ask(`${base}/health/ready`, null))
    if (Either.isLeft(asked)) {
      const detail = `${hostOf(base)}: ${asked.left.message}`
      return found(
        Option.isSome(named)
          ? fail(name, detail, "start it, or correct --url")
          : warn(
              name,
              `not running here, so it was not looked at (${detail})`,
              "start it, or name a running one by --url http://HOST:PORT"
            )
      )
    }
    const ready = Ready(asked.right.text)
    if (Either.isLeft(ready)) {
      return found(fail(name, `${hostOf(base)}: what answers there is not Conduit`, "correct CONDUIT_PORT or --url"))
    }
    const { phase, status } = ready.right
    return found(
      status === "ready"
        ? pass(name, `${hostOf(base)} is ready`)
        : warn(name, `${hostOf(base)} is not ready: ${phase}`, "wait for it, or read its log"),
      yield* metricsLine(base, environment)
    )
  })
