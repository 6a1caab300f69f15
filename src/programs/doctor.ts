import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as FeatureExtractorLexical from "../layers/routing/FeatureExtractorLexical.ts"
import * as HttpProbeUndici from "../layers/running/HttpProbeUndici.ts"
import * as DatabaseInspectionPg from "../layers/storage/postgres/DatabaseInspectionPg.ts"
import * as PostgresExternal from "../layers/storage/postgres/PostgresExternal.ts"
import * as RedisProbeIoredis from "../layers/storage/redis/RedisProbeIoredis.ts"
import * as ModelCatalogFile from "../layers/models/ModelCatalogFile.ts"
import * as SettingsEnv from "../layers/running/SettingsEnv.ts"
import { Environment, type EnvironmentShape } from "../services/running/Environment.ts"
import { ModelCatalog, type ModelCatalogShape } from "../services/models/ModelCatalog.ts"
import { DatabaseInspection } from "../services/storage/DatabaseInspection.ts"
import { type InvalidSettings, Settings, type SettingsShape } from "../services/running/Settings.ts"
import { fail, type Findings, found, guarded, type Line, ofDefect } from "./doctor/Check.ts"
import { clockLines } from "./doctor/Clocks.ts"
import { embedded } from "./doctor/Embedded.ts"
import { accessLines, loggingLines, settingsLines, shutdownLines } from "./doctor/Configuration.ts"
import { databaseFindings } from "./doctor/Database.ts"
import { instanceFindings } from "./doctor/Instance.ts"
import { catalogLines, providerFindings } from "./doctor/Models.ts"
import { redisFindings } from "./doctor/Redis.ts"
import { rehearsalLines } from "./doctor/Rehearsal.ts"
import { countOf, forMachines, forPeople } from "./doctor/Print.ts"
import { telemetryFindings } from "./doctor/Telemetry.ts"
import { ending } from "./tools/Ending.ts"
import { stoppedBy } from "./tools/OpenRouter.ts"
import type { Refused } from "./tools/Refused.ts"

/** The service writes no terminal's format where it runs, whatever this command is run on. */
const asService = (environment: EnvironmentShape) => Layer.succeed(Environment, { ...environment, terminal: false })

const problemLines = (name: string, { problems }: InvalidSettings): ReadonlyArray<Line> =>
  problems.map((problem) =>
    fail(name, problem, "correct it, and run this again: the rest of the checklist builds on it")
  )

interface Asked {
  readonly rehearse: boolean
  readonly replicas: number
  readonly url: Option.Option<string>
}

/** One connection for each use; only where `DATABASE_URL` is set. */
const inspectionOf = (settings: SettingsShape) =>
  DatabaseInspectionPg.layer.pipe(
    Layer.provide(PostgresExternal.layer),
    Layer.provide(Layer.succeed(Settings, settings)),
    // It is not used without the address.
    Layer.orDie
  )

const databaseChecks = (settings: SettingsShape, replicas: number): Effect.Effect<Findings> =>
  Option.isNone(settings.database.url)
    ? embeddedChecks(settings)
    : databaseFindings(settings, replicas).pipe(
        Effect.provide(Layer.merge(inspectionOf(settings), FeatureExtractorLexical.layer))
      )

/** The embedded one is looked at where its service runs, as any other. */
const embeddedChecks = (settings: SettingsShape): Effect.Effect<Findings> =>
  Effect.flatMap(embedded(settings), ({ lines, url }) =>
    Option.isNone(url)
      ? Effect.succeed(found(...lines))
      : Effect.map(databaseChecks({ ...settings, database: { ...settings.database, url } }, 1), (server) => ({
          ...server,
          lines: [...lines, ...server.lines]
        }))
  )

const removeRouter = (settings: SettingsShape) => (id: string) =>
  Option.isNone(settings.database.url)
    ? Effect.void
    : Effect.flatMap(DatabaseInspection, (inspection) => inspection.removeRouter(id)).pipe(
        Effect.provide(inspectionOf(settings))
      )

