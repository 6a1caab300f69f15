import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { readFile, writeFile } from "node:fs/promises"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Binary from "../domain/basics/Binary.ts"
import * as StateFile from "../domain/learning/StateFile.ts"
import * as Fold from "../domain/learning/Fold.ts"
import * as Learning from "../domain/learning/LearnedState.ts"
import { columns } from "./tools/Columns.ts"
import { firstDifference, isEqual } from "./tools/Differences.ts"
import { knownModel, type ModelFacts, modelFacts, quality } from "./tools/ModelFacts.ts"
import { foldOn, newest, type OpenRouter, Refused, withRouter } from "./tools/OpenRouter.ts"

const yes = Options.boolean("yes").pipe(
  Options.withDescription("do it; without this the command only says what it would do")
)

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

const show = Command.make(
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

const printChanges = (facts: ReadonlyArray<ModelFacts>) => {
  const number = (value: number | null) => (value === null ? "" : value.toFixed(3))
  const rows = facts.flatMap(({ changes, id }) =>
    changes.map(({ after, answers, before, direction, position, scope, since, task }) => [
      String(position),
      id,
      direction,
      task ?? scope,
      number(before),
      number(after),
      answers === null ? "" : answers.toFixed(0),
      String(since)
    ])
  )
  if (rows.length === 0) return Effect.void
  const head = ["changed at", "model", "direction", "scope", "before", "after", "answers", "since"]
  return Console.log(`\n${columns([head, ...rows])}`)
}

const file = Args.text({ name: "FILE" }).pipe(Args.withDescription("path of the state file"))

const fileTrouble = (path: string, todo: string) => (cause: unknown) =>
  new Refused({
    detail: `${path}: ${cause instanceof Error && "code" in cause ? String(cause.code) : "no access"}: ${todo}`
  })

const exportState = Command.make("export", { file }, ({ file }) =>
  withRouter((open) =>
    Effect.gen(function* () {
      const fold = yield* newest(open)
      const position = Fold.position(fold)
      const bytes = StateFile.encode({
        routerId: open.router.id,
        fingerprint: open.reader.policy.fingerprint,
        position,
        state: Fold.encode(fold)
      })
      yield* Effect.tryPromise({
        try: () => writeFile(file, bytes, { flag: "wx", mode: 0o600 }),
        catch: fileTrouble(file, "name a file that does not exist yet, in a folder that can be written")
      })
      yield* Console.log(
        `${file}: the state of router ${open.router.id} at position ${position}, ${bytes.length} bytes`
      )
    })
  )
).pipe(Command.withDescription("Write the newest state to a file, with a checksum"))

/** The state as far as this database can tell it by itself: null if log and snapshots do not reach. */
const ownState = Effect.fnUntraced(function* (open: OpenRouter) {
  const { reader, router } = open
  const good = (yield* reader.snapshots(router.id)).filter(({ state }) => Either.isRight(state))
  const { end, oldest } = yield* reader.extent(router.id)
  const isComplete = good.some(({ watermark }) => watermark === end || (oldest > 0 && watermark >= oldest - 1))
  return isComplete || oldest === 1 ? (yield* newest(open)).learned : null
})

const importState = Command.make("import", { file, yes }, ({ file, yes }) =>
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
        yield* Console.log(`${what} ${id}: imported`)
      }),
    { mayBeNew: true }
  )
).pipe(Command.withDescription("Begin a router's log at an exported state, or give it back the snapshot that it lost"))

const reset = Command.make(
  "reset",
  {
    model: Args.text({ name: "MODEL" }).pipe(Args.optional, Args.withDescription("id of the model")),
    all: Options.boolean("all").pipe(Options.withDescription("every model")),
    yes
  },
  ({ all, model, yes }) =>
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
        yield* Console.log(`reset at position ${position} of the log: ${ids.join(", ")}`)
      })
    )
).pipe(Command.withDescription("Make most of what was learned about a model's quality void, in every replica"))

const verify = Command.make("verify", {}, () =>
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
      yield* Console.log(
        `equal: folded from ${from}, and from the snapshot at position ${watermark}, both are the same to the bit at position ${end}`
      )
    })
  )
).pipe(Command.withDescription("Fold the log again and compare with the newest snapshot, bit for bit"))

/** `conduit state`: what was learned, to look at, to carry elsewhere, to check. */
export const state = Command.make("state").pipe(
  Command.withDescription("Show, export, import, reset or verify what was learned"),
  Command.withSubcommands([show, exportState, importState, reset, verify])
)
