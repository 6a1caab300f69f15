import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { PoolCloseTimeout } from "../../../services/storage/Database.ts"
import { terminateLimit } from "../../../services/running/Settings.ts"
import type { PostgresServerShape } from "../../../services/storage/PostgresServer.ts"
import type { ShutdownReportShape } from "../../../services/running/ShutdownReport.ts"
import { type BoundedPool, endPool, terminateBackends } from "./Pool.ts"

/** After a second signal the whole phase has two seconds; this much is for busy connections. */
const forcedLimit = Duration.millis(800)
const margin = Duration.millis(500)

/** Of the limit of the phase, what a server of our own has for its end: most of it is the pool's. */
export const forServer = (limit: Duration.Duration) => Duration.min(Duration.seconds(2), Duration.times(limit, 0.5))

/** The order bounds every kind of hang in a finalizer: disconnect, interruptible, then the limit. */
const within = <A>(effect: Effect.Effect<A>, limit: Effect.Effect<Duration.Duration>) =>
  effect.pipe(
    Effect.disconnect,
    Effect.interruptible,
    Effect.asSome,
    Effect.raceFirst(Effect.as(limit, Option.none<A>()).pipe(Effect.interruptible))
  )

/**
 * The phase `close`: ends the pool when its connections are done; past the limit says what they were doing, terminates
 * their backends and cuts every socket. Then ends the server, if it is our own.
 */
export const closePool = (
  bounded: BoundedPool,
  { end }: Pick<PostgresServerShape, "end">,
  closeTimeout: Duration.Duration,
  report: ShutdownReportShape
): Effect.Effect<void> => {
  const serverLimit = Option.isSome(end) ? forServer(closeTimeout) : Duration.zero
  const poolLimit = Duration.subtract(closeTimeout, serverLimit)

  const timeout = (limit: Duration.Duration, busy: PoolCloseTimeout["busy"]) =>
    new PoolCloseTimeout({ limitMs: Duration.toMillis(limit), busy, terminated: busy.length })

  const close: Effect.Effect<void, PoolCloseTimeout> = Effect.gen(function* () {
    let limit = poolLimit
    const waited = Effect.raceFirst(
      Effect.as(Effect.sleep(poolLimit), poolLimit),
      Effect.zipRight(report.forced, Effect.as(Effect.sleep(forcedLimit), forcedLimit))
    ).pipe(Effect.tap((reached) => Effect.sync(() => (limit = reached))))
    const ended = yield* within(endPool(bounded), waited)
    if (Option.isSome(ended)) return yield* Effect.logInfo("PostgreSQL connection pool closed gracefully")
    yield* Effect.logWarning(`Pool close timed out after ${Duration.toSeconds(limit)}s, terminating connections`)
    const busy = yield* within(terminateBackends(bounded), Effect.as(Effect.sleep(terminateLimit), terminateLimit))
    return yield* timeout(
      limit,
      Option.getOrElse(busy, () => [])
    )
  })

  return Effect.gen(function* () {
    const grace = Duration.sum(terminateLimit, margin)
    yield* report.phase(
      "close",
      { limit: closeTimeout, grace, onTimeout: () => timeout(closeTimeout, []) },
      Effect.zipRight(
        Effect.logInfo("Phase 3/3: Closing database connections"),
        Option.isSome(end) ? Effect.ensuring(close, end.value(serverLimit)) : close
      )
    )
    yield* bounded.destroy
  })
}

/** The phase `close` of who has the server and no pool: ends it at once, for whoever used it has gone. */
export const closeServer = (
  { end }: Pick<PostgresServerShape, "end">,
  closeTimeout: Duration.Duration,
  report: ShutdownReportShape
): Effect.Effect<void> => {
  if (Option.isNone(end)) return Effect.void
  const limit = forServer(closeTimeout)
  const onTimeout = () => new PoolCloseTimeout({ limitMs: Duration.toMillis(limit), busy: [], terminated: 0 })
  return Effect.asVoid(report.phase("close", { limit, grace: margin, onTimeout }, end.value(limit)))
}
