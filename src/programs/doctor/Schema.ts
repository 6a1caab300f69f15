import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type { DatabaseInspectionShape, DatabaseSchema } from "../../services/storage/DatabaseInspection.ts"
import { fail, type Line, pass, warn } from "./Check.ts"

const versionLine = (schema: DatabaseSchema, version: number, role: string): Line => {
  const name = "schema"
  const todo = "restore the whole dump into an empty database, and look at what pg_restore says"
  const { absent, hasTables, mayMigrate, newest } = schema
  if (version === newest) {
    return absent.length === 0
      ? pass(name, `version ${version}, current`)
      : fail(name, `version ${version}, but there is no ${absent.join(", ")}`, todo)
  }
  if (version === 0 && hasTables) {
    return fail(name, "there are tables of Conduit, but nothing in conduit_migrations: no start could migrate", todo)
  }
  if (version > newest) {
    return fail(
      name,
      `version ${version}, and this program knows ${newest}: it would refuse to start`,
      "run the newer program, or restore the dump from before the upgrade"
    )
  }
  const state = version === 0 ? "there are no tables yet" : `version ${version} of ${newest}`
  return mayMigrate
    ? warn(name, `${state}: the first start migrates`, "let it, or run `conduit migrate` before")
    : fail(
        name,
        `${state}, and the role ${role} may not migrate`,
        "run `conduit migrate` as the owner of the tables; GRANT CREATE ON SCHEMA where there are none"
      )
}

const rightsLines = ({ missingRights, version }: DatabaseSchema, role: string): ReadonlyArray<Line> => {
  const byTable = Object.entries(Arr.groupBy(missingRights, ({ table }) => table))
  const wanted = byTable.map(([table, rights]) => `${rights.map(({ right }) => right).join(", ")} on ${table}`)
  if (wanted.length > 0) {
    return [
      fail("rights", `the role ${role} lacks ${wanted.join("; ")}`, `GRANT ${wanted.join("; GRANT ")} TO ${role}`)
    ]
  }
  return version === null || version === 0
    ? []
    : [pass("rights", `SELECT, INSERT, UPDATE and DELETE on all tables, as ${role}`)]
}

/** Whether the tables are there, those of this program, and what the role may do with them. */
export const schemaLines = (inspection: DatabaseInspectionShape, role: string): Effect.Effect<ReadonlyArray<Line>> =>
  inspection.schema.pipe(
    Effect.map((schema) => [
      ...(schema.version === null ? [] : [versionLine(schema, schema.version, role)]),
      ...rightsLines(schema, role)
    ]),
    Effect.catchAll((error) =>
      Effect.succeed([fail("schema", error.message, "run it again; the server's log says more")])
    )
  )
