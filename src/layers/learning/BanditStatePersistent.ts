import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Runtime from "effect/Runtime"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as Hierarchical from "../../domain/learning/bandit/Hierarchical.ts"
import type { Position } from "../../domain/basics/Ids.ts"
import type { LearningEvent } from "../../domain/learning/LearningEvent.ts"
import { BanditState, PersistFailed, PersistTimeout } from "../../services/learning/BanditState.ts"
import { type DatabaseError, isAway } from "../../services/storage/Database.ts"
import { FeatureExtractor } from "../../services/routing/FeatureExtractor.ts"
import { LearningLog } from "../../services/learning/LearningLog.ts"
import { Lifecycle } from "../../services/running/Lifecycle.ts"
import { type Catalog, ModelCatalog } from "../../services/models/ModelCatalog.ts"
import { Settings } from "../../services/running/Settings.ts"
import { OutcomesDropped, type ShutdownError, ShutdownReport } from "../../services/running/ShutdownReport.ts"
import { Telemetry } from "../../services/observing/Telemetry.ts"
import * as Deciding from "./fold/Deciding.ts"
import * as Learning from "../../domain/learning/LearnedState.ts"
import * as Lines from "./fold/Lines.ts"
import { restore } from "./fold/Restore.ts"
import * as SnapshotTrouble from "./fold/SnapshotTrouble.ts"
import * as Waiting from "./fold/Waiting.ts"
import * as WithoutLearning from "./fold/WithoutLearning.ts"
import { neutral, referenceLatencySeconds, referenceTokens } from "../../domain/routing/Reference.ts"

const snapshotInterval = Duration.minutes(1)
/** After so many events a snapshot does not wait for its minute; several replicas may store the same one. */
const eventsPerSnapshot = 20_000
/** Between two tries to tell the log of models that a reload brought. */
const modelsRetry = Duration.seconds(2)
const eventsPerProgressLine = 100_000

/**
 * The fold of the learning log in memory: newest good snapshot and the tail of the log at start, followed from then on,
 * persisted on release. What is not learned here is nowhere else.
 */
export const layer: Layer.Layer<
  BanditState,
  DatabaseError,
  LearningLog | ModelCatalog | FeatureExtractor | ShutdownReport | Lifecycle | Settings | Telemetry
