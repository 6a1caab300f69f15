import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Fold from "../../domain/learning/Fold.ts"
import { knownModel } from "../tools/ModelFacts.ts"
import { newest, withRouter } from "../tools/OpenRouter.ts"
import { Refused } from "../tools/Refused.ts"
import { audited } from "../tools/Operator.ts"
import { json, told } from "../tools/Told.ts"
import { yes } from "./Arguments.ts"

export const reset = Command.make(
  "reset",
  {
    model: Args.text({ name: "MODEL" }).pipe(Args.optional, Args.withDescription("id of the model")),
    all: Options.boolean("all").pipe(Options.withDescription("every model")),
    yes,
    json
  },
  ({ all, json, model, yes }) =>
    withRouter((open) =>
      Effect.gen(function* () {
        if (all === Option.isSome(model)) return yield* new Refused({ detail: "name one model, or say --all" })
        const { learned } = yield* newest(open)
        const ids = Option.isSome(model)
          ? [yield* knownModel(learned, model.value)]
          : learned.state.models.map(({ id }) => id)
        if (!yes) {
          return yield* new Refused({
            detail: `most of what was learned about the quality of ${ids.join(", ")} would be void, in every replica, and this cannot be taken back: say --yes to do it`
          })
        }
        const position = yield* open.append(ids.map((model) => ({ type: "reset", model })))
        yield* audited(open, "reset", ids.length === 1 ? `model ${ids[0]}` : `${ids.length} models`, {
          models: ids,
          position
        })
        // Who resets all accepts what is known now, even where no snapshot could be used: the next start begins with it.
        if (all) {
          const reached = yield* newest(open)
          const snapshot = { watermark: Fold.position(reached), state: Fold.encode(reached) }
          yield* open.database.saveSnapshot(
            open.router.id,
            open.reader.policy.fingerprint,
            snapshot,
            Fold.last(reached)
          )
        }
        yield* told(json, { models: ids, position }, `reset at position ${position} of the log: ${ids.join(", ")}`)
      })
    )
).pipe(Command.withDescription("Make most of what was learned about a model's quality void, in every replica"))
