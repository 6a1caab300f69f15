import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Fs from "node:fs"
import { availableParallelism } from "node:os"
import { nearestName } from "../domain/basics/NearestName.ts"
import { algorithms, byName } from "../domain/learning/algorithms/Algorithms.ts"
import { conversationReport } from "../domain/learning/evaluation/Conversations.ts"
import { scenarios } from "../domain/learning/evaluation/Scenario.ts"
import { type RewardName, rewards } from "../domain/learning/evaluation/Table.ts"
import { conversationsText } from "./evaluate/ConversationsText.ts"
import { html } from "./evaluate/Html.ts"
import { evaluateLog } from "./evaluate/Log.ts"
import { runAll } from "./evaluate/Pool.ts"
import { cellsOf, type Plan, report, withRuns } from "./evaluate/Results.ts"
import { tableFiles, TableUnusable } from "./evaluate/Tables.ts"
import { terminal } from "./evaluate/Terminal.ts"
import { tableOf } from "./evaluate/Work.ts"
import { stopped } from "./tools/OpenRouter.ts"
import { Refused } from "./tools/Refused.ts"
import { progressOf } from "./tools/Progress.ts"
import { weightsOf } from "./tools/WeightsText.ts"

const priorKinds = ["published", "none", "inverted"] as const
type PriorKind = (typeof priorKinds)[number]

const ofLogOptions = {
  log: Options.boolean("log").pipe(
    Options.withDescription(
      "instead of tables: what other policies would have earned on the requests of this router's own log, by its logged propensities"
    )
  ),
  conversations: Options.boolean("conversations").pipe(
    Options.withDescription(
      "instead of tables: what simulated conversations cost whose providers cache prompts, by how their models are chosen"
    )
  ),
  weights: Options.text("weights").pipe(
    Options.withDescription("with --log, also the best by these: quality,cost,latency; for example 0.7,0.2,0.1"),
    Options.optional
  ),
  without: Options.text("without").pipe(
    Options.withDescription("with --log, also the choice without this model"),
    Options.repeated
  ),
  price: Options.keyValueMap("price").pipe(
    Options.withDescription("with --log, as if this model had so many times its price: ID=2"),
    Options.optional
  )
}

const ofTablesOptions = {
  algorithm: Options.text("algorithm").pipe(
    Options.withDescription(
      `which, with commas between them, or "all": ${algorithms.map(({ name }) => name).join(", ")}; others are compared with the first`
    ),
    Options.withDefault("all")
  ),
  reward: Options.choice("reward", ["cal", "q", "both"]).pipe(
    Options.withDescription(
      "cal: quality, cost and latency as requests weigh them by default; q: quality alone; or both"
    ),
    Options.withDefault("both" as const)
  ),
  labels: Options.boolean("labels").pipe(
    Options.withDescription("let the algorithms see each row's task, as a caller's label")
  ),
  seeds: Options.integer("seeds").pipe(Options.withDescription("how many random orders"), Options.withDefault(5)),
  requests: Options.integer("requests").pipe(
    Options.withDescription("at most so many requests of each order; the whole table if not given"),
    Options.optional
  ),
  priors: Options.choice("priors", priorKinds).pipe(
    Options.withDescription(
      "what is believed of the models beforehand: prior_quality of the table or published scores; nothing; or those upside down"
    ),
    Options.withDefault("published" as const)
  ),
  priorSd: Options.float("prior-sd").pipe(
    Options.withDescription("how firmly: a standard deviation, 0.085 for measured ones; that of a guess if not given"),
    Options.optional
  ),
  scenario: Options.text("scenario").pipe(
    Options.withDescription(`what happens meanwhile, with commas between them, or "all": ${scenarios.join(", ")}`),
    Options.withDefault("none")
  ),
  delay: Options.integer("delay").pipe(
    Options.withDescription("a judgement comes so many requests later"),
    Options.withDefault(0)
  ),
  judged: Options.float("judged").pipe(
    Options.withDescription("share of the answers that are judged at all"),
    Options.withDefault(1)
  ),
  budget: Options.float("budget").pipe(
    Options.withDescription(
      "pace a budget: so much a request on average, as a share of what the best single model costs; 0.1 is a tenth. Of algorithms, h2 and those with h2- keep it"
    ),
    Options.optional
  ),
  fixed: Options.text("fixed").pipe(
    Options.withDescription("the model of the algorithm fixed; the first of the table if not given"),
    Options.optional
  ),
  jobs: Options.integer("jobs").pipe(
    Options.withDescription("how many threads; one for each core if not given"),
    Options.optional
  ),
  json: Options.boolean("json").pipe(Options.withDescription("print JSON")),
  html: Options.text("html").pipe(
    Options.withDescription("write a page with plots, which loads nothing, to this file"),
    Options.optional
  )
}