> = Layer.scoped(
  BanditState,
  Effect.gen(function* () {
    const log = yield* LearningLog
    const catalog = yield* ModelCatalog
    const extractor = yield* FeatureExtractor
    const report = yield* ShutdownReport
    const lifecycle = yield* Lifecycle
    const telemetry = yield* Telemetry
    const { database, log: logSettings, shutdown } = yield* Settings
    const isDebug = logSettings.level === "DEBUG"
    const clock = yield* Effect.clock
    const { persistTimeout } = shutdown
    const patiently = retryWhileAway(database.connectDeadline)
    const runtime = yield* Effect.runtime<never>()
    const say = (line: Effect.Effect<void>) => Runtime.runSync(runtime)(line)

    const parameters = Hierarchical.defaultParameters
    const fingerprint = Hierarchical.fingerprint(parameters, extractor.version)
    const waiting = Waiting.make()
    // Each holds one: what comes while it is full asks for the same.
    const reloads = yield* Queue.sliding<void>(1)
    const hangups = yield* Queue.sliding<void>(1)
    const snapshotsDue = yield* Queue.sliding<void>(1)
    const snapshotTrouble = SnapshotTrouble.make()

    const stored = yield* patiently(
      Effect.all({ end: log.position, oldest: log.oldestPosition, snapshots: log.snapshots(fingerprint) })
    )
    const restored = yield* restore({ ...stored, parameters, dimension: extractor.dimension })
    const { isIncomplete, learning } = restored
    let position = restored.position
    let eventsSinceSnapshot = 0
    let savedPosition: Position | null = restored.position > 0 ? restored.position : null
    /** When a snapshot last held all that was learned. */
    let savedAtMillis = clock.unsafeCurrentTimeMillis()
    /** The fold died of a bug: what is in memory is not what the log says, so it is neither used nor stored. */
    let broken = false

    // Before the persisting is made to run at release, so that they tell the truth while it does.
    yield* telemetry.gauge(
      "conduit_learning_lag_commits",
      "Commits in the database that are not folded, as far as known",
      () => Math.max(0, log.newestKnown() - position)
    )
    yield* telemetry.gauge("conduit_learning_position", "Log position that is folded", () => position)
    yield* telemetry.gauge(
      "conduit_snapshot_age_seconds",
      "Since a snapshot of this process held all that was learned",
      () => (clock.unsafeCurrentTimeMillis() - savedAtMillis) / 1000
    )
    yield* telemetry.gauge("conduit_learning_pending", "Outcomes that are not stored yet", () => log.backlog().pending)

    const foldCommit = (commit: { readonly position: Position; readonly events: ReadonlyArray<LearningEvent> }) => {
      // Two readers may overlap for a moment at shutdown; each commit is folded once.
      if (commit.position <= position || broken) return
      const folded = Either.try(() => {
        for (const event of commit.events) {
          const change = Learning.fold(learning, commit.position, event)
          if (change === null) continue
          telemetry.modelChanged(change)
          say(Lines.changed(change))
        }
      })
      if (Either.isLeft(folded)) {
        broken = true
        say(
          Effect.logError(
            `learning stopped at position ${commit.position}: the order of the configuration decides`,
            folded.left
          )
        )
      }
      position = commit.position
      if (isDebug) say(Lines.folded(commit))
      telemetry.folded(commit.events.length)
      eventsSinceSnapshot += commit.events.length
      if (eventsSinceSnapshot >= eventsPerSnapshot) snapshotsDue.unsafeOffer()
      waiting.reached(position)
    }

    const saveSnapshot = Effect.suspend(() => {
      if (broken || isIncomplete) return Effect.succeed(false)
      const startedAtMillis = clock.unsafeCurrentTimeMillis()
      if (position === 0 || position === savedPosition) {
        savedAtMillis = startedAtMillis
        return Effect.succeed(false)
      }
      const watermark = position
      eventsSinceSnapshot = 0
      return log.saveSnapshot(fingerprint, { watermark, state: Learning.encode(learning) }).pipe(
        Effect.map(() => {
          savedPosition = watermark
          savedAtMillis = startedAtMillis
          return true
        })
      )
    })
    /** As often as it fails: its trouble is told, and never in the way of anything. */
    const trySnapshot = Effect.matchEffect(saveSnapshot, {
      onSuccess: (isStored) => (isStored ? snapshotTrouble.stored : Effect.void),
      onFailure: (error) => snapshotTrouble.failed(error, position, log.backlog().lastError)
    })

    const foldUntil = (target: Position) =>
      Effect.suspend(() => {
        if (position >= target || broken) return Effect.void
        let events = 0
        let announced = 0
        // A page at a time: an effect for each commit would cost more than folding it.
        return log.follow(position).pipe(
          Stream.chunks,
          Stream.tap((commits) => {
            for (const commit of commits) {
              foldCommit(commit)
              events += commit.events.length
            }
            if (events - announced < eventsPerProgressLine) return Effect.void
            announced = events
            // Who stops a start that takes too long stops the next one later.
            return Effect.zipRight(
              Effect.logInfo(`folding the learning log: ${events} events so far, at position ${position} of ${target}`),
              trySnapshot
            )
          }),
          Stream.takeUntil(() => position >= target || broken),
          Stream.runDrain
        )
      })

    const newModels = ({ models }: Catalog): ReadonlyArray<LearningEvent> =>
      models
        .filter((model) => !Learning.knows(learning, model.id, model.priorQuality))
        .map((model) => ({ type: "model", model: model.id, priorQuality: model.priorQuality }))
    // A try whose answer got lost may have told it all the same: the next one reads that first.
    yield* patiently(
      Effect.gen(function* () {
        yield* foldUntil(yield* log.position)
        const atStart = newModels(catalog.current())
        if (atStart.length > 0 && !broken) yield* foldUntil(yield* log.append(atStart))
      })
    )

    report.backlog(log.backlog)

    // The log and its database are below this layer, so they are released after it.
    yield* Effect.addFinalizer(() =>
      Effect.gen(function* () {
        yield* Effect.sync(() => lifecycle.enter("persist"))
        yield* Effect.logInfo("Phase 2/3: Persisting bandit state")
        const count = accounting(log, report)
        const { dropped } = report.learning
        if (dropped > 0) report.error(null, new OutcomesDropped({ dropped }))
        let failure = "it did not end"
        const noted = <E extends ShutdownError>(error: E): E => {
          failure = error.message
          return error
        }
        const persist = flushed(log, persistTimeout, count).pipe(
          Effect.zipRight(
            log.position.pipe(
              Effect.flatMap(foldUntil),
              Effect.zipRight(Effect.asVoid(saveSnapshot)),
              Effect.mapError((error) => persistFailed(error, count().unpersisted))
            )
          ),
          Effect.mapError(noted),
          Effect.tapDefect((cause) => Effect.sync(() => (failure = Cause.pretty(cause).split("\n")[0] ?? failure)))
        )
        const ok = yield* report.phase(
          "persist",
          {
            limit: persistTimeout,
            onTimeout: () => noted(persistTimedOut(log, persistTimeout, count().unpersisted))
          },
          persist
        )
        count()
        report.learning.watermark = position
        yield* ok
          ? isIncomplete || broken
            ? Effect.logWarning(
                `What was learned since the start is in the learning log; ${broken ? "its fold stopped, so no snapshot of it is stored" : "the snapshots that could not be used were not replaced"}`
              )
            : Effect.logInfo("Bandit state persisted successfully")
          : Effect.logError(`Failed to persist router state: ${failure}`)
      })
    )

    // Their interruption is not waited for: a query that hangs would hold up the persisting, which has a limit of its own.
    const forkUntilRelease = (effect: Effect.Effect<void>) =>
      Effect.acquireRelease(Effect.forkDaemon(Effect.interruptible(effect)), (fiber) => Fiber.interruptFork(fiber))

    yield* forkUntilRelease(
      log.follow(position).pipe(
        Stream.runForEach((commit) =>
          Effect.sync(() => {
            foldCommit(commit)
            if (commit.events.some((event) => event.type === "reload")) reloads.unsafeOffer()
          })
        )
      )
    )
    // Several replicas may tell the log of the same model: the newest prior wins, and equal ones change nothing.
    yield* forkUntilRelease(
      Effect.forever(
        Queue.take(reloads).pipe(
          Effect.zipRight(catalog.reload),
          Effect.flatMap((next) => {
            const events = newModels(next)
            return events.length === 0
              ? Effect.void
              : log.append(events).pipe(Effect.retry(Schedule.spaced(modelsRetry)), Effect.asVoid)
          }),
          // The catalogue has logged what is wrong with it.
          Effect.ignore
        )
      )
    )
    lifecycle.onReload(() => hangups.unsafeOffer())
    yield* forkUntilRelease(
      Effect.forever(
        Queue.take(hangups).pipe(
          Effect.zipRight(log.append([{ type: "reload" }])),
          Effect.catchAll((error) =>
            Effect.logError(
              `the reload did not reach the log, so nothing was read again: ${error.message}; send SIGHUP again once the database is back`
            )
          )
        )
      )
    )
    yield* forkUntilRelease(
      Effect.forever(
        Effect.zipRight(Effect.raceFirst(Effect.sleep(snapshotInterval), Queue.take(snapshotsDue)), trySnapshot)
      )
    )

    const deciding = (): Deciding.Deciding => ({
      catalog: catalog.current(),
      disabled: learning.disabled,
      router: log.router,
      featuresVersion: extractor.version
    })
    const withoutLearning = WithoutLearning.make({ say, nowMillis: () => clock.unsafeCurrentTimeMillis() })

    return BanditState.of({
      decide: (input) => {
        const decided = broken
          ? Either.left(null)
          : Either.try(() => Deciding.decide(deciding(), learning.state, position, input))
        if (Either.isRight(decided)) {
          withoutLearning.worked()
          return decided.right
        }
        telemetry.fallbackToStatic()
        // Of a fold that stopped it was said.
        if (!broken) withoutLearning.failed(decided.left)
        return Deciding.decideWithoutLearning(deciding(), position, input)
      },
      epoch: (model) => Hierarchical.epoch(learning.state, model),
      learned: (model) => {
        const priorQuality = catalog.current().byId.get(model)?.priorQuality ?? null
        return Either.getOrElse(
          Either.try(() => ({
            ...Hierarchical.learned(learning.state, model, priorQuality),
            share: Learning.shareOf(learning, model)
          })),
          () => unlearned(priorQuality)
        )
      },
      isDisabled: (model) => learning.disabled.has(model),
      position: () => position,
      caughtUp: (target) => waiting.until(target, () => position)
    })
  })
)

