import type { Clock } from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { Deadlines } from "../../domain/basics/Deadlines.ts"
import { BanditState } from "../../services/learning/BanditState.ts"
import { Database } from "../../services/storage/Database.ts"
import { FeatureExtractor } from "../../services/routing/FeatureExtractor.ts"
import { Ids } from "../../services/running/Ids.ts"
import { Lifecycle } from "../../services/running/Lifecycle.ts"
import { LanguageModels } from "../../services/models/LanguageModels.ts"
import { LearningLog } from "../../services/learning/LearningLog.ts"
import { ModelCatalog } from "../../services/models/ModelCatalog.ts"
import { Router, type RouterShape } from "../../services/routing/Router.ts"
import { Sessions } from "../../services/routing/Sessions.ts"
import { Settings } from "../../services/running/Settings.ts"
import { Telemetry } from "../../services/observing/Telemetry.ts"
import { Tracing } from "../../services/observing/Tracing.ts"
import * as Accounting from "./Accounting.ts"
import { Attempts } from "./Attempts.ts"
import * as Choosing from "./Choosing.ts"
import * as Circuits from "./Circuits.ts"
import * as DecisionReports from "./DecisionReports.ts"
import * as Experience from "./Experience.ts"
import { Judge } from "./Judge.ts"
import * as RequestPath from "./RequestPath.ts"
import * as RequestTrace from "./RequestTrace.ts"
import * as Rewards from "./Rewards.ts"
import * as SessionFeedback from "./SessionFeedback.ts"
import { Settlement } from "./Settlement.ts"
import { Signals } from "./Signals.ts"
import * as Stats from "./StatsReader.ts"
import * as Summing from "./Summing.ts"
import * as Verdicts from "./Verdicts.ts"

/**
 * Everything that a request passes, from what it shares with others to its path (`RequestPath.ts`). Whole, because it is a
 * composition, read from top to bottom.
 */
export const layer: Layer.Layer<
  Router,
  never,
  | BanditState
  | Sessions
  | LanguageModels
  | ModelCatalog
  | FeatureExtractor
  | LearningLog
  | Database
  | Settings
  | Ids
  | Lifecycle
  | Telemetry
  | Tracing
> = Layer.scoped(
  Router,
  Effect.gen(function* () {
    const state = yield* BanditState
    const catalog = yield* ModelCatalog
    const tracing = yield* Tracing
    const log = RequestTrace.persisting(yield* LearningLog, tracing)
    const database = yield* Database
    const { http, learning, log: logSettings } = yield* Settings
    const telemetry = yield* Telemetry
    const clock = yield* Effect.clock

    const deadlines = yield* deadlinesBy(clock)
    const circuits = yield* Circuits.make({ catalog, clock, telemetry })
    const shared = {
      accounting: Accounting.make(catalog),
      catalog,
      circuits,
      clock,
      deadlines,
      experience: Experience.make(clock, catalog),
      extractor: yield* FeatureExtractor,
      ids: yield* Ids,
      isDebug: logSettings.level === "DEBUG",
      log,
      models: yield* LanguageModels,
      requestTimeoutMs: Duration.toMillis(http.requestTimeout),
      sessions: yield* Sessions,
      state,
      telemetry,
      tracing
    }
    const { judge, signals } = yield* ownVerdicts(shared)
    ;(yield* Lifecycle).onStopping(() => judge.stop())
    const attempts = new Attempts(shared)
    const path = RequestPath.make({
      ...shared,
      attempts,
      choosing: Choosing.make(shared),
      earlyMs: (2 / 3) * Duration.toMillis(http.streamKeepAlive),
      judge,
      settlement: new Settlement({
        ...shared,
        attempts,
        nowMillis: () => clock.unsafeCurrentTimeMillis(),
        signals
      }),
      storePrompts: learning.storePrompts
    })

    yield* Summing.run({ catalog, database, log })
    log.onJudged(Rewards.compare(catalog, telemetry))
    const expiryMs = Duration.toMillis(learning.feedbackExpiry)
    return Router.of({
      ...path,
      ...DecisionReports.make({ ...shared, database, expiryMs }),
      sessionFeedback: SessionFeedback.make({ ...shared, database, expiryMs }),
      stats: Stats.make({ catalog, database, log }),
      models: listed(shared)
    })
  })
)

/** What the service itself says of answers: by what it sees of them, and by a model that judges. */
const ownVerdicts = Effect.fnUntraced(function* (
  shared: Omit<ConstructorParameters<typeof Judge>[0], "verdicts" | "seed" | "nowMillis" | "told"> & {
    readonly clock: Clock
    readonly ids: typeof Ids.Service
    readonly log: typeof LearningLog.Service
    readonly telemetry: typeof Telemetry.Service
  }
) {
  const { catalog, clock, ids, log, telemetry } = shared
  const nowMillis = () => clock.unsafeCurrentTimeMillis()
  const verdicts = yield* Verdicts.make({ log, ids, nowMillis, dropped: telemetry.verdictDropped })
  return {
    signals: new Signals({ verdicts, weights: () => catalog.current().policy.signals, seen: telemetry.signalled }),
    judge: new Judge({ ...shared, verdicts, seed: log.router.seed, nowMillis, told: telemetry.judgeTold })
  }
})

/** By the clock's own time, which tests let pass. */
const deadlinesBy = (clock: Clock): Effect.Effect<Deadlines, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(
      () =>
        new Deadlines({
          nowMillis: () => clock.unsafeCurrentTimeMillis(),
          sleep: (millis, wake) => {
            const onExit = (exit: Exit.Exit<void>) => {
              if (Exit.isSuccess(exit)) wake()
            }
            const stop = Effect.runCallback(clock.sleep(Duration.millis(millis)), { onExit })
            return () => stop()
          }
        })
    ),
    (all) => Effect.sync(() => all.stop())
  )

/** The models of the catalogue, with what was learned and seen of each. */
const listed =
  ({
    catalog,
    circuits,
    experience,
    state
  }: {
    readonly catalog: typeof ModelCatalog.Service
    readonly circuits: Circuits.Circuits
    readonly experience: Experience.Experience
    readonly state: typeof BanditState.Service
  }): RouterShape["models"] =>
  () =>
    catalog.current().models.map((model) => ({
      model: state.isDisabled(model.id) ? { ...model, unavailable: "disabled by an operator" } : model,
      learned: state.learned(model.id),
      circuit: circuits.state(model.id),
      abilities: experience.abilities(model),
      dialect: experience.dialect(model)
    }))
