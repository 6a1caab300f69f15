import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Agent } from "undici"
import { transportDetail } from "../../domain/basics/TransportDetail.ts"
import { HttpProbe, type HttpProbeShape, Unreachable } from "../../services/running/HttpProbe.ts"

const limit = Duration.seconds(5)
/** The longest list of models that a provider is known to send has a tenth of this. */
const maxBytes = 8 * 1024 * 1024

const exchange: HttpProbeShape["exchange"] = (url, headers, body) =>
  Effect.acquireUseRelease(
    Effect.sync(() => new Agent({ connections: 1, maxResponseSize: maxBytes })),
    (dispatcher) =>
      Effect.gen(function* () {
        const { origin, pathname, search } = new URL(url)
        const clock = yield* Effect.clock
        const sentMs = clock.unsafeCurrentTimeMillis()
        const { answeredMs, date, statusCode, text } = yield* Effect.tryPromise({
          try: async (signal) => {
            const answer = await dispatcher.request({
              origin,
              path: `${pathname}${search}`,
              signal,
              headers,
              ...(body === undefined ? { method: "GET" } : { method: "POST", body })
            })
            const answeredMs = clock.unsafeCurrentTimeMillis()
            const { date } = answer.headers
            return { answeredMs, date, statusCode: answer.statusCode, text: await answer.body.text() }
          },
          // Most messages have the code in them.
          catch: (error) => new Unreachable({ detail: transportDetail(error).replace(/^(\w+): (?=.*\1)/, "") })
        })
        const dateMs = typeof date === "string" ? Date.parse(date) : Number.NaN
        return {
          status: statusCode,
          text,
          dateMs: Number.isNaN(dateMs) ? null : dateMs,
          sentMs,
          answeredMs
        }
      }),
    (dispatcher) => Effect.promise(() => dispatcher.destroy())
  ).pipe(
    Effect.disconnect,
    Effect.timeoutFail({
      duration: limit,
      onTimeout: () => new Unreachable({ detail: `no answer within ${Duration.toSeconds(limit)} s` })
    })
  )

export const layer: Layer.Layer<HttpProbe> = Layer.succeed(HttpProbe, { exchange })
