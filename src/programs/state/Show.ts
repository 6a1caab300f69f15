import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Binary from "../../domain/basics/Binary.ts"
import * as Fold from "../../domain/learning/Fold.ts"
import { columns } from "../tools/Columns.ts"
import { type ModelFacts, modelFacts, quality, sourceFacts } from "../tools/ModelFacts.ts"
import { newest, type OpenRouter, withRouter } from "../tools/OpenRouter.ts"

/** What every stored snapshot is worth, newest first. */
const snapshotFacts = Effect.fnUntraced(function* (open: OpenRouter) {
  const { database, reader, router, tools } = open
  const { fingerprint } = reader.policy
  const list = yield* tools.snapshotList(router.id)
  const readable = new Set<string>()
  for (const { state, watermark } of yield* reader.snapshots(router.id)) {
    if (Either.isRight(state)) readable.add(`${fingerprint}\n${watermark}`)
  }
  for (const policy of new Set(list.map((one) => one.fingerprint))) {
    if (policy === fingerprint) continue
    for (const { state, watermark } of yield* database.snapshots(router.id, policy)) {
      if (Binary.unsealed(state) !== null) readable.add(`${policy}\n${watermark}`)
    }
  }
  return list.map((one) => ({
    watermark: one.watermark,
    bytes: one.bytes,
    age_seconds: Math.round(one.ageSeconds),
    fingerprint: one.fingerprint,
    condition: !readable.has(`${one.fingerprint}\n${one.watermark}`)
      ? "damaged"
      : one.fingerprint === fingerprint
        ? "good"
        : "of another policy"
  }))
})

export const show = Command.make(
  "show",
  { json: Options.boolean("json").pipe(Options.withDescription("print JSON")) },
  ({ json }) =>
    withRouter((open) =>
      Effect.gen(function* () {
        const fold = yield* newest(open)
        const position = Fold.position(fold)
        const snapshots = yield* snapshotFacts(open)
        const { oldest } = yield* open.reader.extent(open.router.id)
        const facts = modelFacts(fold.learned)
        if (json) {
          return yield* Console.log(
            JSON.stringify({
              router_id: open.router.id,
              position,
              oldest_retained_position: oldest || null,
              fingerprint: open.reader.policy.fingerprint,
              models: facts,
              sources: sourceFacts(fold.learned),
              snapshots
            })
          )
        }
        yield* Console.log(
          `router ${open.router.id}, position ${position}, oldest retained commit ${oldest || "none"}\n`
        )
        yield* Console.log(
          columns([
            ["model", "quality", "judged", "success", "tokens", "latency", "share", "epoch", ""],
            ...facts.map((model) => [
              model.id,
              quality(model),
              String(model.quality.observations),
              `${(100 * model.success_rate).toFixed(1)} %`,
              model.output_tokens.mean.toFixed(0),
              `${model.latency_seconds.mean.toFixed(2)} s`,
              `${(100 * model.share).toFixed(1)} %`,
              String(model.epoch),
              model.disabled ? "disabled" : ""
            ])
          ])
        )
        yield* printTasks(facts)
        yield* printChanges(facts)
        yield* printSources(fold.learned)
        yield* Console.log(
          snapshots.length === 0
            ? "\nno snapshot is stored"
            : `\n${columns([
                ["snapshot at", "bytes", "age", "", "policy"],
                ...snapshots.map((one) => [
                  String(one.watermark),
                  String(one.bytes),
                  `${one.age_seconds} s`,
                  one.condition,
                  one.fingerprint
                ])
              ])}`
        )
      })
    )
).pipe(Command.withDescription("What the router has learned about each model, and which snapshots hold it"))

/** Each model in each task in which it was judged. */
const printTasks = (facts: ReadonlyArray<ModelFacts>) => {
  const rows = facts.flatMap(({ id, tasks }) =>
    tasks.map((cell) => [cell.task, id, quality({ quality: cell }), cell.observations.toFixed(0)])
  )
  if (rows.length === 0) return Effect.void
  rows.sort(([a = ""], [b = ""]) => (a < b ? -1 : a > b ? 1 : 0))
  return Console.log(`\n${columns([["task", "model", "quality", "judged"], ...rows])}`)
}

const printSources = (learned: Fold.Fold["learned"]) => {
  const facts = sourceFacts(learned)
  if (facts.length === 0) return Effect.void
  const rows = facts.map(({ changes, offset, pairs, share, source, verdicts }) => [
    source,
    offset.toFixed(3),
    share.toFixed(2),
    String(verdicts),
    String(pairs),
    String(changes.length)
  ])
  return Console.log(
    `\n${columns([["who judges", "above people", "weight", "verdicts", "with people", "changes"], ...rows])}`
  )
}

const printChanges = (facts: ReadonlyArray<ModelFacts>) => {
  const number = (value: number | null) => (value === null ? "" : value.toFixed(3))
  const rows = facts.flatMap(({ changes, id }) =>
    changes.map(({ after, answers, before, direction, position, scope, since, task, verdict }) => [
      String(position),
      id,
      direction,
      task ?? scope,
      number(before),
      number(after),
      answers === null ? "" : answers.toFixed(0),
      String(since),
      verdict === null ? "" : `${verdict.verdict}ed by ${verdict.by}`
    ])
  )
  if (rows.length === 0) return Effect.void
  const head = ["changed at", "model", "direction", "scope", "before", "after", "answers", "since", ""]
  return Console.log(`\n${columns([head, ...rows])}`)
}