const options = {
  data: Args.text({ name: "DATA" }).pipe(
    Args.withDescription("NAME.jsonl or NAME.jsonl.gz with NAME.meta.json beside it, or a folder of such tables"),
    Args.repeated
  ),
  ...ofLogOptions,
  ...ofTablesOptions
}

type Given = Command.Command.ParseConfig<typeof options>

const refuse = (detail: string) => new Refused({ detail })

/** The names between commas, of those that there are. */
const namesOf = <A extends string>(
  option: string,
  text: string,
  known: ReadonlyArray<A>
): Effect.Effect<ReadonlyArray<A>, Refused> =>
  text === "all"
    ? Effect.succeed(known)
    : Effect.forEach(
        text.split(",").map((name) => name.trim()),
        (name) => {
          const found = known.find((one) => one === name)
          if (found !== undefined) return Effect.succeed(found)
          const nearest = nearestName(name, known)
          return refuse(
            `${option} ${JSON.stringify(name)} is not known${nearest === null ? `: there are ${known.join(", ")}` : `: did you mean ${nearest}?`}`
          )
        }
      )

const atLeast = (option: string, value: number, least: number) =>
  value >= least ? Effect.succeed(value) : refuse(`${option} ${value}: ${least} or more`)

/** Mirrored at the middle of their range: the best one is believed to be the worst. */
const inverted = (priors: ReadonlyArray<number | null>): ReadonlyArray<number | null> => {
  const known = priors.flatMap((prior) => prior ?? [])
  const turn = Math.max(...known) + Math.min(...known)
  return priors.map((prior) => (prior === null ? null : turn - prior))
}

const priorsOf = (kind: PriorKind, priors: ReadonlyArray<number | null>): ReadonlyArray<number | null> =>
  kind === "published" ? priors : kind === "none" ? priors.map(() => null) : inverted(priors)

const planOf = Effect.fnUntraced(function* (given: Given) {
  const files = yield* tableFiles(given.data)
  const tables = yield* Effect.forEach(files, (file) =>
    Effect.gen(function* () {
      const table = yield* Effect.try({
        try: () => tableOf(file),
        catch: (cause) => (cause instanceof TableUnusable ? cause : new TableUnusable({ file, reason: String(cause) }))
      })
      const named = Option.getOrNull(given.fixed)
      const fixed = named === null ? 0 : table.models.findIndex((model) => model === named)
      if (fixed < 0) return yield* refuse(`--fixed ${named}: ${file} has ${table.models.join(", ")}`)
      return {
        file,
        name: table.name,
        rows: table.rows.length,
        models: table.models,
        priors: priorsOf(given.priors, table.priors),
        fixed
      }
    })
  )
  const priorSd = Option.getOrNull(given.priorSd)
  if (priorSd !== null && !(priorSd > 0 && priorSd <= 1)) {
    return yield* refuse(`--prior-sd ${priorSd}: above 0 and up to 1`)
  }
  if (!(given.judged > 0 && given.judged <= 1)) return yield* refuse(`--judged ${given.judged}: above 0 and up to 1`)
  const budget = Option.getOrNull(given.budget)
  if (budget !== null && !(budget > 0 && Number.isFinite(budget))) return yield* refuse(`--budget ${budget}: above 0`)
  return {
    tables,
    budget,
    rewards: given.reward === "both" ? (Object.keys(rewards) as Array<RewardName>) : [given.reward],
    algorithms: yield* namesOf("--algorithm", given.algorithm, [...byName.keys()]),
    scenarios: yield* namesOf("--scenario", given.scenario, scenarios),
    isLabelled: given.labels,
    seeds: yield* atLeast("--seeds", given.seeds, 1),
    requests: yield* atLeast(
      "--requests",
      Option.getOrElse(given.requests, () => Infinity),
      1
    ),
    priorSd,
    delay: yield* atLeast("--delay", given.delay, 0),
    judged: given.judged
  } satisfies Plan
})

