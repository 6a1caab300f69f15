import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fold from "../../domain/learning/Fold.ts"
import { firstDifference, isEqual } from "../tools/Differences.ts"
import { foldOn, withRouter } from "../tools/OpenRouter.ts"
import { json, told } from "../tools/Told.ts"
import { Refused } from "../tools/Refused.ts"

export const verify = Command.make("verify", { json }, ({ json }) =>
  withRouter((open) =>
    Effect.gen(function* () {
      const { reader, router } = open
      const snapshots = yield* reader.snapshots(router.id)
      const { end, oldest } = yield* reader.extent(router.id)
      const good: Array<Fold.Fold> = []
      for (const { state, watermark } of snapshots) {
        if (Either.isLeft(state)) {
          yield* Effect.logWarning(
            `the snapshot at position ${watermark} is damaged, and is not compared: ${state.left.message}`
          )
        } else if (watermark > end) {
          yield* Effect.logWarning(
            `the snapshot at position ${watermark} is ahead of the log, which ends at ${end}, and is not compared: it holds what the log has lost`
          )
        } else good.push(Fold.make(state.right, watermark))
      }
      const [latest] = good
      if (latest === undefined) {
        return yield* new Refused({ detail: "no good snapshot is stored that a refold could be compared with" })
      }
      const watermark = Fold.position(latest)
      const isWhole = oldest === 1
      // A log that was pruned is refolded from the older snapshot that reaches what is left of it.
      const base = isWhole
        ? reader.beginning()
        : good.findLast((fold) => oldest > 0 && Fold.position(fold) >= oldest - 1 && Fold.position(fold) < watermark)
      if (base === undefined) {
        return yield* new Refused({
          detail: `the oldest retained commit is ${oldest || "none"}, and no older snapshot reaches it: there is nothing to refold and compare`
        })
      }
      const from = isWhole
        ? "the start of the log"
        : `the snapshot at position ${Fold.position(base)} (the oldest retained commit is ${oldest})`
      yield* foldOn(open, base, end)
      yield* foldOn(open, latest, end)
      if (!isEqual(base.learned, latest.learned)) {
        return yield* new Refused({
          detail: `DIFFERENT: folded from ${from}, and from the snapshot at position ${watermark}, to position ${end}; first difference: ${firstDifference(base.learned, latest.learned) ?? "none of the models"}`
        })
      }
      yield* told(
        json,
        { equal: true, folded_from: isWhole ? 0 : Fold.position(base), snapshot: watermark, position: end },
        `equal: folded from ${from}, and from the snapshot at position ${watermark}, both are the same to the bit at position ${end}`
      )
    })
  )
).pipe(Command.withDescription("Fold the log again and compare with the newest snapshot, bit for bit"))
