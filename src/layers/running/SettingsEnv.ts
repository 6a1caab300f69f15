import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { nearestName } from "../../domain/basics/NearestName.ts"
import { Environment } from "../../services/running/Environment.ts"
import type { SettingsShape } from "../../services/running/Settings.ts"
import { defaults, InvalidSettings, Settings, shutdownBudget } from "../../services/running/Settings.ts"
import { readOtlp } from "./settings/Otlp.ts"
import * as Parse from "./settings/Parsers.ts"
import { settingsTable } from "./settings/Table.ts"

export { settingsTable }

/** The only place that reads the environment of the process. */
export const environment: Layer.Layer<Environment> = Layer.sync(Environment, () => ({
  variables: new Map(
    Object.entries(process.env).flatMap(([name, value]): Array<[string, string]> =>
      value === undefined || value.trim() === "" ? [] : [[name, value.trim()]]
    )
  ),
  terminal: process.stdout.isTTY === true
}))

/** The settings of an environment; all its problems at once. */
export const fromEnvironment: Layer.Layer<Settings, InvalidSettings, Environment> = Layer.effect(
  Settings,
  Effect.gen(function* () {
    const { terminal, variables } = yield* Environment
    const reader = readerOf(variables)
    const allowAnonymous = reader.variable("CONDUIT_ALLOW_ANONYMOUS", Parse.flag, false)
    const settings = read(reader, terminal)
    const problems = [...reader.problems.values(), ...impossible(settings, allowAnonymous, reader.problems)]
    if (problems.length > 0) return yield* new InvalidSettings({ problems })
    return settings
  })
)

export const layer: Layer.Layer<Settings, InvalidSettings> = fromEnvironment.pipe(Layer.provide(environment))

/** What does not keep the service from starting, but somebody should know. */
export const warnings: Effect.Effect<ReadonlyArray<string>, never, Settings | Environment> = Effect.gen(function* () {
  const { shutdown } = yield* Settings
  const { variables } = yield* Environment
  return [...graceExceeded(shutdown), ...unknownNames(variables)]
})

const show = (duration: Duration.Duration) => `${Duration.toSeconds(duration)} s`

const graceExceeded = (shutdown: SettingsShape["shutdown"]) => {
  const budget = shutdownBudget(shutdown)
  return Duration.greaterThan(budget, shutdown.terminationGrace)
    ? [
        `a shutdown can take ${show(budget)} (drain ${show(shutdown.drainTimeout)}, persist ${show(shutdown.persistTimeout)}, close ${show(shutdown.closeTimeout)} + 1 s, flush 0.5 s), more than CONDUIT_TERMINATION_GRACE=${show(shutdown.terminationGrace)}: lower a limit, or raise the grace here and in the orchestrator`
      ]
    : []
}

const knownNames = settingsTable.map((row) => row.name)

/** Names that begin as a setting and are none, each with the one that is probably meant. */
export const unknownNames = (variables: ReadonlyMap<string, string>) =>
  [...variables.keys()]
    .filter((name) => name.startsWith("CONDUIT_") && !knownNames.includes(name))
    .sort()
    .map((name) => {
      const nearest = nearestName(name, knownNames)
      return `${name} is not a setting and is ignored${nearest === null ? "" : `: did you mean ${nearest}?`}`
    })

/** These are no timers, but ages. */
const tenYears = Duration.days(3650)

/** Reads variables; one that is not right is noted, with its value (unless it is a secret) and what would be, and then has its default. */
const readerOf = (variables: ReadonlyMap<string, string>) => {
  const problems = new Map<string, string>()
  const variable = <A>(name: string, parse: Parse.Parse<A>, byDefault: A, secret = false): A => {
    const value = variables.get(name)
    if (value === undefined) return byDefault
    return Either.getOrElse(parse(value), (right) => {
      const shown = secret ? "its value (not shown)" : JSON.stringify(value.slice(0, 200))
      problems.set(name, `${name}: ${shown} is not right: ${right}; for example ${exampleOf(name)}`)
      return byDefault
    })
  }
  const optional = <A>(name: string, parse: Parse.Parse<A>, secret = false): Option.Option<A> =>
    variable(name, (value) => Either.map(parse(value), Option.some), Option.none<A>(), secret)
  return { problems, variable, optional }
}

const exampleOf = (name: string) => settingsTable.find((row) => row.name === name)?.example ?? ""

