import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { PoolCloseTimeout } from "../../../services/storage/Database.ts"
import type { LifecycleShape } from "../../../services/running/Lifecycle.ts"
import { terminateLimit } from "../../../services/running/Settings.ts"
import type { ShutdownReportShape } from "../../../services/running/ShutdownReport.ts"
import { type BoundedPool, endPool, terminateBackends } from "./Pool.ts"

/** After a second signal the whole phase has two seconds; this much is for busy connections. */
const forcedLimit = Duration.millis(800)
const margin = Duration.millis(500)

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
 * their backends and cuts every socket.
 */
export const closePool = (
  bounded: BoundedPool,
  closeTimeout: Duration.Duration,
  report: ShutdownReportShape,
  lifecycle: LifecycleShape
): Effect.Effect<void> => {
  const timeout = (limit: Duration.Duration, busy: PoolCloseTimeout["busy"]) =>
    new PoolCloseTimeout({ limitMs: Duration.toMillis(limit), busy, terminated: busy.length })

  const close = Effect.gen(function* () {
    let limit = closeTimeout
    const waited = Effect.raceFirst(
      Effect.as(Effect.sleep(closeTimeout), closeTimeout),
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
    lifecycle.enter("close")
    yield* Effect.logInfo("Phase 3/3: Closing database connections")
    const grace = Duration.sum(terminateLimit, margin)
    yield* report.phase("close", { limit: closeTimeout, grace, onTimeout: () => timeout(closeTimeout, []) }, close)
    yield* bounded.destroy
  })
}
