import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { PostgresServer } from "../../../services/storage/PostgresServer.ts"
import { InvalidSettings, Settings } from "../../../services/running/Settings.ts"

/** Somebody's PostgreSQL, where the settings say. */
export const layer: Layer.Layer<PostgresServer, InvalidSettings, Settings> = Layer.effect(
  PostgresServer,
  Effect.gen(function* () {
    const { database } = yield* Settings
    if (Option.isNone(database.url)) {
      return yield* new InvalidSettings({
        problems: ["DATABASE_URL: is not set, and would be the URL of a PostgreSQL"]
      })
    }
    return PostgresServer.of({
      url: database.url.value,
      poolSize: database.poolSize,
      isSingleSession: false,
      end: Option.none()
    })
  })
)
