import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { Agent, request } from "undici"
import type { Signal, Trouble } from "./Trouble.ts"

/** On their way at once, for each signal: with a collector that hangs they are all there is. */
const mostUnderWay = 2
const firstPauseMs = 500
const longestPauseMs = 5_000
const mostOfAnswerBytes = 64 * 1024

/** What is exported at one time. */
export interface Parcel {
  readonly signal: Signal
  readonly url: string
  readonly contentType: string
  readonly body: Uint8Array
  /** Spans; 1 for metrics. */
  readonly items: number
}

/**
 * Brings telemetry to the collector in the background, each parcel within one time limit. Nobody waits for it, and it never
 * fails: what cannot be delivered is dropped and counted.
 */
export interface Courier {
  readonly hasRoom: (signal: Signal) => boolean
  /** Instead of a parcel for which there was no room. */
  readonly refuse: (parcel: Pick<Parcel, "signal" | "items">) => Effect.Effect<void>
  readonly send: (parcel: Parcel) => Effect.Effect<void>
  /** From now on there is no time but the last. */
  readonly closing: Effect.Effect<void>
}

class NotDelivered extends Schema.TaggedError<NotDelivered>()("NotDelivered", {
  detail: Schema.String,
  /** Trying again may help. */
  isTransient: Schema.Boolean,
  retryAfterMs: Schema.Number
}) {}

/** As the protocol has it. */
const transientStatuses = new Set([429, 502, 503, 504])

export const makeCourier = (options: {
  readonly headers: Readonly<Record<string, string>>
  readonly timeout: Duration.Duration
  /** What is under way at the end has this long, from `closing` on: encoding the last parcels takes of it too. */
  readonly lastLimit: Duration.Duration
  readonly trouble: Trouble
}): Effect.Effect<Courier, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { headers, lastLimit, timeout, trouble } = options
    const runFork = Runtime.runFork(yield* Effect.runtime<never>())
    const agent = new Agent({ connections: mostUnderWay, headersTimeout: 0, bodyTimeout: 0 })
    const underWay = new Map<Fiber.RuntimeFiber<void>, Parcel>()
    let onEmpty = () => {}
    let closingSince: number | undefined

    const post = ({ body, contentType, url }: Parcel) =>
      Effect.tryPromise({
        try: async (signal) => {
          const method = "POST"
          const answer = await request(url, {
            method,
            headers: { ...headers, "content-type": contentType },
            body,
            signal,
            dispatcher: agent
          })
          await answer.body.dump({ limit: mostOfAnswerBytes, signal })
          return { status: answer.statusCode, retryAfter: answer.headers["retry-after"] }
        },
        catch: (cause) => new NotDelivered({ detail: reasonOf(cause), isTransient: true, retryAfterMs: 0 })
      }).pipe(
        Effect.flatMap(({ retryAfter, status }) =>
          status >= 200 && status < 300
            ? Effect.void
            : new NotDelivered({
                detail: `the collector answered HTTP ${status}`,
                isTransient: transientStatuses.has(status),
                retryAfterMs: 1000 * (Number(retryAfter) || 0)
              })
        )
      )

    const deliver = (parcel: Parcel): Effect.Effect<void> => {
      let last = `no answer within ${Duration.toMillis(timeout)} ms`
      const attempt = (pauseMs: number): Effect.Effect<void, NotDelivered> =>
        Effect.catchAll(post(parcel), (error) => {
          last = error.detail
          if (!error.isTransient) return Effect.fail(error)
          return Random.nextRange(0.5 * pauseMs, 1.5 * pauseMs).pipe(
            Effect.flatMap((millis) => Effect.sleep(Math.max(error.retryAfterMs, millis))),
            Effect.zipRight(attempt(Math.min(longestPauseMs, 2 * pauseMs)))
          )
        })
      return attempt(firstPauseMs).pipe(
        Effect.timeoutFail({
          duration: timeout,
          onTimeout: () => new NotDelivered({ detail: last, isTransient: false, retryAfterMs: 0 })
        }),
        Effect.matchEffect({
          onFailure: ({ detail }) => trouble.dropped(parcel.signal, parcel.items, detail),
          onSuccess: () => trouble.delivered
        })
      )
    }

    // The exporters below this scope have handed over their last parcels.
    yield* Effect.addFinalizer(() =>
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        const left = Duration.subtract(lastLimit, Duration.millis(now - (closingSince ?? now)))
        yield* Effect.async<void>((resume) => {
          onEmpty = () => resume(Effect.void)
          if (underWay.size === 0) onEmpty()
        }).pipe(Effect.disconnect, Effect.interruptible, Effect.timeoutOption(left))
        for (const [fiber, { items, signal }] of underWay) {
          fiber.unsafeInterruptAsFork(fiber.id())
          yield* trouble.dropped(signal, items, "the shutdown did not wait for the collector")
        }
        agent.destroy().catch(() => undefined)
      })
    )

    const hasRoom = (signal: Signal) => {
      let count = 0
      for (const parcel of underWay.values()) if (parcel.signal === signal) count++
      return count < mostUnderWay
    }

    const refuse: Courier["refuse"] = ({ items, signal }) => trouble.dropped(signal, items, "the collector is too slow")

    return {
      hasRoom,
      refuse,
      closing: Effect.map(Clock.currentTimeMillis, (now) => void (closingSince = now)),
      send: (parcel) =>
        Effect.suspend(() => {
          if (!hasRoom(parcel.signal)) return refuse(parcel)
          const fiber = runFork(deliver(parcel))
          underWay.set(fiber, parcel)
          fiber.addObserver(() => {
            underWay.delete(fiber)
            if (underWay.size === 0) onEmpty()
          })
          return Effect.void
        })
    }
  })

/** A transport error's code says more than its message, and has no address in it. */
const reasonOf = (cause: unknown): string =>
  cause instanceof Error
    ? "code" in cause && typeof cause.code === "string"
      ? cause.code
      : cause.message.slice(0, 200)
    : "the connection failed"
