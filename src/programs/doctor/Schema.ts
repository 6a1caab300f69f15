import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import { newestMigration } from "../../layers/storage/postgres/Start.ts"
import type { BoundedPool } from "../../layers/storage/postgres/Pool.ts"
import { fail, type Line, pass, warn } from "./Check.ts"
import { rows } from "./Connection.ts"

/** Those that the service writes; `test/process/doctor/checklist.test.ts` compares them with what the migrations make. */
export const serviceTables = ["routers", "learning_log", "decisions", "feedback", "bandit_snapshots", "prompts"]
const migrations = "conduit_migrations"
/** Without one of these, statements are slow, or fail. */
export const serviceIndexes = (
  "routers_pkey routers_id_key routers_remembered learning_log_pkey learning_log_router_key_position_key " +
  "decisions_pkey decisions_session decisions_not_ok decisions_unusual decisions_facets " +
  "feedback_pkey feedback_router_key_idempotency_key_key feedback_decision feedback_parked " +
  "bandit_snapshots_pkey prompts_pkey"
).split(" ")

interface Right {
  readonly table: string
  readonly right: string
}

const missingRights = (bounded: BoundedPool) =>
  rows<{ [Key in keyof Right]: Right[Key] }>(
    bounded,
    `SELECT t.name AS "table", r.name AS "right"
     FROM unnest($1::text[]) WITH ORDINALITY AS t(name, i)
     CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) WITH ORDINALITY AS r(name, i)
     WHERE to_regclass(t.name) IS NOT NULL AND NOT has_table_privilege(to_regclass(t.name), r.name)
       AND (t.name <> '${migrations}' OR r.name = 'SELECT')
     ORDER BY t.i, r.i`,
    [[migrations, ...serviceTables]]
  )

/** A dump that was restored in part lacks some. */
const missing = (bounded: BoundedPool) =>
  rows<{ name: string }>(
    bounded,
    "SELECT t.name FROM unnest($1::text[]) WITH ORDINALITY AS t(name, i) WHERE to_regclass(t.name) IS NULL ORDER BY t.i",
    [[...serviceTables, ...serviceIndexes]]
  )

/** Whether this role could migrate: it makes tables in the schema, and alters those that are there. */
const migrating = (bounded: BoundedPool) =>
  rows<{ known: boolean; readable: boolean; may: boolean }>(
    bounded,
    `SELECT to_regclass('${migrations}') IS NOT NULL AS known,
       coalesce(has_table_privilege(to_regclass('${migrations}'), 'SELECT'), false) AS readable,
       coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AND coalesce((
         SELECT bool_and(pg_has_role(c.relowner, 'USAGE')) FROM pg_class c
         WHERE c.oid IN (SELECT to_regclass(t.name)::oid FROM unnest($1::text[]) AS t(name))), true) AS may`,
    [[migrations, ...serviceTables]]
  )

const versionLine = (version: number, may: boolean, role: string, absent: ReadonlyArray<string>): Line => {
  const name = "schema"
  const todo = "restore the whole dump into an empty database, and look at what pg_restore says"
  if (version === newestMigration) {
    return absent.length === 0
      ? pass(name, `version ${version}, current`)
      : fail(name, `version ${version}, but there is no ${absent.join(", ")}`, todo)
  }
  if (version === 0 && serviceTables.some((table) => !absent.includes(table))) {
    return fail(name, `there are tables of Conduit, but nothing in ${migrations}: no start could migrate`, todo)
  }
  if (version > newestMigration) {
    return fail(
      name,
      `version ${version}, and this program knows ${newestMigration}: it would refuse to start`,
      "run the newer program, or restore the dump from before the upgrade"
    )
  }
  const state = version === 0 ? "there are no tables yet" : `version ${version} of ${newestMigration}`
  return may
    ? warn(name, `${state}: the first start migrates`, "let it, or run `conduit migrate` before")
    : fail(
        name,
        `${state}, and the role ${role} may not migrate`,
        "run `conduit migrate` as the owner of the tables; GRANT CREATE ON SCHEMA where there are none"
      )
}

/** Whether the tables are there, those of this program, and what the role may do with them. */
export const schemaLines = (bounded: BoundedPool, role: string): Effect.Effect<ReadonlyArray<Line>> =>
  Effect.gen(function* () {
    const [state] = yield* migrating(bounded)
    const absent = (yield* missing(bounded)).map(({ name }) => name)
    const lacking = yield* missingRights(bounded)
    const [row] =
      state?.readable === true
        ? yield* rows<{ version: number | null }>(bounded, `SELECT max(migration_id) AS version FROM ${migrations}`)
        : []
    const isHidden = state?.known === true && !state.readable
    const version = row?.version ?? 0
    const byTable = Object.entries(Arr.groupBy(lacking, ({ table }) => table))
    const wanted = byTable.map(([table, rights]) => `${rights.map(({ right }) => right).join(", ")} on ${table}`)
    const rights =
      wanted.length > 0
        ? [fail("rights", `the role ${role} lacks ${wanted.join("; ")}`, `GRANT ${wanted.join("; GRANT ")} TO ${role}`)]
        : version === 0
          ? []
          : [pass("rights", `SELECT, INSERT, UPDATE and DELETE on all tables, as ${role}`)]
    return [...(isHidden ? [] : [versionLine(version, state?.may === true, role, absent)]), ...rights]
  }).pipe(
    Effect.catchAll((error) =>
      Effect.succeed([fail("schema", error.message, "run it again; the server's log says more")])
    )
  )
