import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { Agent, request } from "undici"
import { transportDetail } from "../../layers/models/ProviderErrors.ts"

/** Nobody answers there; `detail` has neither the address nor what was sent. */
export class Unreachable extends Schema.TaggedError<Unreachable>()("Unreachable", { detail: Schema.String }) {
  override get message() {
    return this.detail
  }
}

export interface Answer {
  readonly status: number
  readonly text: string
  /** The `Date` header, Unix milliseconds; null if there is none. */
  readonly dateMs: number | null
  readonly sentMs: number
  readonly answeredMs: number
}

const limit = Duration.seconds(5)
/** The longest list of models that a provider is known to send has a tenth of this. */
const maxBytes = 8 * 1024 * 1024

/** One GET. */
export const ask = (url: string, key: Redacted.Redacted | null): Effect.Effect<Answer, Unreachable> =>
  exchange(url, {
    accept: "application/json, text/plain",
    ...(key === null ? {} : { authorization: `Bearer ${Redacted.value(key)}` })
  })

/** A GET, or with a body a POST, over the client that calls the models, within five seconds. */
export const exchange = (
  url: string,
  headers: Readonly<Record<string, string>>,
  body?: string
): Effect.Effect<Answer, Unreachable> =>
  Effect.acquireUseRelease(
    Effect.sync(() => new Agent({ connections: 1, maxResponseSize: maxBytes })),
    (dispatcher) =>
      Effect.gen(function* () {
        const { origin, pathname, search } = new URL(url)
        const clock = yield* Effect.clock
        const sentMs = clock.unsafeCurrentTimeMillis()
        const { answeredMs, date, statusCode, text } = yield* Effect.tryPromise({
          try: async (signal) => {
            const answer = await request(`${origin}${pathname}${search}`, {
              dispatcher,
              signal,
              headers,
              ...(body === undefined ? {} : { method: "POST", body })
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

/** `host:port` of an address, without user, password and path. */
export const hostOf = (url: string): string => (URL.canParse(url) ? new URL(url).host : "an address that is none")
