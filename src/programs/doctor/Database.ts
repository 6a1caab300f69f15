import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import { isLoopback } from "../../domain/basics/Loopback.ts"
import { parsePostgresUrl } from "../../domain/basics/PostgresUrl.ts"
import type { DatabaseError } from "../../services/storage/Database.ts"
import {
  DatabaseInspection,
  type DatabaseLink,
  type DatabaseServer
} from "../../services/storage/DatabaseInspection.ts"
import { unmetRequirement } from "../../services/storage/DatabaseRequirements.ts"
import type { FeatureExtractor } from "../../services/routing/FeatureExtractor.ts"
import type { SettingsShape } from "../../services/running/Settings.ts"
import { fail, type Findings, found, inMillis, type Line, pass, warn } from "./Check.ts"
import { learningLines } from "./Learning.ts"
import { schemaLines } from "./Schema.ts"

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

const isHere = (url: Redacted.Redacted): boolean =>
  Either.match(parsePostgresUrl(Redacted.value(url)), {
    onLeft: () => false,
    onRight: ({ hosts }) => hosts.every(({ name }) => name === "" || name.startsWith("/") || isLoopback(name))
  })

const transportLine = (url: Redacted.Redacted, { tls }: DatabaseLink, where: string): Line => {
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

const writableLine = ({ readOnly, standby }: DatabaseServer): Line =>
  standby
    ? fail("writable", "this server is a standby", "point DATABASE_URL to the primary")
    : readOnly
      ? fail(
          "writable",
          "transactions are read-only by default",
          "ALTER ROLE, ALTER DATABASE or the server's configuration sets default_transaction_read_only: take it away"
        )
      : pass("writable", "a primary")

/**
 * Whether a failover can lose what was acknowledged.
 * https://www.postgresql.org/docs/current/warm-standby.html#SYNCHRONOUS-REPLICATION
 */
const replicationLine = ({ lagSeconds, standbys, synchronousCommit, synchronousNames }: DatabaseServer): Line => {
  const name = "replication"
  const count = `${standbys} standby${standbys === 1 ? "" : "s"}`
  if (synchronousNames === "") {
    return standbys === 0
      ? pass(name, "no standby: this server has the only copy")
      : warn(
          name,
          `${count}, asynchronous: a failover can lose commits that were answered`,
          "set synchronous_standby_names, and promote none but a synchronous standby"
        )
  }
  if (standbys === 0) {
    return fail(
      name,
      `synchronous_standby_names is ${synchronousNames}, and no standby is connected: commits wait for ever`,
      "start the standby, or take it out of synchronous_standby_names"
    )
  }
  if (synchronousCommit === "off" || synchronousCommit === "local") {
    return warn(
      name,
      `${count}, and synchronous_commit is ${synchronousCommit}: commits do not wait for them`,
      "ALTER ROLE ... SET synchronous_commit = on, for Conduit's role"
    )
  }
  const lag = lagSeconds === null ? "" : `, ${inMillis(lagSeconds * 1000)} behind`
  return pass(name, `${count}, synchronous (${synchronousNames})${lag}`)
}

/** A replica has its pool, a connection that listens, and two more while it starts; during a rollout there is one more. */
const connectionsLine = (
  server: DatabaseServer,
  isPooled: boolean,
  { database, workers }: SettingsShape,
  replicas: number
): Line => {
  const name = "connections"
  const need = (replicas + 1) * workers * (database.poolSize + 3)
  if (database.poolSize === 1) {
    return warn(
      name,
      "DATABASE_POOL_SIZE is 1: whoever reads statistics holds up feedback and what is learned",
      "set it to 3 or more; 10 is the default"
    )
  }
  const needs = `${replicas} replicas and one more at a deploy (--replicas) x (DATABASE_POOL_SIZE ${database.poolSize} + 3)${workers === 1 ? "" : ` x ${workers} workers`} = ${need}`
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

const poolerLine = ({ isLimited }: DatabaseServer, isPooled: boolean, notifies: boolean): Line => {
  if (!isPooled) return pass("pooler", "none between")
  const between = notifies ? "one is between, and notifications pass" : "one is between: notifications do not pass"
  if (notifies) return pass("pooler", between)
  return isLimited
    ? pass("pooler", `${between}, commits of other replicas are polled for`)
    : warn(
        "pooler",
        `${between}, and Conduit's limits for statements land on whichever connection serves them`,
        "give Conduit a role or database of its own in the pooler, and ALTER ROLE ... SET statement_timeout = '5s'"
      )
}

/** Everything about the database, in the order of the checklist. */
export const databaseFindings = (
  settings: SettingsShape,
  replicas: number
): Effect.Effect<Findings, never, DatabaseInspection | FeatureExtractor> =>
  Effect.gen(function* () {
    const inspection = yield* DatabaseInspection
    const { address, url } = inspection
    const opened = yield* Effect.either(
      Effect.all({
        link: inspection.link,
        server: inspection.server,
        // The first one pays for what the connection has not done yet.
        first: inspection.clock,
        clock: inspection.clock
      })
    )
    if (Either.isLeft(opened)) return found(unreachable(opened.left, address))
    const { clock, link, server } = opened.right
    if (server === null) {
      return found(fail("database", `${address} does not answer as PostgreSQL does`, "correct DATABASE_URL"))
    }
    const unmet = unmetRequirement(server)
    if (unmet !== null) return found(fail("database", `${address}: ${unmet.problem}`, unmet.remedy))
    // A pooler invents the number that it tells its clients.
    const isPooled = link.backend !== server.backend
    const notifies = isPooled && (yield* Effect.orElseSucceed(inspection.notifications, () => false))
    const where = `PostgreSQL ${server.version} at ${address}, ${inMillis(clock.tookMs)} a round trip`
    const lines = [
      transportLine(url, link, where),
      writableLine(server),
      ...(server.standby ? [] : [replicationLine(server)]),
      ...(yield* schemaLines(inspection, server.role)),
      connectionsLine(server, isPooled, settings, replicas),
      poolerLine(server, isPooled, notifies),
      ...(yield* learningLines(settings, replicas))
    ]
    return { lines, clocks: [{ whose: "the database", aheadMs: clock.aheadMs, errorMs: clock.tookMs / 2 }] }
  })
