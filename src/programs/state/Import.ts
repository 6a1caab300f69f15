import * as Command from "@effect/cli/Command"
import { readFile } from "node:fs/promises"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as StateFile from "../../domain/learning/StateFile.ts"
import * as Learning from "../../domain/learning/LearnedState.ts"
import { firstDifference, isEqual } from "../tools/Differences.ts"
import { newest, type OpenRouter, withRouter } from "../tools/OpenRouter.ts"
import { Refused } from "../tools/Refused.ts"
import { json, told } from "../tools/Told.ts"
import { file, fileTrouble, yes } from "./Arguments.ts"

/** The state as far as this database can tell it by itself: null if log and snapshots do not reach. */
const ownState = Effect.fnUntraced(function* (open: OpenRouter) {
  const { reader, router } = open
  const good = (yield* reader.snapshots(router.id)).filter(({ state }) => Either.isRight(state))
  const { end, oldest } = yield* reader.extent(router.id)
  const isComplete = good.some(({ watermark }) => watermark === end || (oldest > 0 && watermark >= oldest - 1))
  return isComplete || oldest === 1 ? (yield* newest(open)).learned : null
})

export const importState = Command.make("import", { file, yes, json }, ({ file, json, yes }) =>
  withRouter(
    (open) =>
      Effect.gen(function* () {
        const { reader, router, tools } = open
        const { dimension, fingerprint, parameters } = reader.policy
        const bytes = yield* Effect.tryPromise({
          try: () => readFile(file),
          catch: fileTrouble(file, "name a file that `conduit state export` wrote")
        })
        const given = yield* Effect.mapError(
          StateFile.decode(bytes),
          (damage) => new Refused({ detail: `${file}: ${damage.message}` })
        )
        if (given.fingerprint !== fingerprint) {
          return yield* new Refused({
            detail: `${file} is a state of policy ${given.fingerprint}, and this version has ${fingerprint}: import it with the version that wrote it`
          })
        }
        const decoded = yield* Effect.mapError(
          Learning.decode(given.state, parameters, dimension),
          (damage) => new Refused({ detail: `${file}: ${damage.message}` })
        )
        if (router.position !== 0 && router.position !== given.position) {
          return yield* new Refused({
            detail: `the log of router ${router.id} ends at position ${router.position} and the state is of position ${given.position}: a state is a fold of its log, so it fits an empty log or one that ends there; choose another CONDUIT_ROUTER_ID to begin from it`
          })
        }
        const own = router.position === 0 ? null : yield* ownState(open)
        if (own !== null && !isEqual(own, decoded)) {
          return yield* new Refused({
            detail: `the log of router ${router.id} folds to another state at position ${router.position} (first difference: ${firstDifference(own, decoded) ?? "none of the models"}): it is the truth, and nothing was changed`
          })
        }
        const what = `${file}: the state of router ${given.routerId} at position ${given.position} for router`
        if (!yes) return yield* new Refused({ detail: `${what} ${router.id}: say --yes to import it` })
        const { id } = yield* open.made
        const isTaken = yield* tools.adopt(id, fingerprint, { watermark: given.position, state: given.state })
        if (!isTaken) {
          return yield* new Refused({
            detail: `the log of router ${id} grew meanwhile: stop its service, and import again`
          })
        }
        yield* told(json, { file, router_id: id, position: given.position }, `${what} ${id}: imported`)
      }),
    { mayBeNew: true }
  )
).pipe(Command.withDescription("Begin a router's log at an exported state, or give it back the snapshot that it lost"))
