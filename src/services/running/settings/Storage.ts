import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { type SslMode, sslModes } from "../../../domain/basics/PostgresUrl.ts"
import * as Parse from "./Parsers.ts"
import type { ReadSetting } from "./Setting.ts"

const sslModeChoices: Readonly<Record<string, SslMode>> = Object.fromEntries(sslModes.map((mode) => [mode, mode]))

export const database = (setting: ReadSetting) => {
  const url = setting(
    "DATABASE_URL",
    Parse.optional(Parse.databaseUrl),
    Option.none(),
    "PostgreSQL connection string",
    "postgres://conduit:secret@db:5432/conduit",
    { shown: "none: the embedded PostgreSQL; required in production", secret: true }
  )
  const sslMode = setting(
    "PGSSLMODE",
    Parse.optional(Parse.choice(sslModeChoices, sslModes.join(", "))),
    Option.none(),
    "TLS to the database where `DATABASE_URL` has no `sslmode`, as libpq has it",
    "verify-full",
    { shown: "`prefer`; none to this machine" }
  )
  const rootCertificate = setting(
    "PGSSLROOTCERT",
    Parse.optional(Parse.text),
    Option.none(),
    "file of the certificate authority that signed the database's certificate",
    "/etc/ssl/db-ca.pem"
  )
  return {
    /** None = the embedded PostgreSQL in `dataDirectory`. */
    url: Option.map(url, (address) =>
      withParameter(withParameter(address, "sslmode", sslMode), "sslrootcert", rootCertificate)
    ),
    poolSize: setting(
      "DATABASE_POOL_SIZE",
      Parse.integer(1, 1000),
      10,
      "connections of this process to PostgreSQL",
      "20"
    ),
    dataDirectory: setting(
      "CONDUIT_DATA_DIRECTORY",
      Parse.text,
      ".conduit",
      "where the embedded PostgreSQL keeps its files",
      "/var/lib/conduit"
    ),
    /** None = the server, or PGlite where the platform has none. */
    embedded: setting(
      "CONDUIT_EMBEDDED_DATABASE",
      Parse.optional(
        Parse.choice<"postgresql" | "pglite">({ postgresql: "postgresql", pglite: "pglite" }, "postgresql or pglite")
      ),
      Option.none(),
      "what the embedded PostgreSQL is: `postgresql`, a server of its own from npm's binaries, or `pglite`, the same as WebAssembly inside this process, slower",
      "postgresql",
      { shown: "`postgresql`, or `pglite` where npm has no binaries for the platform" }
    ),
    connectDeadline: setting(
      "CONDUIT_DATABASE_CONNECT_DEADLINE",
      Parse.duration(),
      Duration.seconds(30),
      "how long the start waits for a database that does not answer",
      "2 minutes"
    )
  } as const
}

/** What the address does not say itself; libpq takes it from either. */
const withParameter = (url: Redacted.Redacted, name: string, value: Option.Option<string>): Redacted.Redacted => {
  const text = Redacted.value(url)
  const [, query = ""] = text.split("?")
  return Option.isNone(value) || new URLSearchParams(query).has(name)
    ? url
    : Redacted.make(`${text}${text.includes("?") ? "&" : "?"}${name}=${encodeURIComponent(value.value)}`)
}

export const redis = (setting: ReadSetting) =>
  ({
    /** None = sessions are remembered by each replica alone. */
    url: setting(
      "REDIS_URL",
      Parse.optional(Parse.redisUrl),
      Option.none(),
      "Redis in which replicas share which model a session has, and count the limits of keys; nothing fails without it, or when it goes away",
      "rediss://conduit:secret@redis:6379/0",
      { secret: true }
    ),
    /** Two commands, half of it each. */
    timeout: setting(
      "CONDUIT_REDIS_TIMEOUT",
      Parse.duration(),
      Duration.millis(50),
      "how long a request in a session waits for Redis at most, before its model is called",
      "0.2"
    )
  }) as const
