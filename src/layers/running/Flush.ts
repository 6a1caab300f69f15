import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { flushLimit } from "../../services/running/Settings.ts"
import { FlushTimeout, ShutdownReport } from "../../services/running/ShutdownReport.ts"

/**
 * Builds what is flushed last, and releases it in the one flush phase: the members of a `Layer.mergeAll` at once, so that
 * one that hangs takes nothing of the others' time. A finalizer that has something to cut at the limit makes its waiting
 * interruptible.
 */
export const layer = <A, E, R>(parts: Layer.Layer<A, E, R>): Layer.Layer<A, E, R | ShutdownReport> =>
  Layer.scopedContext(
    Effect.gen(function* () {
      const report = yield* ShutdownReport
      const onTimeout = () => new FlushTimeout({ limitMs: Duration.toMillis(flushLimit) })
      // Below the database in the chain: whatever calls models, or has something to tell of itself, has ended.
      const scope = yield* Effect.acquireRelease(Scope.make(), (scope, exit) =>
        report.phase("flush", { limit: flushLimit, onTimeout }, Scope.close(scope, exit))
      )
      return yield* Layer.buildWithScope(parts, scope)
    })
  )
