import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Parse from "./Parsers.ts"
import type { ReadSetting } from "./Setting.ts"

export const database = (setting: ReadSetting) => {
  const url = setting(
    "DATABASE_URL",
    Parse.optional(Parse.databaseUrl),
    Option.none(),
    "PostgreSQL connection string",
    "postgres://conduit:secret@db:5432/conduit",
    { shown: "none: the embedded PostgreSQL; required in production", secret: true }
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
      Option.match(rootCertificate, {
        onNone: () => address,
        onSome: (file) => withRootCertificate(address, file)
      })
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

/** The driver takes the file of the certificate authority from the connection string alone, where libpq takes it from either. */
const withRootCertificate = (url: Redacted.Redacted, file: string): Redacted.Redacted => {
  const parsed = new URL(Redacted.value(url))
  if (!parsed.searchParams.has("sslrootcert")) parsed.searchParams.set("sslrootcert", file)
  return Redacted.make(parsed.href)
}

export const redis = (setting: ReadSetting) =>
  ({
    /** None = sessions are remembered by each replica alone. */
    url: setting(
      "REDIS_URL",
      Parse.optional(Parse.redisUrl),
      Option.none(),
      "Redis in which replicas share which model a session has; nothing fails without it, or when it goes away",
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
