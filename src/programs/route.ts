import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { paramsText } from "../domain/models/ModelParams.ts"
import { preferenceNames } from "../domain/routing/Weights.ts"
import { DecisionEntry, ModelList } from "../services/api/Responses.ts"
import { columns } from "./tools/Columns.ts"
import { candidatesTable } from "./tools/Figures.ts"
import { call, NoAnswer, percent, serviceOptions, type Target, targetOf, usd } from "./tools/Service.ts"

/** Of the service's answer what is shown here; a newer service may say more. */
const Shown = Schema.parseJson(DecisionEntry.pick("id", "candidates", "chosen", "propensity", "reason", "exploration"))
type Shown = typeof Shown.Type

/** One sentence: who, how good, against whom, how likely, on what evidence. */
const explanation = (decision: Shown, judged: number | null): string => {
  const chosen = decision.candidates.find((candidate) => candidate.model === decision.chosen)
  const runnerUp = decision.candidates
    .filter((candidate) => candidate.eligible && candidate.model !== decision.chosen)
    .sort((a, b) => b.score - a.score)[0]
  return [
    `chose ${decision.chosen} (${decision.reason})`,
    chosen?.params === undefined ? "" : ` with ${paramsText(chosen.params)}`,
    chosen === undefined
      ? ""
      : `: score ${chosen.score.toFixed(2)} (quality ${chosen.quality.toFixed(2)}, ${usd(chosen.cost_usd)}, ${chosen.latency_seconds.toFixed(1)} s)`,
    runnerUp === undefined
      ? ", no other model is eligible"
      : `, runner-up ${runnerUp.model} ${runnerUp.score.toFixed(2)}`,
    `, chance of this choice ${percent(decision.propensity)}`,
    `, exploration ${decision.exploration ? "yes" : "no"}`,
    judged === null ? "" : `, evidence ${judged} judged answer(s)`
  ].join("")
}

/** The candidates in columns, the chosen one marked. */
const table = (decision: Shown): string => {
  const rows = [
    ["", "model", "score", "quality", "±", "cost", "latency", "chance", ""],
    ...decision.candidates.map((candidate) => [
      candidate.model === decision.chosen ? "*" : "",
      candidate.model,
      candidate.eligible ? candidate.score.toFixed(3) : "-",
      candidate.quality.toFixed(3),
      candidate.quality_sd.toFixed(3),
      usd(candidate.cost_usd),
      `${candidate.latency_seconds.toFixed(2)} s`,
      percent(candidate.propensity),
      candidate.excluded_by === null ? "" : `excluded by ${candidate.excluded_by}`
    ])
  ]
  return columns(rows)
}

/** `conduit route`: which model a running service would choose for a prompt, and why. */
export const route = Command.make(
  "route",
  {
    prompt: Args.text({ name: "prompt" }).pipe(Args.withDescription("the prompt to choose a model for")),
    task: Options.text("task").pipe(Options.optional, Options.withDescription("label of the task, if you know it")),
    preference: Options.choice("preference", preferenceNames).pipe(
      Options.optional,
      Options.withDescription("what matters; the service's default if not given")
    ),
    explain: Options.boolean("explain").pipe(Options.withDescription("show what each score is made of")),
    json: Options.boolean("json").pipe(Options.withDescription("print the decision as the service sent it")),
    ...serviceOptions
  },
  ({ apiKey, explain, json, preference, prompt, task, url }) =>
    Effect.gen(function* () {
      const target = yield* targetOf({ apiKey, url })
      const { base } = target
      const text = yield* call(`${base}/v1/route`, target.apiKey, {
        prompt,
        conduit: {
          ...Option.match(task, { onNone: () => ({}), onSome: (task) => ({ task }) }),
          ...Option.match(preference, { onNone: () => ({}), onSome: (preference) => ({ preference }) })
        }
      })
      if (json) return yield* Console.log(text)
      const decision = yield* Effect.mapError(
        Schema.decodeUnknown(Shown)(text),
        () => new NoAnswer({ url: base, detail: "what answers there is not this version of Conduit", isNobody: false })
      )
      yield* Console.log(explain ? candidatesTable(decision) : table(decision))
      yield* Console.log(
        `\n${explanation(decision, yield* judgedAnswers(target, decision.chosen))}\ndecision ${decision.id}`
      )
    })
).pipe(Command.withDescription("Ask a running service which model it would choose for a prompt, and why"))

/** How many judged answers stand behind the model; null if the service does not say. */
const judgedAnswers = ({ apiKey, base }: Target, model: string) =>
  call(`${base}/v1/models`, apiKey, null).pipe(
    Effect.flatMap(Schema.decodeUnknown(Schema.parseJson(ModelList))),
    Effect.map(({ data }) => data.find((entry) => entry.id === model)?.conduit.quality?.observations ?? null),
    Effect.orElseSucceed(() => null)
  )
