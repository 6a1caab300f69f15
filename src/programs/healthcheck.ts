import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SettingsEnv from "../layers/running/SettingsEnv.ts"
import { Settings } from "../services/running/Settings.ts"

const limitMillis = 2_000

class Unhealthy extends Schema.TaggedError<Unhealthy>()("Unhealthy", { detail: Schema.String }) {
  override get message() {
    return this.detail
  }
}

/** `fetch` says "fetch failed" and keeps the reason to itself. */
const reasonOf = (cause: unknown): string =>
  cause instanceof Error ? (cause.cause instanceof Error ? cause.cause.message : cause.message) : String(cause)

/** For the image's HEALTHCHECK: 0 if the service of this environment answers `/health` with 200, else 1. */
export const healthcheck: Effect.Effect<number> = Effect.gen(function* () {
  const { http } = yield* Settings
  const host = http.host === "0.0.0.0" || http.host === "::" ? "127.0.0.1" : http.host
  const url = `http://${host.includes(":") ? `[${host}]` : host}:${http.port}/health`
  const response = yield* Effect.tryPromise({
    try: () => fetch(url, { signal: AbortSignal.timeout(limitMillis) }),
    catch: (cause) => new Unhealthy({ detail: `${url} does not answer (${reasonOf(cause)})` })
  })
  return response.status === 200 ? 0 : yield* new Unhealthy({ detail: `${url} answers ${response.status}` })
}).pipe(
  Effect.provide(SettingsEnv.layer),
  Effect.catchAll((error) =>
    Effect.sync(() => {
      process.stderr.write(`unhealthy: ${error.message}\n`)
      return 1
    })
  )
)
