import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import { RouterId } from "../../domain/basics/Ids.ts"
import * as Fold from "../../domain/learning/Fold.ts"
import * as LogReaderDatabase from "../../layers/learning/LogReaderDatabase.ts"
import { LogReader } from "../../services/learning/LogReader.ts"
import type { RouterRow } from "../../services/storage/Database.ts"
import { DatabaseInspection } from "../../services/storage/DatabaseInspection.ts"
import { DatabaseTools } from "../../services/storage/DatabaseTools.ts"
import type { FeatureExtractor } from "../../services/routing/FeatureExtractor.ts"
import type { SettingsShape } from "../../services/running/Settings.ts"
import { fail, type Line, pass, spoken, warn } from "./Check.ts"

/** What a rehearsal calls its router; one that was cut by SIGKILL leaves it. */
export const rehearsalPrefix = "conduit-doctor-"

/** A snapshot is written after so many events at the latest. */
const longTail = 20_000

const routerLine = (
  named: Option.Option<string>,
  remembered: string | null,
  others: ReadonlyArray<string>,
  replicas: number
): Line => {
  const name = "router id"
  const several = `this database has ${others.length} (${others.slice(0, 5).join(", ")}${others.length > 5 ? ", ..." : ""})`
  if (Option.isSome(named)) {
    return others.length === 0 || others.includes(named.value)
      ? pass(name, `${named.value}${others.includes(named.value) ? "" : ", which the first start makes"}`)
      : warn(
          name,
          `${named.value} is new, and begins with an empty state: ${several}`,
          "if that is not meant, set CONDUIT_ROUTER_ID to one of them; `conduit state export` and `import` carry a state over"
        )
  }
  if (replicas === 1 && others.length <= 1) return pass(name, remembered ?? "the first start makes a name up")
  return warn(
    name,
    `CONDUIT_ROUTER_ID is not set${replicas > 1 ? ` for ${replicas} replicas` : `, and ${several}`}: ${remembered === null ? "the first start makes a name up, which all share" : `they share ${remembered}, which the database remembers`}`,
    remembered === null ? "set it, to any name" : `set CONDUIT_ROUTER_ID=${remembered}`
  )
}

/** What a start would do: as the service does it, but without folding the tail. */
const stateLine = (router: RouterRow) =>
  Effect.gen(function* () {
    const name = "learning"
    const reader = yield* LogReader
    const tools = yield* DatabaseTools
    const { end } = yield* reader.extent(router.id)
    if (end === 0) return pass(name, "nothing is learned yet")
    const { fingerprint } = reader.policy
    const newest = (yield* tools.snapshotList(router.id)).find((one) => one.fingerprint === fingerprint)
    const said: Array<string> = []
    const listening = Logger.make<unknown, void>(({ message }) => {
      said.push(Array.isArray(message) ? message.join(" ") : String(message))
    })
    const start = yield* reader.restore(router.id).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, listening)))
    const position = Fold.position(start.fold)
    const tail = end - position
    const begins =
      newest === undefined
        ? `no snapshot is stored yet: a start folds ${tail} commits`
        : `the newest snapshot is ${spoken(newest.ageSeconds)} old; a start folds ${tail} commits from position ${position}`
    if (start.isIncomplete) {
      return fail(
        name,
        said.join("; "),
        "give it back by `conduit state import`, or accept the loss: `conduit state reset --all --yes`"
      )
    }
    if (said.length > 0) {
      return warn(
        name,
        said.join("; "),
        "the next snapshot takes its place; a state that is missing comes back by `conduit state import`"
      )
    }
    if (tail > longTail) {
      return warn(name, begins, "see why no snapshot is stored: rights, disk, or the messages of the service")
    }
    return pass(name, begins)
  })

/** Which state would be used, and what it takes to begin with it. */
export const learningLines = (
  { learning }: SettingsShape,
  replicas: number
): Effect.Effect<ReadonlyArray<Line>, never, DatabaseInspection | FeatureExtractor> =>
  Effect.gen(function* () {
    const inspection = yield* DatabaseInspection
    const { readable, there } = yield* inspection.learningTables
    if (!there) return [routerLine(learning.routerId, null, [], replicas)]
    // The line about rights says so.
    if (!readable) return []
    const known = yield* inspection.routersWithout(rehearsalPrefix)
    const remembered = known.find((one) => one.remembered)?.id ?? null
    const store = yield* inspection.store
    const tools = Context.get(store, DatabaseTools)
    const router = yield* tools.findRouter(Option.flatMap(learning.routerId, RouterId.option))
    return [
      routerLine(
        learning.routerId,
        remembered,
        known.map((one) => one.id),
        replicas
      ),
      ...(Option.isNone(router)
        ? []
        : [yield* stateLine(router.value).pipe(Effect.provide(LogReaderDatabase.layer), Effect.provide(store))])
    ]
  }).pipe(
    Effect.scoped,
    Effect.catchAll((error) =>
      Effect.succeed([fail("learning", error.message, "run it again; the server's log says more")])
    )
  )
