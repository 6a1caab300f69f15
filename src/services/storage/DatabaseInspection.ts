import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { Database, DatabaseError } from "./Database.ts"
import type { DatabaseTools } from "./DatabaseTools.ts"

/**
 * What a checklist asks of a PostgreSQL: facts, no judgements. Over one connection, with the limits of the service's
 * own. Only `removeRouter` changes anything, and nothing migrates.
 */
export interface DatabaseInspectionShape {
  readonly url: Redacted.Redacted
  /** Where the server is, without user and password. */
  readonly address: string
  /** What the connection itself tells. */
  readonly link: Effect.Effect<DatabaseLink, DatabaseError>
  /** Null if what answers does not answer as PostgreSQL does. */
  readonly server: Effect.Effect<DatabaseServer | null, DatabaseError>
  readonly clock: Effect.Effect<DatabaseClock, DatabaseError>
  /** Whether what one connection notifies reaches another one that listens, seen by trying. */
  readonly notifications: Effect.Effect<boolean, DatabaseError>
  readonly schema: Effect.Effect<DatabaseSchema, DatabaseError>
  /** Whether the tables of routers, log and snapshots are there, and whether this role may read them. */
  readonly learningTables: Effect.Effect<{ readonly there: boolean; readonly readable: boolean }, DatabaseError>
  /** The routers whose names do not begin so, oldest first. */
  readonly routersWithout: (prefix: string) => Effect.Effect<ReadonlyArray<KnownRouter>, DatabaseError>
  /** Deletes everything that the router of that name stored, at once. */
  readonly removeRouter: (id: string) => Effect.Effect<void, DatabaseError>
  /** The service's own reading of the same database. */
  readonly store: Effect.Effect<Context.Context<Database | DatabaseTools>, DatabaseError, Scope.Scope>
}

export class DatabaseInspection extends Context.Tag("conduit/services/DatabaseInspection")<
  DatabaseInspection,
  DatabaseInspectionShape
>() {}

export interface DatabaseLink {
  readonly tls: "none" | "verified" | "not verified"
  /** The number that the other end gave to the connection when it was made; null if it gave none. */
  readonly backend: number | null
}

/** What the server says of itself and of this role. */
export interface DatabaseServer {
  readonly version: string
  readonly number: number
  /** Of this database. */
  readonly encoding: string
  readonly backend: number
  readonly role: string
  readonly standby: boolean
  readonly readOnly: boolean
  /** Connections that are not reserved. */
  readonly slots: number
  /** Below 0: no limit. */
  readonly roleLimit: number
  readonly databaseLimit: number
  /** Connections that are not this database's Conduit. */
  readonly others: number
  /** The server itself limits statements of this role or in this database. */
  readonly isLimited: boolean
  /** Standbys that stream from it now. */
  readonly standbys: number
  /** How far the slowest of them is behind in storing; null where nothing waits, or this role may not see it. */
  readonly lagSeconds: number | null
  /** `synchronous_standby_names`; empty: no commit waits for a standby. */
  readonly synchronousNames: string
  /** `synchronous_commit` for this role in this database. */
  readonly synchronousCommit: string
}

/** The server's clock, and what a round trip takes. */
export interface DatabaseClock {
  readonly tookMs: number
  readonly aheadMs: number
}

export interface DatabaseSchema {
  /** 0 = nothing was migrated; null if this role may not read it. */
  readonly version: number | null
  /** What this program would migrate to. */
  readonly newest: number
  /** Whether this role could migrate. */
  readonly mayMigrate: boolean
  /** Whether any of the tables is there. */
  readonly hasTables: boolean
  /** Tables and indexes that are not there; a dump that was restored in part lacks some. */
  readonly absent: ReadonlyArray<string>
  /** Rights on tables that this role lacks. */
  readonly missingRights: ReadonlyArray<{ readonly table: string; readonly right: string }>
}

export interface KnownRouter {
  readonly id: string
  /** The one of starts that name none. */
  readonly remembered: boolean
}
