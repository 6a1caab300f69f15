import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Verdict } from "./CommitterState.ts"
import type { Losses } from "./Losses.ts"

/** Who learns of what was not stored. */
export interface LossListener {
  readonly losses: Losses
  /** Told of each outcome that can never be stored. */
  readonly onLost: () => void
}

/** Tells those who wait what became of a commit that is stored. */
export const tellStored = (verdicts: ReadonlyArray<Verdict>): void => {
  for (const verdict of verdicts) {
    if (verdict.type === "outcome") verdict.outcome.onSettled?.(true)
    else Deferred.unsafeDone(verdict.submission.done, verdict.result)
  }
}

/** Tells those who wait what became of a commit that is not stored; answers how many submissions were refused by it. */
export const tellUnstored = (
  { losses, onLost }: LossListener,
  verdicts: ReadonlyArray<Verdict>
): Effect.Effect<number> =>
  Effect.gen(function* () {
    let refused = 0
    for (const verdict of verdicts) {
      if (verdict.type === "submission") {
        const isTold = yield* Deferred.complete(verdict.submission.done, verdict.result)
        if (isTold && Either.isLeft(verdict.result)) refused++
        continue
      }
      verdict.outcome.onSettled?.(verdict.error === null)
      if (verdict.error === null) continue
      onLost()
      yield* losses.lost(verdict.outcome.record.decision.id, verdict.error)
    }
    return refused
  })
