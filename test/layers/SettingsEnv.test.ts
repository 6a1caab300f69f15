import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as SettingsEnv from "../../src/layers/SettingsEnv.ts"
import { Environment } from "../../src/services/Environment.ts"
import { defaults, Settings, type SettingsShape } from "../../src/services/Settings.ts"

const environmentOf = (variables: Record<string, string>, terminal = false) =>
  Layer.succeed(Environment, { variables: new Map(Object.entries(variables)), terminal })

const settingsOf = (variables: Record<string, string>, terminal = false) =>
  Settings.pipe(Effect.provide(SettingsEnv.fromEnvironment.pipe(Layer.provide(environmentOf(variables, terminal)))))

const problemsOf = (variables: Record<string, string>) =>
  settingsOf(variables).pipe(
    Effect.flip,
    Effect.map((error) => error.problems)
  )

const warningsOf = (variables: Record<string, string>) =>
  SettingsEnv.warnings.pipe(
    Effect.provide(SettingsEnv.fromEnvironment.pipe(Layer.provideMerge(environmentOf(variables))))
  )

/** Every variable that has a place in the settings: a value that is not the default, and what it becomes. */
const flips: ReadonlyArray<
  readonly [name: string, value: string, read: (s: SettingsShape) => unknown, expected: unknown]
> = [
  ["DATABASE_POOL_SIZE", "3", (s) => s.database.poolSize, 3],
  ["LOG_LEVEL", "warn", (s) => s.log.level, "WARNING"],
  ["LOG_FORMAT", "pretty", (s) => s.log.format, "pretty"],
  ["CONDUIT_HOST", "0.0.0.0", (s) => s.http.host, "0.0.0.0"],
  ["CONDUIT_PORT", "0", (s) => s.http.port, 0],
  ["CONDUIT_REQUEST_TIMEOUT", "2 minutes", (s) => Duration.toMillis(s.http.requestTimeout), 120_000],
  ["CONDUIT_MAX_BODY_BYTES", "2048", (s) => s.http.maxBodyBytes, 2048],
  ["CONDUIT_BODY_TIMEOUT", "1.5", (s) => Duration.toMillis(s.http.bodyTimeout), 1500],
  ["CONDUIT_MAX_IN_FLIGHT", "7", (s) => s.http.maxInFlight, 7],
  ["CONDUIT_DATA_DIRECTORY", "/tmp/x", (s) => s.database.dataDirectory, "/tmp/x"],
  ["CONDUIT_DATABASE_CONNECT_DEADLINE", "5", (s) => Duration.toMillis(s.database.connectDeadline), 5000],
  ["CONDUIT_ROUTER_ID", "chat-prod", (s) => Option.getOrNull(s.learning.routerId), "chat-prod"],
  ["CONDUIT_FLUSH_INTERVAL", "20 millis", (s) => Duration.toMillis(s.learning.flushInterval), 20],
  ["CONDUIT_MAX_PENDING", "10", (s) => s.learning.maxPending, 10],
  ["CONDUIT_FEEDBACK_EXPIRY", "30 days", (s) => Duration.toDays(s.learning.feedbackExpiry), 30],
  ["CONDUIT_MAX_PARKED", "10", (s) => s.learning.maxParked, 10],
  ["CONDUIT_STORE_PROMPTS", "true", (s) => s.learning.storePrompts, true],
  ["CONDUIT_DECISION_RETENTION", "30 days", (s) => Duration.toDays(s.retention.decisions), 30],
  ["CONDUIT_LOG_RETENTION", "100 days", (s) => Duration.toDays(s.retention.log), 100],
  ["CONDUIT_PROMPT_RETENTION", "1 day", (s) => Duration.toDays(s.retention.prompts), 1],
  ["CONDUIT_PARKED_EXPIRY", "2 days", (s) => Duration.toDays(s.retention.parked), 2],
  ["CONDUIT_CONFIG", "a.yaml", (s) => Option.getOrNull(s.models.configFile), "a.yaml"],
  ["CONDUIT_SIMULATE", "TRUE", (s) => Option.getOrNull(s.models.simulate), true],
  ["CONDUIT_RELOAD_ON_SIGHUP", "true", (s) => s.models.reloadOnSighup, true],
  ["CONDUIT_SHUTDOWN_TIMEOUT", "20", (s) => Duration.toMillis(s.shutdown.drainTimeout), 20_000],
  ["CONDUIT_SHUTDOWN_SETTLE", "5 seconds", (s) => Duration.toMillis(s.shutdown.settle), 5000],
  ["CONDUIT_SHUTDOWN_PERSIST_TIMEOUT", "1 second", (s) => Duration.toMillis(s.shutdown.persistTimeout), 1000],
  ["CONDUIT_SHUTDOWN_CLOSE_TIMEOUT", "1 second", (s) => Duration.toMillis(s.shutdown.closeTimeout), 1000],
  ["CONDUIT_TERMINATION_GRACE", "90", (s) => Duration.toMillis(s.shutdown.terminationGrace), 90_000]
]

