import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Hierarchical from "../../domain/learning/bandit/Hierarchical.ts"
import type { ModelId, Position } from "../../domain/basics/Ids.ts"
import * as Sources from "../../domain/learning/bandit/Sources.ts"
import * as LearnedState from "../../domain/learning/LearnedState.ts"
import type { LearningEvent, ModelEvent } from "../../domain/learning/LearningEvent.ts"
import type { Model } from "../../domain/routing/Model.ts"
import { neutral, referenceLatencySeconds, referenceTokens } from "../../domain/routing/Reference.ts"
import { BanditState } from "../../services/learning/BanditState.ts"
import { ChoiceRule } from "../../services/learning/ChoiceRule.ts"
import { LearningLog } from "../../services/learning/LearningLog.ts"
import { LogReader } from "../../services/learning/LogReader.ts"
import { type Catalog, ModelCatalog } from "../../services/models/ModelCatalog.ts"
import { Telemetry } from "../../services/observing/Telemetry.ts"
import { Lifecycle } from "../../services/running/Lifecycle.ts"
import { Settings } from "../../services/running/Settings.ts"
import { ShutdownReport } from "../../services/running/ShutdownReport.ts"
import { Database, type DatabaseError, type DatabaseShape } from "../../services/storage/Database.ts"
import * as Deciding from "./fold/Deciding.ts"
import * as Following from "./fold/Following.ts"
import * as Persisting from "./fold/Persisting.ts"
import * as WithoutLearning from "./fold/WithoutLearning.ts"
import { logOperators } from "./Operators.ts"
import * as Reloads from "./Reloads.ts"

/** Between two tries to tell the log of models that a reload brought. */
const modelsRetry = Schedule.spaced(Duration.seconds(2))

/**
 * The fold of the learning log in memory: newest good snapshot and the tail of the log at start, followed from then on,
 * persisted on release. What is not learned here is nowhere else. Whole, because it is a composition, read from top to bottom.
 */
export const layer: Layer.Layer<
  BanditState,
  DatabaseError,
  Database | LearningLog | LogReader | ModelCatalog | ShutdownReport | Lifecycle | Settings | Telemetry
> = Layer.scoped(
  BanditState,
  Effect.gen(function* () {
    const log = yield* LearningLog
    const reader = yield* LogReader
    const catalog = yield* ModelCatalog
    const report = yield* ShutdownReport
    const lifecycle = yield* Lifecycle
    const telemetry = yield* Telemetry
    const { keys } = yield* Database
    const { database, log: logSettings, shutdown } = yield* Settings

    const following = yield* Following.start({
      log,
      reader,
      telemetry,
      report,
      isDebug: logSettings.level === "DEBUG",
      deadline: database.connectDeadline,
      unknown: (learned) => unknownModels(catalog.current(), learned)
    })
    const { catchUp, live, snapshots } = following

    log.weighBy(() => Sources.standings(live.learned().state.sources))
    // Before the persisting is made to run at release, so that they tell the truth while it does.
    yield* observe(telemetry, log, following)
    report.backlog(log.backlog)
    // The log and its database are below this layer, so they are released after it.
    yield* Effect.addFinalizer(() =>
      Persisting.persist({ log, live, snapshots, catchUp, report, limit: shutdown.persistTimeout })
    )

    const reloads = yield* Reloads.make({
      log,
      catalog,
      lifecycle,
      onHangup: (position) => noteHangup(log, keys, position),
      onReloaded: (next) => tellOfModels(log, unknownModels(next, live.learned()))
    })
    yield* forkUntilRelease(
      following.run((commit) =>
        Effect.suspend(() => {
          reloads.saw(commit)
          return logOperators(commit, catalog.current(), live.learned().disabled)
        })
      )
    )
    for (const run of [reloads.run, snapshots.run]) yield* forkUntilRelease(run)

    const own = yield* ChoiceRule
    const decide = yield* makeDecide({
      telemetry,
      live,
      deciding: () => ({
        catalog: catalog.current(),
        disabled: live.learned().disabled,
        router: log.router,
        featuresVersion: reader.policy.featuresVersion,
        own
      })
    })
    return BanditState.of({
      decide,
      epoch: (model) => Hierarchical.epoch(live.learned().state, model),
      learned: (model) => learnedOf(live.learned(), model, catalog.current().byId.get(model)?.priorQuality ?? null),
      isDisabled: (model) => live.learned().disabled.has(model),
      position: live.position,
      caughtUp: live.caughtUp
    })
  })
)

