import * as path from "node:path"
import * as Effect from "effect/Effect"
import * as PostgresEmbedded from "../../layers/storage/postgres/PostgresEmbedded.ts"
import type { SettingsShape } from "../../services/running/Settings.ts"
import { type Line, warn } from "./Check.ts"

/** Without `DATABASE_URL`; one process at a time may use that folder, so it is only looked at. */
export const embeddedLines = ({ database }: SettingsShape): Effect.Effect<ReadonlyArray<Line>> =>
  Effect.sync(() => {
    const folder = path.resolve(database.dataDirectory)
    const user = PostgresEmbedded.userOf(database.dataDirectory)
    const state = !PostgresEmbedded.isThere(database.dataDirectory)
      ? "which the first start makes"
      : user === null
        ? "which is there, and nobody uses it now"
        : `which process ${user} uses now`
    return [
      warn(
        "database",
        `DATABASE_URL is not set: the embedded PostgreSQL in ${folder}, ${state}; it is for development, with one process`,
        "set DATABASE_URL for anything else"
      )
    ]
  })
