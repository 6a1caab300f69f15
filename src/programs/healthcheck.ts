import * as Effect from "effect/Effect"
import * as SettingsEnv from "../layers/SettingsEnv.ts"
import { Settings } from "../services/Settings.ts"

const limitMillis = 2_000

/** For the image's HEALTHCHECK: 0 if the service of this environment answers `/health` with 200, else 1. */
export const healthcheck: Effect.Effect<number> = Effect.gen(function* () {
  const { http } = yield* Settings
  const host = http.host === "0.0.0.0" || http.host === "::" ? "127.0.0.1" : http.host
  const url = `http://${host.includes(":") ? `[${host}]` : host}:${http.port}/health`
  const response = yield* Effect.tryPromise(() => fetch(url, { signal: AbortSignal.timeout(limitMillis) }))
  return response.status === 200 ? 0 : 1
}).pipe(
  Effect.provide(SettingsEnv.layer),
  Effect.catchAll((error) =>
    Effect.sync(() => {
      process.stderr.write(`unhealthy: ${error.message}\n`)
      return 1
    })
  )
)