/** Who may send signals to a process needs no key: its line says which process it was. */
const noteHangup = ({ replica, router }: LearningLog["Type"], keys: DatabaseShape["keys"], position: Position) =>
  Effect.flatMap(Clock.currentTimeMillis, (atMillis) =>
    keys.note({
      atMillis,
      actor: "signal: SIGHUP",
      action: "reload",
      subject: "the configuration",
      details: { position, replica, router_id: router.id }
    })
  )

/** By what was learned; in the order of the configuration where that fails, which is logged. */
const makeDecide = ({
  deciding,
  live,
  telemetry
}: {
  readonly telemetry: Telemetry["Type"]
  readonly live: Following.Following["live"]
  readonly deciding: () => Deciding.Deciding
}) =>
  Effect.map(WithoutLearning.make, (withoutLearning): BanditState["Type"]["decide"] => (input) => {
    const decided = live.isUsable()
      ? Either.try(() => Deciding.decide(deciding(), live.learned().state, live.position(), input))
      : Either.left(null)
    if (Either.isRight(decided)) {
      withoutLearning.worked()
      return decided.right
    }
    telemetry.fallbackToStatic()
    // That a fold has stopped was logged.
    if (live.isUsable()) withoutLearning.failed(decided.left)
    return Deciding.decideWithoutLearning(deciding(), live.position(), input)
  })

/** What is shown of a model; of a state that cannot be read, what is known without one. */
const learnedOf = (learned: LearnedState.Learning, model: ModelId, priorQuality: number | null) =>
  Either.getOrElse(
    Either.try(() => ({
      ...Hierarchical.learned(learned.state, model, priorQuality),
      share: LearnedState.shareOf(learned, model)
    })),
    () => unlearned(priorQuality)
  )

/** Their interruption is not waited for: a query that hangs would hold up the persisting, which has a limit of its own. */
const forkUntilRelease = (effect: Effect.Effect<void>) =>
  Effect.acquireRelease(Effect.forkDaemon(Effect.interruptible(effect)), (fiber) => Fiber.interruptFork(fiber))

/** Several replicas may tell the log of the same model: the newest prior wins, and equal ones change nothing. */
const tellOfModels = (log: LearningLog["Type"], events: ReadonlyArray<LearningEvent>): Effect.Effect<void> =>
  events.length === 0 ? Effect.void : Effect.ignore(Effect.retry(log.append(events), modelsRetry))

const unknownModels = (catalog: Catalog, learned: LearnedState.Learning): ReadonlyArray<LearningEvent> =>
  catalog.models.map((model) => modelEventOf(catalog, model)).filter((event) => !LearnedState.knows(learned, event))

/** An upstream is named where several models are it. */
const modelEventOf = ({ models }: Catalog, { id, priorQuality, priorSd, provider, upstream }: Model): ModelEvent => {
  const isArm = models.some((other) => other.id !== id && other.provider === provider && other.upstream === upstream)
  return {
    type: "model",
    model: id,
    priorQuality,
    ...(priorSd === undefined ? {} : { priorSd }),
    ...(isArm ? { upstream: `${provider}/${upstream}` } : {})
  }
}

const observe = Effect.fnUntraced(function* (
  telemetry: Telemetry["Type"],
  log: LearningLog["Type"],
  { live, snapshots }: Following.Following
) {
  yield* telemetry.gauge(
    "conduit_learning_lag_commits",
    "Commits in the database that are not folded, as far as known",
    () => Math.max(0, log.newestKnown() - live.position())
  )
  yield* telemetry.gauge("conduit_learning_position", "Log position that is folded", live.position)
  yield* telemetry.gauge(
    "conduit_snapshot_age_seconds",
    "Since a snapshot of this process held all that was learned",
    snapshots.ageSeconds
  )
  yield* telemetry.gauge("conduit_learning_pending", "Outcomes that are not stored yet", () => log.backlog().pending)
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
