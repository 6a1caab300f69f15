import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { isLoopback } from "../../domain/basics/Loopback.ts"
import { addressOf, type BoundedPool } from "../../layers/storage/postgres/Pool.ts"
import type { DatabaseError } from "../../services/storage/Database.ts"
import type { SettingsShape } from "../../services/running/Settings.ts"
import { fail, type Findings, found, inMillis, type Line, pass, warn } from "./Check.ts"
import { clockOf, connection, link, type Link, rows } from "./Connection.ts"
import { embeddedLines } from "./Embedded.ts"
import { learningLines } from "./Learning.ts"
import { schemaLines } from "./Schema.ts"

/** What the server says of itself and of this role. */
interface Server {
  readonly version: string
  readonly number: number
  readonly backend: number
  readonly role: string
  readonly standby: boolean
  readonly readOnly: boolean
  /** Connections that are not reserved. */
  readonly slots: number
  readonly roleLimit: number
  readonly databaseLimit: number
  /** Connections that are not this database's Conduit. */
  readonly others: number
  /** The server itself limits statements of this role or in this database. */
  readonly isLimited: boolean
}

const serverOf = (bounded: BoundedPool) =>
  rows<{ [Key in keyof Server]: Server[Key] }>(
    bounded,
    `SELECT split_part(current_setting('server_version'), ' ', 1) AS version,
       current_setting('server_version_num')::int AS number,
       pg_backend_pid() AS backend, current_user::text AS role,
       pg_is_in_recovery() AS standby, current_setting('transaction_read_only') = 'on' AS "readOnly",
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
         - coalesce(current_setting('reserved_connections', true)::int, 0) AS slots,
       (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user) AS "roleLimit",
       (SELECT datconnlimit FROM pg_database WHERE datname = current_database()) AS "databaseLimit",
       (SELECT count(*)::int FROM pg_stat_activity
        WHERE datid IS NOT NULL AND usesysid IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend'
          AND pid <> pg_backend_pid()
          AND NOT (datname = current_database() AND application_name LIKE 'conduit-%')) AS others,
       EXISTS (SELECT FROM pg_db_role_setting s, unnest(s.setconfig) AS set(text)
         WHERE s.setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = current_user))
           AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
           AND set.text LIKE 'statement_timeout=%') AS "isLimited"`
  )

const remedies: Partial<Record<DatabaseError["reason"], string>> = {
  connection: "is PostgreSQL up, are host and port of DATABASE_URL right, is the network policy open?",
  timeout: "something accepts connections and does not answer: a firewall, a frozen server, a wrong port",
  authentication: "correct user and password of DATABASE_URL",
  permission: "GRANT CONNECT ON DATABASE to the role",
  too_many_connections: "raise max_connections, lower DATABASE_POOL_SIZE, or put a pooler between"
}

const unreachable = ({ detail, reason }: DatabaseError, address: string): Line =>
  fail(
    "database",
    `${address}: ${reason} (${detail}); what else needs the database was not looked at`,
    remedies[reason] ?? "correct DATABASE_URL; the server's log says more"
  )

const isHere = (url: Redacted.Redacted): boolean => {
  const { hostname, searchParams } = new URL(Redacted.value(url))
  const host = hostname === "" ? (searchParams.get("host") ?? "/") : hostname.replace(/^\[(.*)\]$/, "$1")
  return host.startsWith("/") || isLoopback(host)
}

const transportLine = (url: Redacted.Redacted, { tls }: Link, where: string): Line => {
  if (tls === "verified") return pass("database", `${where}, TLS`)
  if (tls === "not verified") {
    return warn(
      "database",
      `${where}, TLS with a certificate that is not verified`,
      "set sslmode=verify-full in DATABASE_URL, and PGSSLROOTCERT for an authority of your own"
    )
  }
  if (isHere(url)) return pass("database", where)
  return warn(
    "database",
    `${where}, without TLS: passwords of users and data pass the network in the clear`,
    "set sslmode=verify-full in DATABASE_URL"
  )
}

