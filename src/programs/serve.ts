import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as BanditStatePersistent from "../layers/learning/BanditStatePersistent.ts"
import * as DatabasePg from "../layers/storage/postgres/DatabasePg.ts"
import * as FeatureExtractorLexical from "../layers/routing/FeatureExtractorLexical.ts"
import * as Flush from "../layers/running/Flush.ts"
import * as HttpServe from "../layers/api/HttpServe.ts"
import * as HttpSocket from "../layers/api/HttpSocket.ts"
import * as KeysShared from "../layers/api/KeysShared.ts"
import * as IdsCrypto from "../layers/running/IdsCrypto.ts"
import * as InFlight from "../layers/running/InFlight.ts"
import * as LanguageModelsHttp from "../layers/models/LanguageModelsHttp.ts"
import * as LanguageModelsSimulated from "../layers/models/LanguageModelsSimulated.ts"
import * as LearningLogDatabase from "../layers/learning/LearningLogDatabase.ts"
import * as LogReaderDatabase from "../layers/learning/LogReaderDatabase.ts"
import * as MeteringShared from "../layers/routing/MeteringShared.ts"
import * as ModelLists from "../layers/models/ModelLists.ts"
import * as ModelCatalogFile from "../layers/models/ModelCatalogFile.ts"
import * as PostgresEmbedded from "../layers/storage/postgres/PostgresEmbedded.ts"
import * as PostgresExternal from "../layers/storage/postgres/PostgresExternal.ts"
import * as Ready from "../layers/running/Ready.ts"
import * as RedisOptional from "../layers/storage/redis/RedisOptional.ts"
import * as RouterBandit from "../layers/routing/RouterBandit.ts"
import * as SessionsMemory from "../layers/routing/SessionsMemory.ts"
import * as SessionsRedis from "../layers/routing/SessionsRedis.ts"
import * as Telemetry from "../layers/observing/Telemetry.ts"
import * as TelemetryOtlp from "../layers/observing/TelemetryOtlp.ts"
import * as UpstreamPools from "../layers/models/UpstreamPools.ts"
import type { Database } from "../services/storage/Database.ts"
import { ModelCatalog } from "../services/models/ModelCatalog.ts"
import { ChoiceRule, type ChoiceRuleShape } from "../services/learning/ChoiceRule.ts"
import type { LearningLog } from "../services/learning/LearningLog.ts"
import type { Redis } from "../services/storage/Redis.ts"
import type { LanguageModels as LanguageModelsService } from "../services/models/LanguageModels.ts"
import type { FeatureExtractor } from "../services/routing/FeatureExtractor.ts"
import type { Sessions } from "../services/routing/Sessions.ts"
import type { EmbeddedPostgresError, PostgresServer } from "../services/storage/PostgresServer.ts"
import { type InvalidSettings, Settings } from "../services/running/Settings.ts"

/** Parts of one's own instead of the service's. They may use the settings and the catalogue. */
export interface OwnParts {
  /** Calls the models; see `LanguageModelsOwn` for a function instead of this interface. */
  readonly models?: Layer.Layer<LanguageModelsService, never, ModelCatalog | Settings>
  /** Which models there are. */
  readonly catalog?: Layer.Layer<ModelCatalog, InvalidSettings, Settings>
  /** What is learned on: another `version` is another state. */
  readonly features?: Layer.Layer<FeatureExtractor, never, Settings>
  readonly sessions?: Layer.Layer<Sessions, never, Settings>
  /** The algorithm: how the choice is made from what was learned. */
  readonly rule?: ChoiceRuleShape
}

/**
 * The whole service over a database. Released top to bottom on SIGTERM; acquired bottom to top at start: every layer
 * may use those below it until it is released itself.
 */
export const serveWith = <E, R>(database: Layer.Layer<Database, E, R>, own: OwnParts = {}) =>
  Ready.layer.pipe(
    Layer.provide(HttpServe.layer), //               1 settle, stop the listener, drain, interrupt, close every socket
    Layer.provide(KeysShared.layer),
    Layer.provide(MeteringShared.layer),
    Layer.provideMerge(RouterBandit.layer), //       2 no decision after this line
    Layer.provide(own.sessions ?? SharedSessions),
    Layer.provide(Layer.provide(BanditStatePersistent.layer, Layer.succeed(ChoiceRule, own.rule ?? null))), //   3 persist: flush the learning log, write the snapshot ...
    Layer.provide(LearningLogDatabase.layer),
    Layer.provide(LogReaderDatabase.layer),
    Layer.provide(database), //                      4 ... before the pool closes
    Layer.provide(own.models ?? LanguageModels),
    Layer.provide(Flush.layer(FlushedLast)), //      5 flush, at once: the connections to models, Redis, telemetry
    Layer.provide(own.catalog ?? ModelCatalogFile.layer),
    Layer.provideMerge(HttpSocket.layer), //         6 listens first: 503 to everything until 1 attaches the application
    Layer.provide(InFlight.layer),
    Layer.provide(Layer.mergeAll(own.features ?? FeatureExtractorLexical.layer, IdsCrypto.layer, Telemetry.layer)),
    Layer.provide(Telemetry.lifecycleLayer)
  )

const FlushedLast = Layer.mergeAll(UpstreamPools.layer, RedisOptional.layer, TelemetryOtlp.layer)

/** The configured providers, and what they list; or the simulation where the catalogue is simulated. */
const LanguageModels = Layer.unwrapEffect(
  Effect.map(ModelCatalog, ({ current }) =>
    current().models.some((model) => model.simulated)
      ? LanguageModelsSimulated.layer
      : Layer.merge(LanguageModelsHttp.layer, ModelLists.layer)
  )
)

/** Shared by the replicas where there is a Redis. */
const SharedSessions = Layer.unwrapEffect(
  Effect.map(Settings, ({ redis }): Layer.Layer<Sessions, never, Redis | LearningLog> =>
    Option.isSome(redis.url) ? SessionsRedis.layer : SessionsMemory.layer
  )
)

/** The configured PostgreSQL, or the embedded one. */
const Postgres = Layer.unwrapEffect(
  Effect.map(Settings, ({ database }): Layer.Layer<PostgresServer, EmbeddedPostgresError | InvalidSettings, Settings> =>
    Option.isSome(database.url) ? PostgresExternal.layer : PostgresEmbedded.layer
  )
)

/** The database of the settings. */
export const Configured = Layer.provide(DatabasePg.layer, Postgres)

export const ServeLayer = serveWith(Configured)
