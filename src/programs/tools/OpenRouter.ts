import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Fold from "../../domain/learning/Fold.ts"
import { RouterId, type Position } from "../../domain/basics/Ids.ts"
import type { LearningEvent } from "../../domain/learning/LearningEvent.ts"
import * as LogReaderDatabase from "../../layers/learning/LogReaderDatabase.ts"
import * as DatabasePg from "../../layers/storage/postgres/DatabasePg.ts"
import * as FeatureExtractorLexical from "../../layers/routing/FeatureExtractorLexical.ts"
import * as IdsCrypto from "../../layers/running/IdsCrypto.ts"
import * as PostgresEmbedded from "../../layers/storage/postgres/PostgresEmbedded.ts"
import * as PostgresExternal from "../../layers/storage/postgres/PostgresExternal.ts"
import * as SettingsEnv from "../../layers/running/SettingsEnv.ts"
import * as ShutdownReportJson from "../../layers/running/ShutdownReportJson.ts"
import * as Telemetry from "../../layers/observing/Telemetry.ts"
import { Database, type DatabaseError, type DatabaseShape, type RouterRow } from "../../services/storage/Database.ts"
import { DatabaseTools, type DatabaseToolsShape } from "../../services/storage/DatabaseTools.ts"
import { LogReader, type LogReaderShape } from "../../services/learning/LogReader.ts"
import { Ids } from "../../services/running/Ids.ts"
import type { EmbeddedPostgresError, PostgresServer } from "../../services/storage/PostgresServer.ts"
import { type InvalidSettings, Settings } from "../../services/running/Settings.ts"
import { progressOf } from "./Progress.ts"
import { Refused } from "./Refused.ts"

/** One router's learning in the database of the environment, for a command. */
export interface OpenRouter {
  /** As it would begin, if it is not there and the command may make it. */
  readonly router: RouterRow
  /** Makes it, if it is not there. */
  readonly made: Effect.Effect<RouterRow, DatabaseError>
  readonly database: DatabaseShape
  readonly tools: DatabaseToolsShape
  readonly reader: LogReaderShape
  /** Durable when it completes. */
  readonly append: (events: ReadonlyArray<LearningEvent>) => Effect.Effect<number, DatabaseError>
}

/** A command that only looks makes neither a database nor tables where somebody forgot or mistook `DATABASE_URL`. */
const storeOf = (creates: boolean) => {
  const postgres = Layer.unwrapEffect(
    Effect.map(
      Settings,
      ({ database }): Layer.Layer<PostgresServer, EmbeddedPostgresError | InvalidSettings | Refused, Settings> => {
        if (Option.isSome(database.url)) return PostgresExternal.layer
        if (creates || PostgresEmbedded.isThere(database.dataDirectory)) return PostgresEmbedded.layerBeside
        return Layer.fail(
          new Refused({
            detail: `DATABASE_URL is not set, and there is no embedded database in ${database.dataDirectory}: set DATABASE_URL as the service has it, or run this in the service's folder`
          })
        )
      }
    )
  )
  return LogReaderDatabase.layer.pipe(
    Layer.provideMerge(DatabasePg.layerWith({ creates })),
    Layer.provide(postgres),
    Layer.provide(ShutdownReportJson.layer),
    Layer.provide(Telemetry.layer),
    Layer.provideMerge(Layer.mergeAll(SettingsEnv.layer, FeatureExtractorLexical.layer, IdsCrypto.layer))
  )
}

/** What a command prints is its result; what the layers have to say goes beside it. */
const logger = Logger.make(({ logLevel, message }) => {
  process.stderr.write(`${logLevel.label} ${Array.isArray(message) ? message.join(" ") : String(message)}\n`)
})

/** Fails with the first of these signals, so that what a command holds is released. */
export const stoppedBy = (...signals: ReadonlyArray<NodeJS.Signals>) =>
  Effect.async<never, Refused>((resume) => {
    const stop = () => resume(new Refused({ detail: "stopped by a signal" }))
    for (const signal of signals) process.once(signal, stop)
    return Effect.sync(() => {
      for (const signal of signals) process.off(signal, stop)
    })
  })

/** Without SIGHUP, which nohup keeps from a command that takes long. */
export const stopped = stoppedBy("SIGINT", "SIGTERM")

/**
 * Runs a command on the router that `CONDUIT_ROUTER_ID` names, or else the one that the database remembers, in the
 * database of `DATABASE_URL`, or else the embedded one, beside a service that has it. The pool closes with it.
 */
export const withRouter = <A, E>(
  use: (open: OpenRouter) => Effect.Effect<A, E, Settings>,
  options: { readonly mayBeNew?: boolean } = {}
) =>
  Effect.gen(function* () {
    const { learning } = yield* Settings
    const database = yield* Database
    const tools = yield* DatabaseTools
    const reader = yield* LogReader
    const ids = yield* Ids
    const clock = yield* Effect.clock
    const named = Option.flatMap(learning.routerId, RouterId.option)
    const found = yield* tools.findRouter(named)
    if (Option.isNone(found) && options.mayBeNew !== true) return yield* noRouter(named)
    const router = Option.getOrElse(found, () => ({
      id: Option.getOrElse(named, () => RouterId("new")),
      seed: "",
      position: 0
    }))
    return yield* use({
      router,
      made: database.router(named),
      database,
      tools,
      reader,
      append: (events) =>
        Effect.map(
          database.commit({
            routerId: router.id,
            commitId: ids.uuidV7(clock.unsafeCurrentTimeMillis()),
            decisions: [],
            reports: [],
            feedback: [],
            events,
            joined: [],
            maxParked: 0
          }),
          ({ position }) => position
        )
    })
  }).pipe(
    Effect.raceFirst(stopped),
    Effect.provide(storeOf(options.mayBeNew === true)),
    Effect.provide(Layer.merge(Logger.replace(Logger.defaultLogger, logger), Logger.minimumLogLevel(LogLevel.Warning)))
  )

/** Folds the log on, as the service does, and shows how far it is. */
export const foldOn = ({ reader, router }: OpenRouter, fold: Fold.Fold, until: Position) => {
  const from = Fold.position(fold)
  const progress = progressOf("folding the log", "commits", until - from)
  return Effect.ensuring(
    reader.foldUntil(router.id, fold, until, () => Effect.sync(() => progress.at(Fold.position(fold) - from))),
    Effect.sync(progress.end)
  )
}

/** The state as a start of the service has it: the newest good snapshot, and the tail of the log. */
export const newest = Effect.fnUntraced(function* (open: OpenRouter) {
  const { end, fold } = yield* open.reader.restore(open.router.id)
  yield* foldOn(open, fold, end)
  return fold
})

const noRouter = (named: Option.Option<RouterId>) =>
  new Refused({
    detail: Option.match(named, {
      onNone: () =>
        "the database remembers no router: start the service once, or set CONDUIT_ROUTER_ID to the one that is meant",
      onSome: (id) => `there is no router ${id} in this database: set CONDUIT_ROUTER_ID as the service has it`
    })
  })
