import { readFile } from "node:fs/promises"
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { must, problemsOf } from "../domain/basics/SchemaProblems.ts"
import { type Calibration, calibrationOf, verdictBody, verdictIn } from "../domain/learning/Judging.ts"
import { answerText } from "../domain/models/AnswerText.ts"
import { columns } from "./tools/Columns.ts"
import { progressOf } from "./tools/Progress.ts"
import { Refused } from "./tools/Refused.ts"
import { call, percent, serviceOptions, targetOf } from "./tools/Service.ts"

const unit = "a number from 0 to 1"

/** An answer that people have judged. */
const Judged = Schema.parseJson(
  Schema.Struct({
    prompt: Schema.String,
    answer: Schema.String,
    quality: Schema.Number.annotations(must(unit)).pipe(Schema.between(0, 1, must(unit)))
  })
)
const decode = Schema.decodeEither(Judged)

const mostLines = 10_000

const read = (path: string) =>
  Effect.gen(function* () {
    const text = yield* Effect.tryPromise({
      try: () => readFile(path, "utf8"),
      catch: () => new Refused({ detail: `${path} cannot be read: name a file of JSON lines` })
    })
    const lines = text.split("\n").filter((line) => line.trim() !== "")
    if (lines.length === 0 || lines.length > mostLines) {
      return yield* new Refused({ detail: `${path} has ${lines.length} lines: 1 to ${mostLines} are right` })
    }
    return yield* Effect.forEach(lines, (line, i) =>
      Either.mapLeft(
        decode(line),
        (error) =>
          new Refused({
            detail: `${path}, line ${i + 1}: ${problemsOf(error)[0] ?? "not right"}: a line is {"prompt": "...", "answer": "...", "quality": 0.8}`
          })
      )
    )
  })

const shown = (value: number | null) => (value === null ? "-" : value.toFixed(3))

const advice = ({ agreement, correlation, pairs }: Calibration): string => {
  if (pairs < 30) return "Too few answers to rely on: judge 30 or more."
  if (correlation === null || correlation < 0.3 || (agreement !== null && agreement < 0.6)) {
    return "It hardly tells good answers from bad ones: another model, or none, is better."
  }
  return "It can be used: policy.judge in conduit.yaml. What it lies above or below people is learned from answers that both judge."
}

/** `conduit judge calibrate`: how a model's verdicts stand to people's. */
const calibrate = Command.make(
  "calibrate",
  {
    file: Args.text({ name: "FILE" }).pipe(
      Args.withDescription('answers that people judged, JSON lines: {"prompt": "...", "answer": "...", "quality": 0.8}')
    ),
    model: Options.text("model").pipe(Options.withDescription("id of the model that judges")),
    concurrency: Options.integer("concurrency").pipe(
      Options.withDefault(4),
      Options.withDescription("how many at once, 1 to 32")
    ),
    json: Options.boolean("json").pipe(Options.withDescription("print JSON")),
    ...serviceOptions
  },
  ({ apiKey, concurrency, file, json, model, url }) =>
    Effect.gen(function* () {
      const answers = yield* read(file)
      const target = yield* targetOf({ apiKey, url })
      const progress = progressOf("judging", "answers", answers.length)
      let done = 0
      const judged = yield* Effect.forEach(
        answers,
        ({ answer, prompt, quality }) =>
          Effect.map(
            Effect.either(
              call(`${target.base}/v1/chat/completions`, target.apiKey, { ...verdictBody(prompt, answer), model })
            ),
            (told) => {
              progress.at(++done)
              return { people: quality, told: Either.map(told, (text) => verdictIn(answerText(text, "chat"))) }
            }
          ),
        { concurrency: Math.min(32, Math.max(1, concurrency)) }
      ).pipe(Effect.ensuring(Effect.sync(progress.end)))
      const failed = judged.flatMap(({ told }) => (Either.isLeft(told) ? [told.left] : []))
      const [first] = failed
      if (first !== undefined && failed.length === judged.length) return yield* first
      const pairs = judged.flatMap(({ people, told }) =>
        Either.isRight(told) && told.right !== null ? [{ people, judge: told.right.quality }] : []
      )
      const found = calibrationOf(pairs)
      const unreadable = judged.length - failed.length - pairs.length
      if (json) {
        return yield* Console.log(JSON.stringify({ model, ...found, unreadable, failed: failed.length }))
      }
      yield* Console.log(
        `${columns([
          ["judge", "answers", "above people", "deviation", "correlation", "same order", "no verdict", "failed"],
          [
            model,
            String(found.pairs),
            shown(found.offset),
            shown(found.sd),
            shown(found.correlation),
            found.agreement === null ? "-" : percent(found.agreement),
            String(unreadable),
            String(failed.length)
          ]
        ])}\n\n${advice(found)}`
      )
    })
).pipe(Command.withDescription("Ask a model to judge answers that people have judged, and say how it stands to them"))

export const judge = Command.make("judge").pipe(
  Command.withDescription("The model that judges answers in the background"),
  Command.withSubcommands([calibrate])
)