/** Every line, in the order of the checklist. What waits for others waits at the same time. */
const examine = (
  { replicas, url }: Asked,
  settings: SettingsShape,
  environment: EnvironmentShape,
  catalog: Either.Either<ModelCatalogShape, InvalidSettings>
): Effect.Effect<ReadonlyArray<Line>> =>
  Effect.gen(function* () {
    const providers = Either.match(catalog, {
      onLeft: () => Effect.succeed<Findings>(found()),
      onRight: (catalog) => providerFindings(catalog, !Duration.equals(settings.models.listInterval, Duration.zero))
    })
    const groups = yield* Effect.all(
      {
        database: guarded("database", "30 seconds", databaseChecks(settings, replicas)),
        providers: guarded("providers", "30 seconds", providers),
        redis: guarded("redis", "10 seconds", redisFindings(settings)),
        telemetry: guarded("otlp", "15 seconds", telemetryFindings(settings)),
        instance: guarded("instance", "15 seconds", instanceFindings(settings, environment, url))
      },
      { concurrency: "unbounded" }
    ).pipe(Effect.provide(Layer.merge(HttpProbeUndici.layer, RedisProbeIoredis.layer)))
    return [
      ...settingsLines(settings, environment),
      ...groups.database.lines,
      ...shutdownLines(settings),
      ...accessLines(settings, environment),
      ...loggingLines(settings),
      ...Either.match(catalog, {
        onLeft: (error) => problemLines("models", error),
        // With what the providers have listed by now.
        onRight: (catalog) => catalogLines(catalog.current(), settings.production)
      }),
      ...groups.providers.lines,
      ...clockLines([...groups.database.clocks, ...groups.providers.clocks]),
      ...groups.redis.lines,
      ...groups.telemetry.lines,
      ...groups.instance.lines
    ]
  })

const catalogOf = (settings: SettingsShape, environment: Layer.Layer<Environment>) =>
  ModelCatalog.pipe(
    Effect.provide(
      ModelCatalogFile.layer.pipe(Layer.provide(Layer.merge(Layer.succeed(Settings, settings), environment)))
    ),
    Effect.either
  )

interface Answer {
  readonly lines: ReadonlyArray<Line>
  readonly isTerminal: boolean
}

const diagnose = (asked: Asked): Effect.Effect<Answer, Refused> =>
  Effect.gen(function* () {
    const environment = yield* Environment
    const isTerminal = environment.terminal && !environment.variables.has("NO_COLOR")
    const layer = asService(environment)
    const settings = yield* Effect.either(Effect.provide(Settings, Layer.provide(SettingsEnv.fromEnvironment, layer)))
    if (Either.isLeft(settings)) return { lines: problemLines("settings", settings.left), isTerminal }
    const catalog = yield* catalogOf(settings.right, layer)
    const lines = yield* examine(asked, settings.right, environment, catalog)
    const rehearsed = asked.rehearse
      ? yield* rehearsalLines(settings.right, environment, lines, removeRouter(settings.right))
      : []
    return { lines: [...lines, ...rehearsed], isTerminal }
  }).pipe(
    Effect.catchAllDefect((defect) => Effect.succeed({ lines: [ofDefect("doctor", defect)], isTerminal: false })),
    Effect.raceFirst(stoppedBy("SIGINT", "SIGTERM", "SIGHUP")),
    Effect.provide(SettingsEnv.environment)
  )

const options = {
  replicas: Options.integer("replicas").pipe(
    Options.withSchema(
      Schema.Int.pipe(Schema.between(1, 10_000, { message: () => "--replicas is a whole number from 1 to 10000" }))
    ),
    Options.withDefault(2),
    Options.withDescription("how many instances there are, or will be; connections are counted for one more")
  ),
  url: Options.text("url").pipe(
    Options.optional,
    Options.withDescription("address of a running instance, where it is not the configured one")
  ),
  rehearse: Options.boolean("rehearse").pipe(
    Options.withDescription("also start a spare instance, stop it under load, and look at its report")
  ),
  strict: Options.boolean("strict").pipe(Options.withDescription("end with 1 for warnings too")),
  json: Options.boolean("json").pipe(Options.withDescription("print JSON"))
}

const offer =
  "\nconduit doctor --rehearse also starts a spare instance with a router of its own, and rehearses its shutdown"

/** `conduit doctor`: the checklist of a deployment, against what is really there. Changes nothing. */
export const doctor = Command.make("doctor", options, ({ json, rehearse, replicas, strict, url }) =>
  ending(
    Effect.gen(function* () {
      const { isTerminal, lines } = yield* diagnose({ rehearse, replicas, url })
      const failed = countOf(lines, "fail")
      const warned = countOf(lines, "warn")
      if (json) yield* Console.log(forMachines(lines))
      else {
        yield* Console.log(forPeople(lines, isTerminal))
        yield* Console.log(`\n${countOf(lines, "pass")} pass, ${warned} warn, ${failed} fail`)
        if (!rehearse && failed === 0) yield* Console.log(offer)
      }
      return failed > 0 || (strict && warned > 0) ? 1 : 0
    })
  )
).pipe(Command.withDescription("Run the deployment checklist against this configuration, and change nothing"))
