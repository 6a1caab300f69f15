import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { Redis as Client } from "ioredis"
import type { RateLimiterRedis } from "rate-limiter-flexible"
import * as EpisodeLog from "../../../services/observing/EpisodeLog.ts"
import { Redis, type RedisShape } from "../../../services/storage/Redis.ts"
import { Settings } from "../../../services/running/Settings.ts"
import { Telemetry } from "../../../services/observing/Telemetry.ts"
import * as Connection from "./Connection.ts"

/** After a connection was lost, or could not be made, nobody waits for the next one. */
const reconnectAfter = Duration.seconds(1)
/** The start goes on without Redis after this. */
const startLimit = Duration.millis(500)

const none: RedisShape = {
  count: () => Connection.away,
  get: () => Connection.away,
  claim: () => Connection.away,
  set: () => Connection.away
}

/** The configured Redis, or none. An outage is told twice, at its start and at its end, however long it is. */
export const layer: Layer.Layer<Redis, never, Settings | Telemetry> = Layer.scoped(
  Redis,
  Effect.flatMap(Settings, ({ redis }) =>
    Option.match(redis.url, {
      onNone: () => Effect.succeed(none),
      onSome: (url) => connected(url, Duration.toMillis(redis.timeout) / 2)
    })
  )
)

const limiters = new WeakMap<Client, RateLimiterRedis>()

/** Loaded by who has limits. It only counts: what is too much its caller decides. */
const limiterOf = async (storeClient: Client): Promise<RateLimiterRedis> => {
  const known = limiters.get(storeClient)
  if (known !== undefined) return known
  const { RateLimiterRedis } = (await import("rate-limiter-flexible")).default
  const made = new RateLimiterRedis({ storeClient, keyPrefix: "", points: 1, duration: 60, useRedisPackage: false })
  limiters.set(storeClient, made)
  return made
}

/** Whole, because all of it turns on one connection. */
const connected = (
  url: Redacted.Redacted,
  limitMs: number
): Effect.Effect<RedisShape, never, Telemetry | Scope.Scope> =>
  Effect.gen(function* () {
    const telemetry = yield* Telemetry
    const tried = yield* Deferred.make<void>()
    let connection: Connection.Connection | null = null
    let errors = 0
    let errorsBefore = 0
    const away = EpisodeLog.make({
      began: (reason: string) =>
        Effect.logWarning(`Redis is away, each replica remembers sessions by itself: ${reason}`),
      ended: ({ seconds }) =>
        Effect.logInfo(
          `Redis is back after ${seconds}s: ${errors - errorsBefore} command(s) failed or were not sent meanwhile`
        )
    })
    const cameBack = Effect.zipRight(
      away.worked,
      Effect.sync(() => void (errorsBefore = errors))
    )
    const wentAway = (reason: string) =>
      Effect.suspend(() => {
        connection = null
        return away.failed(reason)
      })

    const untilLost = Connection.open(url, limitMs).pipe(
      Effect.tap((opened) => {
        connection = opened
        return cameBack
      }),
      Effect.ensuring(Deferred.succeed(tried, undefined)),
      Effect.flatMap(({ lost }) => lost),
      Effect.scoped,
      Effect.catchAll(({ reason }) => wentAway(reason)),
      // A bug in the driver is no reason to give up either.
      Effect.catchAllDefect((defect) => wentAway(String(defect)))
    )

    yield* telemetry.gauge("conduit_redis_up", "Whether Redis answers", () => (connection === null ? 0 : 1))
    yield* telemetry.counter(
      "conduit_redis_errors_total",
      "Commands to Redis that failed, or were not sent because it was away",
      () => errors
    )
    yield* Effect.forkScoped(Effect.forever(Effect.zipRight(untilLost, Effect.sleep(reconnectAfter))))
    yield* Effect.timeoutOption(Deferred.await(tried), startLimit)

    const ask = <A>(commands: (client: Client) => Promise<A>) =>
      Effect.tapError(
        Effect.suspend(() => connection?.ask(commands) ?? Connection.away),
        () => Effect.sync(() => void errors++)
      )
    return {
      count: (key, amount, windowSeconds) =>
        ask(async (redis) => {
          const { consumedPoints, msBeforeNext } = await (
            await limiterOf(redis)
          ).penalty(key, amount, {
            customDuration: windowSeconds
          })
          return { count: consumedPoints, endsInMillis: msBeforeNext }
        }),
      get: (key, ttl) => ask((redis) => redis.getex(key, "EX", Duration.toSeconds(ttl))),
      claim: (key, value, ttl) =>
        ask(async (redis) => {
          const [, stored] = await Promise.all([
            redis.set(key, value, "EX", Duration.toSeconds(ttl), "NX"),
            redis.get(key)
          ])
          return stored ?? value
        }),
      set: (key, value, ttl) =>
        ask((redis) => redis.set(key, value, "EX", Duration.toSeconds(ttl)).then(() => undefined))
    }
  })
