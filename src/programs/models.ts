import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { ModelId } from "../domain/basics/Ids.ts"
import { columns } from "./tools/Columns.ts"
import { knownModel, modelFacts, quality } from "./tools/ModelFacts.ts"
import { newest, withRouter } from "./tools/OpenRouter.ts"

const list = Command.make(
  "list",
  { json: Options.boolean("json").pipe(Options.withDescription("print JSON")) },
  ({ json }) =>
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
  Command.make(name, { id }, ({ id }) =>
    withRouter((open) =>
      Effect.gen(function* () {
        const { learned } = yield* newest(open)
        const model = yield* knownModel(learned, id)
        const enabled = name === "enable"
        if (learned.disabled.has(model) !== enabled) return yield* Console.log(`${model} is ${name}d already`)
        const position = yield* open.append([{ type: "availability", model: ModelId(model), enabled }])
        yield* Console.log(`${model} is ${name}d from position ${position} of the log on, in every replica`)
        if (!enabled && learned.state.models.every(({ id }) => id === model || learned.disabled.has(id))) {
          yield* Console.error(
            "WARNING no model that the router knows is enabled now: requests are answered 503 until one is, by `conduit models enable`"
          )
        }
      })
    )
  ).pipe(Command.withDescription(description))

/** `conduit models`: what an operator may do with a model without a restart. */
export const models = Command.make("models").pipe(
  Command.withDescription("List models, or take one out of the choice and back, in all replicas and without a restart"),
  Command.withSubcommands([
    list,
    change("disable", "Take a model out of the choice; what was learned of it stays"),
    change("enable", "Let a disabled model be chosen again")
  ])
)
