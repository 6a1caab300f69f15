import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type { Sampler } from "../../domain/observing/Sampling.ts"

/** Everything that can be set, typed; where each comes from is in `layers/running/SettingsEnv.ts`. */
export interface SettingsShape {
  readonly production: boolean
  readonly http: {
    readonly host: string
    /** 0 = any free port. */
    readonly port: number
    /** Accepted keys as SHA-256 in hex; empty = everybody may call. */
    readonly apiKeyHashes: ReadonlyArray<string>
    /** Keys that read `/metrics`, likewise; empty = everybody may. */
    readonly metricsKeyHashes: ReadonlyArray<string>
    /** Total deadline of one request, all attempts included. */
    readonly requestTimeout: Duration.Duration
    /** A larger body is answered 413. */
    readonly maxBodyBytes: number
    /** How long a client may take to send its body. */
    readonly bodyTimeout: Duration.Duration
    /** More requests at once are answered 503 `overloaded`. */
    readonly maxInFlight: number
  }
  readonly database: {
    /** None = the embedded PostgreSQL in `dataDirectory`. */
    readonly url: Option.Option<Redacted.Redacted>
    readonly poolSize: number
    readonly dataDirectory: string
    /** How long the start waits for a database that does not answer. */
    readonly connectDeadline: Duration.Duration
  }
  readonly redis: {
    /** None = sessions are remembered by each replica alone. */
    readonly url: Option.Option<Redacted.Redacted>
    /** How long a request in a session may wait for Redis before its model is called: two commands, half each. */
    readonly timeout: Duration.Duration
  }
  readonly learning: {
    /** None = generated once and remembered in the database. */
    readonly routerId: Option.Option<string>
    /** Implicit outcomes are written at the latest after this; as much can be lost to `kill -9`. */
    readonly flushInterval: Duration.Duration
    /** Outcomes that wait for the database; beyond it the oldest are dropped and counted. */
    readonly maxPending: number
    /** Feedback for an older decision is refused. */
    readonly feedbackExpiry: Duration.Duration
    /** Feedback that waits for its decision; more is answered 503. */
    readonly maxParked: number
    /** The text of prompts is stored with their decisions. */
    readonly storePrompts: boolean
  }
  /** How long rows are kept. */
  readonly retention: {
    /** Decisions and their feedback; at least as long as feedback is accepted. */
    readonly decisions: Duration.Duration
    /** The learning log, where snapshots cover it. */
    readonly log: Duration.Duration
    readonly prompts: Duration.Duration
    /** Feedback whose decision did not appear. */
    readonly parked: Duration.Duration
  }
  readonly shutdown: {
    /** The drain, settle included. */
    readonly drainTimeout: Duration.Duration
    readonly settle: Duration.Duration
    readonly persistTimeout: Duration.Duration
    readonly closeTimeout: Duration.Duration
    /** What the orchestrator allows between SIGTERM and SIGKILL. */
    readonly terminationGrace: Duration.Duration
  }
  readonly models: {
    /** None = `conduit.yaml` if it exists. */
    readonly configFile: Option.Option<string>
    /** None = on outside production when no model is usable. */
    readonly simulate: Option.Option<boolean>
    /** SIGHUP makes every replica read its configuration file again, instead of stopping this one. */
    readonly reloadOnSighup: boolean
  }
  readonly log: {
    readonly level: "DEBUG" | "INFO" | "WARNING" | "ERROR"
    readonly format: "pretty" | "json"
  }
  /** Export of traces and metrics, by the names of OpenTelemetry. */
  readonly otlp: {
    /** None = no spans are made. */
    readonly tracesUrl: Option.Option<string>
    /** None = metrics are only there to be read. */
    readonly metricsUrl: Option.Option<string>
    readonly protocol: "http/protobuf" | "http/json"
    /** Sent with every export, by name. */
    readonly headers: Option.Option<Redacted.Redacted<Readonly<Record<string, string>>>>
    /** For one export, all its tries together. */
    readonly timeout: Duration.Duration
    readonly metricsInterval: Duration.Duration
    /** A span is exported at the latest after this. */
    readonly tracesInterval: Duration.Duration
    readonly serviceName: string
    readonly resourceAttributes: Readonly<Record<string, string>>
    readonly sampler: Sampler
  }
}

export class Settings extends Context.Tag("conduit/services/Settings")<Settings, SettingsShape>() {}

export const defaults: SettingsShape = {
  production: false,
  http: {
    host: "127.0.0.1",
    port: 8000,
    apiKeyHashes: [],
    metricsKeyHashes: [],
    requestTimeout: Duration.minutes(10),
    maxBodyBytes: 32 * 1024 * 1024,
    bodyTimeout: Duration.seconds(30),
    maxInFlight: 4096
  },
  database: {
    url: Option.none(),
    poolSize: 10,
    dataDirectory: ".conduit",
    connectDeadline: Duration.seconds(30)
  },
  redis: { url: Option.none(), timeout: Duration.millis(50) },
  learning: {
    routerId: Option.none(),
    flushInterval: Duration.millis(50),
    maxPending: 50_000,
    feedbackExpiry: Duration.days(7),
    maxParked: 10_000,
    storePrompts: false
  },
  retention: {
    decisions: Duration.days(90),
    log: Duration.days(365),
    prompts: Duration.days(7),
    parked: Duration.days(7)
  },
  shutdown: {
    drainTimeout: Duration.seconds(30),
    settle: Duration.zero,
    persistTimeout: Duration.seconds(3),
    closeTimeout: Duration.seconds(10),
    terminationGrace: Duration.seconds(45)
  },
  models: { configFile: Option.none(), simulate: Option.none(), reloadOnSighup: false },
  log: { level: "INFO", format: "json" },
  otlp: {
    tracesUrl: Option.none(),
    metricsUrl: Option.none(),
    protocol: "http/protobuf",
    headers: Option.none(),
    timeout: Duration.seconds(10),
    metricsInterval: Duration.minutes(1),
    tracesInterval: Duration.seconds(5),
    serviceName: "conduit",
    resourceAttributes: {},
    sampler: { parentBased: true, ratio: 1 }
  }
}

/** Grace for terminating backends after the pool did not close, and for the flush of telemetry and upstream pools. */
export const terminateLimit = Duration.seconds(1)
export const flushLimit = Duration.millis(500)

/** The longest a shutdown can take by its settings. */
export const shutdownBudget = (shutdown: SettingsShape["shutdown"]): Duration.Duration =>
  [shutdown.persistTimeout, shutdown.closeTimeout, terminateLimit, flushLimit].reduce(
    (sum, limit) => Duration.sum(sum, limit),
    shutdown.drainTimeout
  )

/** Every problem of the configuration at once, a line each: name, value (secrets never) and what would be right. */
export class InvalidSettings extends Schema.TaggedError<InvalidSettings>()("InvalidSettings", {
  problems: Schema.Array(Schema.String)
}) {
  override get message() {
    return `the configuration has ${this.problems.length} problem(s):\n${this.problems.map((p) => `  - ${p}`).join("\n")}`
  }
}