/** Each try is bounded by the log and its database. */
const retryWhileAway =
  (deadline: Duration.Duration) =>
  <A>(effect: Effect.Effect<A, DatabaseError>): Effect.Effect<A, DatabaseError> =>
    Effect.retry(effect, {
      schedule: Schedule.exponential(Duration.millis(100)).pipe(
        Schedule.union(Schedule.spaced(Duration.seconds(2))),
        Schedule.upTo(deadline)
      ),
      while: isAway
    })

const unlearned = (priorQuality: number | null) => ({
  quality: { mean: priorQuality ?? neutral, low: 0, high: 1, observations: 0 },
  tasks: [],
  changes: [],
  successRate: 1,
  outputTokensMean: referenceTokens.output,
  latencySecondsMean: referenceLatencySeconds,
  share: 0
})

/** Keeps the report's numbers: what is counted as pending is persisted or not, at any moment. What is dropped now is lost. */
const accounting = (log: LearningLog["Type"], { learning }: ShutdownReport["Type"]) => {
  const before = log.backlog()
  learning.dropped = before.dropped
  return () => {
    const { dropped, pending } = log.backlog()
    learning.unpersisted = pending + dropped - before.dropped
    learning.pending = Math.max(before.pending, learning.unpersisted)
    learning.persisted = learning.pending - learning.unpersisted
    return learning
  }
}