const writableLine = ({ readOnly, standby }: Server): Line =>
  standby
    ? fail("writable", "this server is a standby", "point DATABASE_URL to the primary")
    : readOnly
      ? fail(
          "writable",
          "transactions are read-only by default",
          "ALTER ROLE, ALTER DATABASE or the server's configuration sets default_transaction_read_only: take it away"
        )
      : pass("writable", "a primary")

/** A replica has its pool, a connection that listens, and two more while it starts; during a rollout there is one more. */
const connectionsLine = (server: Server, isPooled: boolean, { database }: SettingsShape, replicas: number): Line => {
  const name = "connections"
  const need = (replicas + 1) * (database.poolSize + 3)
  if (database.poolSize === 1) {
    return warn(
      name,
      "DATABASE_POOL_SIZE is 1: whoever reads statistics holds up feedback and what is learned",
      "set it to 3 or more; 10 is the default"
    )
  }
  const needs = `${replicas} replicas and one more at a deploy (--replicas) x (DATABASE_POOL_SIZE ${database.poolSize} + 3) = ${need}`
  if (isPooled) return pass(name, `${needs}: the pooler has to accept so many clients, which cannot be asked here`)
  const limits = [
    { free: server.slots - server.others, what: `${server.slots} of max_connections, ${server.others} used by others` },
    ...[
      { limit: server.roleLimit, what: "the role's CONNECTION LIMIT" },
      { limit: server.databaseLimit, what: "the database's CONNECTION LIMIT" }
    ].flatMap(({ limit, what }) => (limit < 0 ? [] : [{ free: limit, what: `${limit} of ${what}` }]))
  ]
  const tightest = limits.reduce((least, limit) => (limit.free < least.free ? limit : least))
  return need <= tightest.free
    ? pass(name, `${needs}, of ${tightest.free} free (${tightest.what})`)
    : fail(
        name,
        `${needs}, but ${tightest.free} are free (${tightest.what})`,
        "raise the limit of PostgreSQL, lower DATABASE_POOL_SIZE, or put a pooler between"
      )
}

const poolerLine = ({ isLimited }: Server, isPooled: boolean): Line => {
  if (!isPooled) return pass("pooler", "none between")
  return isLimited
    ? pass("pooler", "one is between: notifications do not pass, commits of other replicas are polled for")
    : warn(
        "pooler",
        "one is between: notifications do not pass, and Conduit's limits for statements land on whichever connection serves them",
        "give Conduit a role or database of its own in the pooler, and ALTER ROLE ... SET statement_timeout = '5s'"
      )
}

/** Everything about the database, in the order of the checklist. */
export const databaseFindings = (settings: SettingsShape, replicas: number): Effect.Effect<Findings> =>
  Option.match(settings.database.url, {
    onNone: () => Effect.map(embeddedLines(settings), (lines) => found(...lines)),
    onSome: (url) =>
      Effect.gen(function* () {
        const bounded = yield* connection(url)
        const address = addressOf(url)
        const opened = yield* Effect.either(
          Effect.all({
            link: link(bounded),
            server: serverOf(bounded),
            first: clockOf(bounded),
            clock: clockOf(bounded)
          })
        )
        if (opened._tag === "Left") return found(unreachable(opened.left, address))
        const { clock, link: own, server: answered } = opened.right
        const [server] = answered
        if (server === undefined) {
          return found(fail("database", `${address} does not answer as PostgreSQL does`, "correct DATABASE_URL"))
        }
        if (server.number < 130_000) {
          return found(fail("database", `PostgreSQL ${server.version} at ${address}`, "use PostgreSQL 13 or newer"))
        }
        // A pooler invents the number that it tells its clients.
        const isPooled = own.backend !== server.backend
        const where = `PostgreSQL ${server.version} at ${address}, ${inMillis(clock.tookMs)} a round trip`
        const lines = [
          transportLine(url, own, where),
          writableLine(server),
          ...(yield* schemaLines(bounded, server.role)),
          connectionsLine(server, isPooled, settings, replicas),
          poolerLine(server, isPooled),
          ...(yield* learningLines(bounded, settings, replicas))
        ]
        return { lines, clocks: [{ whose: "the database", aheadMs: clock.aheadMs, errorMs: clock.tookMs / 2 }] }
      }).pipe(Effect.scoped)
  })