describe("SettingsEnv", () => {
  it.effect("is the defaults where nothing is set, with the log format of the output", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* settingsOf({}), defaults)
      assert.strictEqual((yield* settingsOf({}, true)).log.format, "pretty")
    })
  )

  it.effect.each(flips)("takes %s", ([name, value, read, expected]) =>
    Effect.gen(function* () {
      assert.deepStrictEqual(read(yield* settingsOf({ [name]: value })), expected)
      assert.notDeepEqual(read(defaults), expected)
    })
  )

  it("has every variable that it reads in its table, once", () => {
    const names = SettingsEnv.settingsTable.map((row) => row.name)
    assert.strictEqual(new Set(names).size, names.length)
    for (const [name] of flips) assert.include(names, name)
    for (const name of [
      "NODE_ENV",
      "DATABASE_URL",
      "PGSSLROOTCERT",
      "CONDUIT_API_KEYS",
      "CONDUIT_METRICS_KEYS",
      "CONDUIT_ALLOW_ANONYMOUS"
    ])
      assert.include(names, name)
  })

  it.effect("keeps the connection string secret", () =>
    Effect.gen(function* () {
      const url = "postgresql://u:hunter2@h/db"
      const settings = yield* settingsOf({ DATABASE_URL: url })
      assert.strictEqual(Redacted.value(Option.getOrThrow(settings.database.url)), url)
      assert.notInclude(JSON.stringify(settings), "hunter2")
    })
  )

  it.effect("passes the certificate authority on, unless the connection string names one", () =>
    Effect.gen(function* () {
      const urlOf = (DATABASE_URL: string) =>
        Effect.map(settingsOf({ DATABASE_URL, PGSSLROOTCERT: "/ca.pem" }), ({ database }) =>
          Redacted.value(Option.getOrThrow(database.url))
        )
      assert.strictEqual(yield* urlOf("postgres://u:p@h/db"), "postgres://u:p@h/db?sslrootcert=%2Fca.pem")
      assert.strictEqual(yield* urlOf("postgres://h/db?sslrootcert=/own"), "postgres://h/db?sslrootcert=/own")
    })
  )

  it.effect("keeps keys as their hashes, however they were given", () =>
    Effect.gen(function* () {
      const hash = "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683" // sha256("key")
      const settings = yield* settingsOf({ CONDUIT_API_KEYS: `key, sha256:${hash.toUpperCase()}` })
      assert.deepStrictEqual(settings.http.apiKeyHashes, [hash, hash])
      assert.deepStrictEqual(settings.http.metricsKeyHashes, [])
      const { http } = yield* settingsOf({ CONDUIT_METRICS_KEYS: `sha256:${hash},key` })
      assert.deepStrictEqual([http.apiKeyHashes, http.metricsKeyHashes], [[], [hash, hash]])
    })
  )

  it.effect("reports all problems at once, with value and remedy, but never a secret", () =>
    Effect.gen(function* () {
      const problems = yield* problemsOf({
        CONDUIT_PORT: "99999",
        LOG_LEVEL: "loud",
        DATABASE_URL: "mysql://u:hunter2@h/db",
        CONDUIT_API_KEYS: "hunter2,,",
        CONDUIT_METRICS_KEYS: "sha256:hunter2",
        CONDUIT_REQUEST_TIMEOUT: "soon",
        CONDUIT_BODY_TIMEOUT: "0",
        CONDUIT_ROUTER_ID: "a b",
        CONDUIT_SHUTDOWN_SETTLE: "40",
        NODE_ENV: "production"
      })
      assert.lengthOf(problems, 9)
      const text = problems.join("\n")
      assert.include(text, 'CONDUIT_PORT: "99999" is not right: a whole number from 0 to 65535')
      assert.include(text, 'LOG_LEVEL: "loud" is not right: DEBUG, INFO, WARNING (or WARN) or ERROR')
      assert.include(text, "DATABASE_URL: its value (not shown)")
      assert.include(text, "CONDUIT_SHUTDOWN_SETTLE: 40 s is longer than CONDUIT_SHUTDOWN_TIMEOUT=30 s")
      assert.notInclude(text, "hunter2")
    })
  )

  it.effect("refuses a duration that no timer can hold", () =>
    Effect.map(problemsOf({ CONDUIT_REQUEST_TIMEOUT: "30 days" }), (problems) => assert.lengthOf(problems, 1))
  )

  it.effect("demands a database in production", () =>
    Effect.map(problemsOf({ NODE_ENV: "production" }), ([problem]) =>
      assert.match(problem ?? "", /^DATABASE_URL: is not set/)
    )
  )

  it.effect("lets production listen beyond loopback only with keys, or when told so", () =>
    Effect.gen(function* () {
      const open = { NODE_ENV: "production", DATABASE_URL: "postgres://h/db", CONDUIT_HOST: "0.0.0.0" }
      assert.match((yield* problemsOf(open))[0] ?? "", /^CONDUIT_API_KEYS: is not set/)
      for (const more of [
        { CONDUIT_API_KEYS: "k" },
        { CONDUIT_ALLOW_ANONYMOUS: "true" },
        { CONDUIT_HOST: "127.0.0.1" }
      ]) {
        assert.isTrue(Either.isRight(yield* Effect.either(settingsOf({ ...open, ...more }))))
      }
    })
  )

  it.effect("warns when the limits of the shutdown exceed the grace, and only then", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* warningsOf({}), [])
      const [warning] = yield* warningsOf({ CONDUIT_TERMINATION_GRACE: "30" })
      assert.include(warning, "a shutdown can take 44.5 s")
    })
  )

  it.effect("names what was probably meant by an unknown variable", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* warningsOf({ CONDUIT_PROT: "1", PATH: "/bin" }), [
        "CONDUIT_PROT is not a setting and is ignored: did you mean CONDUIT_PORT?"
      ])
      assert.deepStrictEqual(yield* warningsOf({ CONDUIT_COLOUR_OF_THE_SKY: "1" }), [
        "CONDUIT_COLOUR_OF_THE_SKY is not a setting and is ignored"
      ])
    })
  )
})