/** A time-out is nothing that the database said. */
const isAnswer = (error: DatabaseError | null): error is DatabaseError => error !== null && error.reason !== "timeout"

const persistFailed = (error: DatabaseError, unpersisted: number) =>
  new PersistFailed({ reason: error.reason, detail: error.message, unpersisted })

/** A second signal may cut the limit short: if the database answered errors until then, they are the reason. */
const persistTimedOut = (log: LearningLog["Type"], limit: Duration.Duration, unpersisted: number) => {
  const { lastError } = log.backlog()
  return isAnswer(lastError) && unpersisted > 0
    ? persistFailed(lastError, unpersisted)
    : new PersistTimeout({ limitMs: Duration.toMillis(limit), unpersisted })
}

/**
 * Stores what is pending. A database that answers errors is given up a little before the limit, so that the report can
 * name its reason; one that does not answer at all is left to the limit itself.
 */
const flushed = (
  log: LearningLog["Type"],
  limit: Duration.Duration,
  count: () => { readonly unpersisted: number }
): Effect.Effect<void, PersistFailed> => {
  const limitMs = Duration.toMillis(limit)
  const patienceMs = limitMs - Math.min(limitMs / 2, Math.max(100, limitMs / 10))
  const givenUp = Effect.sleep(Duration.millis(patienceMs)).pipe(
    Effect.flatMap(() => {
      const { lastError } = log.backlog()
      return isAnswer(lastError) ? Effect.fail(persistFailed(lastError, count().unpersisted)) : Effect.never
    })
  )
  return Effect.raceFirst(Effect.disconnect(log.flush), givenUp)
}
