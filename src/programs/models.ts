import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

import { ModelId } from "../domain/basics/Ids.ts"
import { canJudge, type QualityChange } from "../domain/learning/bandit/Hierarchical.ts"
import type { Verdict } from "../domain/learning/LearningEvent.ts"
import { columns } from "./tools/Columns.ts"
import { knownModel, modelFacts, quality } from "./tools/ModelFacts.ts"
import { newest, withRouter } from "./tools/OpenRouter.ts"
import { Refused } from "./tools/Refused.ts"
import { audited, systemUser } from "./tools/Operator.ts"
import { json, told } from "./tools/Told.ts"

const list = Command.make("list", { json }, ({ json }) =>
  withRouter((open) =>
    Effect.gen(function* () {
      const { learned } = yield* newest(open)
      const models = modelFacts(learned)
      if (json) return yield* Console.log(JSON.stringify({ router_id: open.router.id, models }))
      yield* Console.log(
        columns([
          ["model", "choice", "quality", "judged", "share"],
          ...models.map((model) => [
            model.id,
            model.disabled ? "disabled by an operator" : "enabled",
            quality(model),
            String(model.quality.observations),
            `${(100 * model.share).toFixed(1)} %`
          ])
        ])
      )
    })
  )
).pipe(Command.withDescription("The models that the router has learned about, and which are disabled"))

const id = Args.text({ name: "ID" }).pipe(Args.withDescription("id of the model"))

const change = (name: "disable" | "enable", description: string) =>
  Command.make(name, { id, json }, ({ id, json }) =>
    withRouter((open) =>
      Effect.gen(function* () {
        const { learned } = yield* newest(open)
        const model = yield* knownModel(learned, id)
        const enabled = name === "enable"
        if (learned.disabled.has(model) !== enabled) {
          return yield* told(json, { model, enabled, changed: false }, `${model} is ${name}d already`)
        }
        const position = yield* open.append([{ type: "availability", model: ModelId(model), enabled }])
        yield* audited(open, name, `model ${model}`, { position })
        yield* told(
          json,
          { model, enabled, changed: true, position },
          `${model} is ${name}d from position ${position} of the log on, in every replica`
        )
        if (!enabled && learned.state.models.every(({ id }) => id === model || learned.disabled.has(id))) {
          yield* Console.error(
            "WARNING no model that the router knows is enabled now: requests are answered 503 until one is, by `conduit models enable`"
          )
        }
      })
    )
  ).pipe(Command.withDescription(description))

const by = Options.text("by").pipe(
  Options.withDescription("who says so, for the audit; the user of the system if not given"),
  Options.optional
)

const longestName = 128

const whyNot = (verdict: Verdict, model: string, change: QualityChange | undefined): string => {
  if (change === undefined) return `no change of ${model} was noticed: there is nothing to ${verdict}`
  const { verdict: given } = change
  return given === null
    ? `the newest change of ${model} is a return to an earlier level, which cannot be dismissed: \`conduit state reset ${model}\` makes its level void`
    : `${given.by} has said ${given.verdict} about the newest change of ${model} already, at position ${given.position}`
}

const meanings = {
  confirm: "is confirmed: it lasts, and nobody probes the model for a return",
  dismiss: "is dismissed: it is expected to be what it was before, and what was judged since the change is void"
} satisfies Record<Verdict, string>

const say = (verdict: Verdict, description: string) =>
  Command.make(verdict, { id, by, json }, ({ by, id, json }) =>
    withRouter((open) =>
      Effect.gen(function* () {
        const { learned } = yield* newest(open)
        const model = yield* knownModel(learned, id)
        const known = learned.state.models.find((one) => one.id === model)
        const change = known?.changes.at(-1)
        if (change === undefined || !canJudge(change, verdict)) {
          return yield* new Refused({ detail: whyNot(verdict, model, change) })
        }
        const who = Option.getOrElse(by, systemUser).slice(0, longestName)
        const position = yield* open.append([{ type: "verdict", model: ModelId(model), verdict, by: who }])
        yield* audited(open, verdict, `model ${model}`, { position, change: change.position, by: who })
        yield* told(
          json,
          { model, verdict, by: who, change: change.position, position },
          `the change of ${model} at position ${change.position} ${meanings[verdict]}, in every replica from position ${position} of the log on`
        )
      })
    )
  ).pipe(Command.withDescription(description))

/** `conduit models`: what an operator may do with a model without a restart. */
export const models = Command.make("models").pipe(
  Command.withDescription(
    "List models, take one out of the choice and back, or judge its newest change, in all replicas and without a restart"
  ),
  Command.withSubcommands([
    list,
    change("disable", "Take a model out of the choice; what was learned of it stays"),
    change("enable", "Let a disabled model be chosen again"),
    say("confirm", "Say that the newest change of a model is real and lasts: it is not probed for a return"),
    say("dismiss", "Say that the newest change of a model is none: it is expected to be what it was before")
  ])
)
