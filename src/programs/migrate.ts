import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as DatabasePg from "../layers/storage/postgres/DatabasePg.ts"
import * as PostgresExternal from "../layers/storage/postgres/PostgresExternal.ts"
import * as SettingsEnv from "../layers/running/SettingsEnv.ts"
import * as ShutdownReportJson from "../layers/running/ShutdownReportJson.ts"
import * as Telemetry from "../layers/observing/Telemetry.ts"
import { InvalidSettings, Settings } from "../services/running/Settings.ts"
import { json, told } from "./tools/Told.ts"

const Migrated = DatabasePg.layer.pipe(
  Layer.provide(PostgresExternal.layer),
  Layer.provide(ShutdownReportJson.layer),
  Layer.provide(Telemetry.layer)
)

/** `conduit migrate`: brings the schema up to date and ends; for deploys that do not let the service do it. */
export const migrate = Command.make("migrate", { json }, ({ json }) =>
  Effect.gen(function* () {
    const { database } = yield* Settings
    if (Option.isNone(database.url)) {
      return yield* new InvalidSettings({
        problems: ["DATABASE_URL is not set: the embedded database is migrated by the service itself"]
      })
    }
    // The messages of the pool's end are those of a shutdown, which people have alerts on: nothing is shut down here.
    yield* Effect.scoped(Layer.build(Migrated)).pipe(Logger.withMinimumLogLevel(LogLevel.Warning))
    yield* told(json, { status: "up to date" }, "the schema is up to date")
  }).pipe(Effect.provide(SettingsEnv.layer))
).pipe(Command.withDescription("Bring the schema of DATABASE_URL up to date"))
