import * as path from "node:path"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as PostgresEmbedded from "../../layers/storage/postgres/PostgresEmbedded.ts"
import type { SettingsShape } from "../../services/running/Settings.ts"
import { fail, type Line, warn } from "./Check.ts"

/** Without `DATABASE_URL`: what is in the folder, and the address of the server that a service runs there. Starts nothing. */
export const embedded = ({
  database
}: SettingsShape): Effect.Effect<{
  readonly lines: ReadonlyArray<Line>
  readonly url: Option.Option<Redacted.Redacted>
}> =>
  Effect.gen(function* () {
    const folder = path.resolve(database.dataDirectory)
    const user = yield* Logger.withMinimumLogLevel(PostgresEmbedded.userOf(database.dataDirectory), LogLevel.None)
    const state = !PostgresEmbedded.isThere(database.dataDirectory)
      ? "which the first start makes"
      : user === null
        ? "which is there, and nobody uses it now"
        : `which ${user} uses now`
    const line = warn(
      "database",
      `DATABASE_URL is not set: the embedded PostgreSQL in ${folder}, ${state}; it is for one process on one machine`,
      "set DATABASE_URL where there are replicas, or a disk that does not stay"
    )
    return yield* Effect.match(PostgresEmbedded.runningUrl(database.dataDirectory), {
      onSuccess: (url) => ({ lines: [line], url }),
      onFailure: (error) => ({
        lines: [line, fail("database", error.message, "run this as the user whose service it is")],
        url: Option.none()
      })
    })
  })