const pricesOf = (given: Given): Effect.Effect<ReadonlyMap<string, number>, Refused> =>
  Effect.map(
    Effect.forEach(
      Option.match(given.price, { onNone: () => [], onSome: (prices) => [...prices] }),
      ([model, text]) => {
        const times = Number(text)
        return text.trim() !== "" && Number.isFinite(times) && times >= 0
          ? Effect.succeed<[string, number]>([model, times])
          : refuse(`--price ${model}=${text}: a number of 0 or more`)
      }
    ),
    (prices) => new Map(prices)
  )

const ofLog = (given: Given) =>
  Effect.gen(function* () {
    if (given.data.length > 0) return yield* refuse("--log asks this router's own log, and takes no table")
    const { json, without } = given
    const weights = Option.isNone(given.weights) ? null : yield* weightsOf(given.weights.value)
    yield* evaluateLog({ weights, without, priceTimes: yield* pricesOf(given), json })
  })

const ofTables = (given: Given) =>
  Effect.gen(function* () {
    if (given.data.length === 0)
      return yield* refuse("name a table, or a folder of tables; or say --log or --conversations")
    const plan = yield* planOf(given)
    const threads = yield* atLeast(
      "--jobs",
      Option.getOrElse(given.jobs, () => availableParallelism()),
      1
    )
    const cells = cellsOf(plan)
    const jobs = cells.flatMap((cell) => cell.jobs)
    const progress = progressOf("evaluating", "runs", jobs.length)
    const runs = yield* Effect.ensuring(runAll(jobs, threads, progress.at), Effect.sync(progress.end))
    const found = report(plan, withRuns(cells, runs))
    yield* Console.log(given.json ? JSON.stringify(found) : terminal(found))
    if (Option.isNone(given.html)) return
    const { value: file } = given.html
    yield* Effect.try({
      try: () => Fs.writeFileSync(file, html(found, `conduit evaluate ${process.argv.slice(3).join(" ")}`)),
      catch: (cause) => refuse(`${file} cannot be written: ${cause instanceof Error ? cause.message : String(cause)}`)
    })
    if (!given.json) yield* Console.log(`\nThe plots are in ${file}`)
  }).pipe(Effect.raceFirst(stopped))

/** Of one order. */
const conversationsEach = 1000

const ofConversations = (given: Given) =>
  Effect.gen(function* () {
    if (given.data.length > 0) return yield* refuse("--conversations simulates, and takes no table")
    const seeds = yield* atLeast("--seeds", given.seeds, 1)
    const found = conversationReport(seeds, conversationsEach)
    yield* Console.log(given.json ? JSON.stringify(found) : conversationsText(found))
  })

/** `conduit evaluate`: what each algorithm would have earned on requests whose outcomes are all known. */
export const evaluate = Command.make("evaluate", options, (given) =>
  Effect.gen(function* () {
    if (given.log) yield* ofLog(given)
    else if (given.conversations) yield* ofConversations(given)
    else yield* ofTables(given)
  })
).pipe(
  Command.withDescription(
    "What each algorithm would have earned on requests to which the outcome of every model is known: only the outcome of the chosen model is revealed to it."
  )
)