const read = ({ optional, variable }: Parse.Reader, terminal: boolean): SettingsShape => ({
  production: variable("NODE_ENV", (value) => Either.right(value === "production"), defaults.production),
  http: {
    host: variable("CONDUIT_HOST", Parse.text, defaults.http.host),
    port: variable("CONDUIT_PORT", Parse.integer(0, 65_535), defaults.http.port),
    apiKeyHashes: variable("CONDUIT_API_KEYS", Parse.keyHashes, defaults.http.apiKeyHashes, true),
    metricsKeyHashes: variable("CONDUIT_METRICS_KEYS", Parse.keyHashes, defaults.http.metricsKeyHashes, true),
    requestTimeout: variable("CONDUIT_REQUEST_TIMEOUT", Parse.duration(), defaults.http.requestTimeout),
    maxBodyBytes: variable("CONDUIT_MAX_BODY_BYTES", Parse.integer(1024, 1024 ** 3), defaults.http.maxBodyBytes),
    bodyTimeout: variable("CONDUIT_BODY_TIMEOUT", Parse.duration(), defaults.http.bodyTimeout),
    maxInFlight: variable("CONDUIT_MAX_IN_FLIGHT", Parse.integer(1, 1_000_000), defaults.http.maxInFlight)
  },
  database: {
    url: Option.map(optional("DATABASE_URL", Parse.databaseUrl, true), (url) =>
      Option.match(optional("PGSSLROOTCERT", Parse.text), {
        onNone: () => url,
        onSome: (file) => Parse.withRootCertificate(url, file)
      })
    ),
    poolSize: variable("DATABASE_POOL_SIZE", Parse.integer(1, 1000), defaults.database.poolSize),
    dataDirectory: variable("CONDUIT_DATA_DIRECTORY", Parse.text, defaults.database.dataDirectory),
    connectDeadline: variable("CONDUIT_DATABASE_CONNECT_DEADLINE", Parse.duration(), defaults.database.connectDeadline)
  },
  redis: {
    url: optional("REDIS_URL", Parse.redisUrl, true),
    timeout: variable("CONDUIT_REDIS_TIMEOUT", Parse.duration(), defaults.redis.timeout)
  },
  learning: {
    routerId: optional("CONDUIT_ROUTER_ID", Parse.routerId),
    flushInterval: variable(
      "CONDUIT_FLUSH_INTERVAL",
      Parse.duration({ maximum: Duration.hours(1) }),
      defaults.learning.flushInterval
    ),
    maxPending: variable("CONDUIT_MAX_PENDING", Parse.integer(1, 10_000_000), defaults.learning.maxPending),
    feedbackExpiry: variable(
      "CONDUIT_FEEDBACK_EXPIRY",
      Parse.duration({ maximum: tenYears }),
      defaults.learning.feedbackExpiry
    ),
    maxParked: variable("CONDUIT_MAX_PARKED", Parse.integer(0, 10_000_000), defaults.learning.maxParked),
    storePrompts: variable("CONDUIT_STORE_PROMPTS", Parse.flag, defaults.learning.storePrompts)
  },
  retention: {
    decisions: variable(
      "CONDUIT_DECISION_RETENTION",
      Parse.duration({ maximum: tenYears }),
      defaults.retention.decisions
    ),
    log: variable("CONDUIT_LOG_RETENTION", Parse.duration({ maximum: tenYears }), defaults.retention.log),
    prompts: variable("CONDUIT_PROMPT_RETENTION", Parse.duration({ maximum: tenYears }), defaults.retention.prompts),
    parked: variable("CONDUIT_PARKED_EXPIRY", Parse.duration({ maximum: tenYears }), defaults.retention.parked)
  },
  shutdown: {
    drainTimeout: variable("CONDUIT_SHUTDOWN_TIMEOUT", Parse.duration({ zero: true }), defaults.shutdown.drainTimeout),
    settle: variable("CONDUIT_SHUTDOWN_SETTLE", Parse.duration({ zero: true }), defaults.shutdown.settle),
    persistTimeout: variable("CONDUIT_SHUTDOWN_PERSIST_TIMEOUT", Parse.duration(), defaults.shutdown.persistTimeout),
    closeTimeout: variable("CONDUIT_SHUTDOWN_CLOSE_TIMEOUT", Parse.duration(), defaults.shutdown.closeTimeout),
    terminationGrace: variable("CONDUIT_TERMINATION_GRACE", Parse.duration(), defaults.shutdown.terminationGrace)
  },
  models: {
    configFile: optional("CONDUIT_CONFIG", Parse.text),
    simulate: optional("CONDUIT_SIMULATE", Parse.flag),
    reloadOnSighup: variable("CONDUIT_RELOAD_ON_SIGHUP", Parse.flag, defaults.models.reloadOnSighup)
  },
  log: {
    level: variable(
      "LOG_LEVEL",
      Parse.choice<SettingsShape["log"]["level"]>(
        { DEBUG: "DEBUG", INFO: "INFO", WARNING: "WARNING", WARN: "WARNING", ERROR: "ERROR" },
        "DEBUG, INFO, WARNING (or WARN) or ERROR"
      ),
      defaults.log.level
    ),
    format: variable(
      "LOG_FORMAT",
      Parse.choice<SettingsShape["log"]["format"]>({ pretty: "pretty", json: "json" }, "pretty or json"),
      terminal ? "pretty" : "json"
    )
  },
  otlp: readOtlp({ optional, variable })
})

export const isLoopback = (host: string) => host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host)

/** Each value is right, but they cannot be true together. What has a problem of its own is not blamed again. */
const impossible = (
  settings: SettingsShape,
  allowAnonymous: boolean,
  already: ReadonlyMap<string, string>
): ReadonlyArray<string> => {
  const { database, http, production, shutdown } = settings
  const problems: Array<string> = []
  if (production && Option.isNone(database.url) && !already.has("DATABASE_URL")) {
    problems.push(
      `DATABASE_URL: is not set, and NODE_ENV=production needs it; for example ${exampleOf("DATABASE_URL")}`
    )
  }
  if (
    production &&
    http.apiKeyHashes.length === 0 &&
    !isLoopback(http.host) &&
    !allowAnonymous &&
    !already.has("CONDUIT_API_KEYS")
  ) {
    problems.push(
      `CONDUIT_API_KEYS: is not set, and with NODE_ENV=production CONDUIT_HOST=${http.host} would let everybody call: set keys, listen on 127.0.0.1, or set CONDUIT_ALLOW_ANONYMOUS=true`
    )
  }
  if (
    Duration.greaterThan(shutdown.settle, shutdown.drainTimeout) &&
    !already.has("CONDUIT_SHUTDOWN_SETTLE") &&
    !already.has("CONDUIT_SHUTDOWN_TIMEOUT")
  ) {
    problems.push(
      `CONDUIT_SHUTDOWN_SETTLE: ${show(shutdown.settle)} is longer than CONDUIT_SHUTDOWN_TIMEOUT=${show(shutdown.drainTimeout)}, which includes it: lower it, or raise the time-out`
    )
  }
  return problems
}
