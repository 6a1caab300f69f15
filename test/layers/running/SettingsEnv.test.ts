import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as SettingsEnv from "../../../src/layers/running/SettingsEnv.ts"
import { Environment } from "../../../src/services/running/Environment.ts"
import { defaults, Settings, settingsTable, type SettingsShape } from "../../../src/services/running/Settings.ts"

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

const headersOf = ({ headers }: SettingsShape["otlp"]["traces"]) =>
  Option.getOrNull(Option.map(headers, Redacted.value))
const timeoutsOf = ({ otlp }: SettingsShape) =>
  [otlp.traces.timeout, otlp.metrics.timeout].map((timeout) => Duration.toMillis(timeout))

const hashesOf = (keys: SettingsShape["http"]["apiKeys"]) =>
  keys.flatMap(({ secrets }) => secrets.map(({ hash }) => hash))

/** Every variable that has a place in the settings: a value that is not the default, and what it becomes. */
const flips: ReadonlyArray<
  readonly [name: string, value: string, read: (s: SettingsShape) => unknown, expected: unknown]
> = [
  ["CONDUIT_WORKERS", "3", (s) => s.workers, 3],
  ["DATABASE_POOL_SIZE", "3", (s) => s.database.poolSize, 3],
  ["LOG_LEVEL", "warn", (s) => s.log.level, "WARNING"],
  ["LOG_FORMAT", "pretty", (s) => s.log.format, "pretty"],
  ["CONDUIT_HOST", "0.0.0.0", (s) => s.http.host, "0.0.0.0"],
  ["CONDUIT_PORT", "0", (s) => s.http.port, 0],
  ["CONDUIT_BUDGET_USD_PER_DAY", "2.5", (s) => Option.getOrNull(s.budget.usdPerDay), 2.5],
  ["CONDUIT_BUDGET_USD_PER_MONTH", "40", (s) => Option.getOrNull(s.budget.usdPerMonth), 40],
  [
    "CONDUIT_PUBLIC_PAGES",
    "docs, metrics",
    (s) => Option.getOrElse(s.http.publicPages, () => []).join(" "),
    "metrics docs"
  ],
  ["CONDUIT_API_KEYS_FILE", "/keys.yaml", (s) => Option.getOrNull(s.http.apiKeysFile), "/keys.yaml"],
  ["CONDUIT_REQUEST_TIMEOUT", "2 minutes", (s) => Duration.toMillis(s.http.requestTimeout), 120_000],
  ["CONDUIT_MAX_BODY_BYTES", "2048", (s) => s.http.maxBodyBytes, 2048],
  ["CONDUIT_BODY_TIMEOUT", "1.5", (s) => Duration.toMillis(s.http.bodyTimeout), 1500],
  ["CONDUIT_MAX_BODIES_BYTES", "4096", (s) => s.http.maxBodiesBytes, 4096],
  ["CONDUIT_KEEP_ALIVE_TIMEOUT", "75", (s) => Duration.toMillis(s.http.keepAliveTimeout), 75_000],
  [
    "CONDUIT_CORS_ORIGINS",
    "https://App.example.com, *",
    (s) => s.http.corsOrigins.join(" "),
    "https://app.example.com *"
  ],
  ["CONDUIT_MAX_IN_FLIGHT", "7", (s) => s.http.maxInFlight, 7],
  ["CONDUIT_OVERLOAD_DELAY", "50 millis", (s) => Duration.toMillis(s.http.overloadDelay), 50],
  ["CONDUIT_DATA_DIRECTORY", "/tmp/x", (s) => s.database.dataDirectory, "/tmp/x"],
  ["CONDUIT_DATABASE_CONNECT_DEADLINE", "5", (s) => Duration.toMillis(s.database.connectDeadline), 5000],
  ["CONDUIT_REDIS_TIMEOUT", "0.2", (s) => Duration.toMillis(s.redis.timeout), 200],
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
  ["HTTP_PROXY", "http://p:1", (s) => Option.getOrNull(Option.map(s.models.proxy.http, Redacted.value)), "http://p:1/"],
  [
    "HTTPS_PROXY",
    "http://p:2",
    (s) => Option.getOrNull(Option.map(s.models.proxy.https, Redacted.value)),
    "http://p:2/"
  ],
  ["NO_PROXY", "localhost", (s) => s.models.proxy.no, "localhost"],
  ["CONDUIT_RELOAD_ON_SIGHUP", "true", (s) => s.models.reloadOnSighup, true],
  ["CONDUIT_SHUTDOWN_TIMEOUT", "20", (s) => Duration.toMillis(s.shutdown.drainTimeout), 20_000],
  ["CONDUIT_SHUTDOWN_SETTLE", "5 seconds", (s) => Duration.toMillis(s.shutdown.settle), 5000],
  ["CONDUIT_SHUTDOWN_PERSIST_TIMEOUT", "1 second", (s) => Duration.toMillis(s.shutdown.persistTimeout), 1000],
  ["CONDUIT_SHUTDOWN_CLOSE_TIMEOUT", "1 second", (s) => Duration.toMillis(s.shutdown.closeTimeout), 1000],
  ["CONDUIT_TERMINATION_GRACE", "90", (s) => Duration.toMillis(s.shutdown.terminationGrace), 90_000],
  [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "http://c:4318/",
    (s) => [s.otlp.traces.url, s.otlp.metrics.url].map(Option.getOrNull),
    ["http://c:4318/v1/traces", "http://c:4318/v1/metrics"]
  ],
  ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://t/x", (s) => Option.getOrNull(s.otlp.traces.url), "https://t/x"],
  ["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "https://m/x", (s) => Option.getOrNull(s.otlp.metrics.url), "https://m/x"],
  [
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "http/json",
    (s) => [s.otlp.traces.protocol, s.otlp.metrics.protocol],
    ["http/json", "http/json"]
  ],
  [
    "OTEL_EXPORTER_OTLP_HEADERS",
    "api-key=a%20b, x-scope = t=1 ,",
    (s) => [headersOf(s.otlp.traces), headersOf(s.otlp.metrics)],
    [
      { "api-key": "a b", "x-scope": "t=1" },
      { "api-key": "a b", "x-scope": "t=1" }
    ]
  ],
  [
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    "api-key=a",
    (s) => [headersOf(s.otlp.traces), headersOf(s.otlp.metrics)],
    [{ "api-key": "a" }, null]
  ],
  [
    "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
    "api-key=a",
    (s) => [headersOf(s.otlp.traces), headersOf(s.otlp.metrics)],
    [null, { "api-key": "a" }]
  ],
  [
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "http/json",
    (s) => [s.otlp.traces.protocol, s.otlp.metrics.protocol],
    ["http/json", "http/protobuf"]
  ],
  [
    "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
    "http/json",
    (s) => [s.otlp.traces.protocol, s.otlp.metrics.protocol],
    ["http/protobuf", "http/json"]
  ],
  ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "500", (s) => timeoutsOf(s), [500, 10_000]],
  ["OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "500", (s) => timeoutsOf(s), [10_000, 500]],
  ["OTEL_EXPORTER_OTLP_TIMEOUT", "500", (s) => timeoutsOf(s), [500, 500]],
  ["OTEL_SERVICE_NAME", "conduit-eu", (s) => s.otlp.serviceName, "conduit-eu"],
  ["OTEL_RESOURCE_ATTRIBUTES", "a=1,b=x%2Cy", (s) => s.otlp.resourceAttributes, { a: "1", b: "x,y" }],
  ["OTEL_TRACES_SAMPLER", "always_off", (s) => s.otlp.sampler, { parentBased: false, ratio: 0 }],
  ["OTEL_METRIC_EXPORT_INTERVAL", "250", (s) => Duration.toMillis(s.otlp.metrics.interval), 250],
  ["OTEL_BSP_SCHEDULE_DELAY", "100", (s) => Duration.toMillis(s.otlp.traces.interval), 100]
]

/** Those that change something only beside others. */
const exported = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://c:4318" }
const dependents: ReadonlyArray<
  readonly [
    name: string,
    value: string,
    beside: Record<string, string>,
    read: (s: SettingsShape) => unknown,
    expected: unknown
  ]
> = [
  ["OTEL_TRACES_EXPORTER", "none", exported, (s) => Option.isSome(s.otlp.traces.url), false],
  ["OTEL_METRICS_EXPORTER", "none", exported, (s) => Option.isSome(s.otlp.metrics.url), false],
  ["OTEL_SDK_DISABLED", "true", exported, (s) => [s.otlp.traces.url, s.otlp.metrics.url].some(Option.isSome), false],
  [
    "OTEL_TRACES_SAMPLER_ARG",
    "0.25",
    { OTEL_TRACES_SAMPLER: "parentbased_traceidratio" },
    (s) => s.otlp.sampler,
    { parentBased: true, ratio: 0.25 }
  ]
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

  it.effect.each(dependents)("takes %s beside others", ([name, value, beside, read, expected]) =>
    Effect.gen(function* () {
      assert.notDeepEqual(read(yield* settingsOf(beside)), expected)
      assert.deepStrictEqual(read(yield* settingsOf({ ...beside, [name]: value })), expected)
    })
  )

  it.effect("takes the variables of OpenTelemetry as its specification has them", () =>
    Effect.gen(function* () {
      const both = yield* settingsOf({ ...exported, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://t:1/own" })
      assert.strictEqual(Option.getOrNull(both.otlp.traces.url), "http://t:1/own")
      assert.strictEqual(Option.getOrNull(both.otlp.metrics.url), "http://c:4318/v1/metrics")
      // What is said of a signal replaces what is said of both: another backend gets none of its secrets.
      const keyed = yield* settingsOf({
        OTEL_EXPORTER_OTLP_HEADERS: "api-key=general",
        OTEL_EXPORTER_OTLP_TRACES_HEADERS: "x-traces=own"
      })
      assert.deepStrictEqual(headersOf(keyed.otlp.traces), { "x-traces": "own" })
      assert.deepStrictEqual(headersOf(keyed.otlp.metrics), { "api-key": "general" })
      const named = { OTEL_RESOURCE_ATTRIBUTES: "service.name=from-attributes" }
      assert.strictEqual((yield* settingsOf(named)).otlp.serviceName, "from-attributes")
      assert.strictEqual((yield* settingsOf({ ...named, OTEL_SERVICE_NAME: "own" })).otlp.serviceName, "own")
      // A share is for ratios only.
      const sampler = yield* settingsOf({ OTEL_TRACES_SAMPLER: "always_on", OTEL_TRACES_SAMPLER_ARG: "0.1" })
      assert.deepStrictEqual(sampler.otlp.sampler, { parentBased: false, ratio: 1 })
      // Not read here, so nobody's business.
      assert.deepStrictEqual(yield* warningsOf({ OTEL_LOGS_EXPORTER: "console", OTEL_BLRP_SCHEDULE_DELAY: "x" }), [])
    })
  )

  it.effect("refuses what it does not follow of OpenTelemetry, and keeps the headers secret", () =>
    Effect.gen(function* () {
      const problems = yield* problemsOf({
        OTEL_EXPORTER_OTLP_ENDPOINT: "collector:4317",
        OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "http://u:hunter2@c/v1/metrics",
        OTEL_EXPORTER_OTLP_PROTOCOL: "grpc",
        OTEL_EXPORTER_OTLP_HEADERS: "hunter2",
        OTEL_EXPORTER_OTLP_TIMEOUT: "10 seconds",
        OTEL_RESOURCE_ATTRIBUTES: "a=%",
        OTEL_TRACES_SAMPLER: "jaeger_remote",
        OTEL_TRACES_SAMPLER_ARG: "1.5",
        OTEL_TRACES_EXPORTER: "console",
        OTEL_METRIC_EXPORT_INTERVAL: "0"
      })
      assert.lengthOf(problems, 10)
      const text = problems.join("\n")
      assert.include(text, 'OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" is not right: http/protobuf or http/json: grpc is not')
      assert.include(text, 'OTEL_TRACES_SAMPLER_ARG: "1.5" is not right: a number from 0 to 1')
      assert.notInclude(text, "hunter2")
      const settings = yield* settingsOf({ OTEL_EXPORTER_OTLP_HEADERS: "api-key=hunter2" })
      assert.notInclude(JSON.stringify(settings), "hunter2")
    })
  )

  it("has every variable that it reads in its table, once", () => {
    const names = settingsTable.map((row) => row.name)
    assert.strictEqual(new Set(names).size, names.length)
    for (const [name] of [...flips, ...dependents]) assert.include(names, name)
    for (const name of [
      "NODE_ENV",
      "DATABASE_URL",
      "REDIS_URL",
      "PGSSLROOTCERT",
      "CONDUIT_API_KEYS",
      "CONDUIT_API_KEY",
      "CONDUIT_METRICS_KEYS",
      "CONDUIT_ADMIN_KEYS",
      "CONDUIT_ALLOW_ANONYMOUS"
    ])
      assert.include(names, name)
  })

  it.effect("keeps connection strings secret", () =>
    Effect.gen(function* () {
      const url = "postgresql://u:hunter2@h/db"
      const redis = "rediss://:hunter2@h:6380/3"
      const settings = yield* settingsOf({ DATABASE_URL: url, REDIS_URL: redis })
      assert.strictEqual(Redacted.value(Option.getOrThrow(settings.database.url)), url)
      assert.strictEqual(Redacted.value(Option.getOrThrow(settings.redis.url)), redis)
      assert.notInclude(JSON.stringify(settings), "hunter2")
    })
  )

  it.effect("takes an address of Redis only if it can be one, and says what would be", () =>
    Effect.gen(function* () {
      for (const REDIS_URL of [
        "redis://h",
        "redis://h:6379/",
        "rediss://user:p%40ss@h:6380/15",
        "redis://[::1]:6379"
      ]) {
        assert.isTrue(Option.isSome((yield* settingsOf({ REDIS_URL })).redis.url))
      }
      const partly = ["redis://:hunter2%@h", "redis://user:12#hunter2@h"]
      const wrong = ["h:6379", "http://h", "redis://", "redis://h:99999", "redis://h/sessions", ...partly]
      for (const REDIS_URL of wrong) {
        const [problem, ...more] = yield* problemsOf({ REDIS_URL })
        assert.deepStrictEqual(more, [])
        assert.match(problem ?? "", /^REDIS_URL: its value \(not shown\) is not right: a Redis address, redis:\/\//)
        assert.notInclude(problem, "hunter2")
      }
    })
  )

  it.effect("takes no address of a database whose password ends it", () =>
    Effect.gen(function* () {
      const [problem, ...more] = yield* problemsOf({ DATABASE_URL: "postgres://user:12#hunter2@h/db" })
      assert.deepStrictEqual(more, [])
      assert.match(problem ?? "", /^DATABASE_URL: its value \(not shown\) .* with % escapes in the password/)
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

  it.effect("takes several hosts, sockets and TLS as libpq does, and says what would be right", () =>
    Effect.gen(function* () {
      for (const DATABASE_URL of [
        "postgres://u@a:5432,b:5433/d?target_session_attrs=read-write",
        "postgresql://u:p%40ss@[::1]:5432,10.0.0.7/d?sslmode=verify-ca&sslrootcert=/ca.pem",
        "postgres:///d?host=/var/run/postgresql",
        "postgres://u@%2Fvar%2Frun/d",
        "postgres://h/d?sslmode=allow"
      ]) {
        assert.isTrue(Option.isSome((yield* settingsOf({ DATABASE_URL })).database.url), DATABASE_URL)
      }
      const wrong: Record<string, RegExp> = {
        "postgres://h/d?sslmode=always": /sslmode is one of disable, allow, prefer, require/,
        "postgres://a,b/d?target_session_attrs=standby": /target_session_attrs is one of any, read-write, primary/,
        "postgres://a:x,b/d": /its host "a:x" is none/,
        "postgres://u:%zz@h/d": /with % escapes in the password/
      }
      for (const [DATABASE_URL, problem] of Object.entries(wrong)) {
        assert.match((yield* problemsOf({ DATABASE_URL }))[0] ?? "", problem)
      }
      const { database } = yield* settingsOf({ DATABASE_URL: "postgres://h/d?x=1", PGSSLMODE: "require" })
      assert.strictEqual(Redacted.value(Option.getOrThrow(database.url)), "postgres://h/d?x=1&sslmode=require")
    })
  )

  it.effect("keeps keys as their hashes, however they were given", () =>
    Effect.gen(function* () {
      const hash = "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683" // sha256("key")
      const settings = yield* settingsOf({ CONDUIT_API_KEYS: `key, sha256:${hash.toUpperCase()}` })
      assert.deepStrictEqual(hashesOf(settings.http.apiKeys), [hash, hash])
      assert.deepStrictEqual(settings.http.metricsKeyHashes, [])
      const { http } = yield* settingsOf({ CONDUIT_METRICS_KEYS: `sha256:${hash},key` })
      assert.deepStrictEqual([hashesOf(http.apiKeys), http.metricsKeyHashes], [[], [hash, hash]])
      const named = yield* settingsOf({ CONDUIT_API_KEYS: `team:sha256:${hash}`, CONDUIT_ADMIN_KEYS: "ops:key" })
      assert.deepStrictEqual(
        named.http.apiKeys.map(({ name, scopes }) => [name, scopes]),
        [["team", ["route", "feedback", "read"]]]
      )
      assert.deepStrictEqual(
        named.http.adminKeys.map(({ name, scopes }) => [name, scopes]),
        [["ops", ["admin"]]]
      )
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
      assert.include(text, "CONDUIT_SHUTDOWN_SETTLE: 40 seconds is longer than CONDUIT_SHUTDOWN_TIMEOUT=30 seconds")
      assert.notInclude(text, "hunter2")
    })
  )

  it.effect("reads durations as people write them, and switches that are on or off", () =>
    Effect.gen(function* () {
      const forms = { "5m": 300, "1h": 3600, "1h 30m": 5400, "90s": 90, "1500 ms": 1.5, "2 Minutes": 120, "7.5": 7.5 }
      for (const [form, seconds] of Object.entries(forms)) {
        const { http } = yield* settingsOf({ CONDUIT_REQUEST_TIMEOUT: form })
        assert.strictEqual(Duration.toSeconds(http.requestTimeout), seconds, form)
      }
      for (const form of ["5 lightyears", "m", "-5m", "5m later", "1,5 s"]) {
        const [problem] = yield* problemsOf({ CONDUIT_REQUEST_TIMEOUT: form })
        assert.include(problem, 'a duration such as "30 seconds", "5m" or plain seconds, above 0, at most 24 days')
      }
      assert.isTrue((yield* settingsOf({ CONDUIT_STORE_PROMPTS: "on" })).learning.storePrompts)
      assert.isFalse(Option.getOrThrow((yield* settingsOf({ CONDUIT_SIMULATE: "off" })).models.simulate))
    })
  )

  it.effect("listens on PORT where CONDUIT_PORT is not set", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* settingsOf({ PORT: "9700" })).http.port, 9700)
      // Whatever it means to somebody else.
      const both = yield* settingsOf({ PORT: "tcp://10.0.0.1:80", CONDUIT_PORT: "9701" })
      assert.strictEqual(both.http.port, 9701)
      assert.deepStrictEqual(yield* problemsOf({ PORT: "x" }), [
        'PORT: "x" is not right: a whole number from 0 to 65535; for example 8080'
      ])
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
