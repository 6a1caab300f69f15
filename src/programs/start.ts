import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import type * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as ModelCatalogFile from "../layers/models/ModelCatalogFile.ts"
import * as Lifecycle from "../layers/running/Lifecycle.ts"
import * as LoggerStdout from "../layers/observing/LoggerStdout.ts"
import * as OutputStdio from "../layers/running/OutputStdio.ts"
import * as SettingsEnv from "../layers/running/SettingsEnv.ts"
import * as ShutdownReportJson from "../layers/running/ShutdownReportJson.ts"
import { Lifecycle as LifecycleService, type Listen } from "../services/running/Lifecycle.ts"
import { Environment } from "../services/running/Environment.ts"
import { Output } from "../services/running/Output.ts"
import {
  defaults,
  InvalidSettings,
  Settings,
  type SettingsShape,
  shutdownBudget
} from "../services/running/Settings.ts"
import type { ShutdownReport } from "../services/running/ShutdownReport.ts"
import { ServeLayer } from "./serve.ts"

/** Slack for the steps between the phases; with the default limits the sum still fits the grace of 45 s. */
const betweenPhases = Duration.millis(250)

/** The problems of the environment, and those of `conduit.yaml` beside them: nobody wants to start twice to see all. */
const withProblemsOfFile = (wrong: InvalidSettings) =>
  Effect.gen(function* () {
    const { variables } = yield* Environment
    const configFile = Option.fromNullable(variables.get("CONDUIT_CONFIG"))
    // With simulated models the file may lack usable ones: here it counts what it says, not whether it suffices.
    const settings = { ...defaults, models: { ...defaults.models, configFile, simulate: Option.some(true) } }
    const file = yield* Layer.build(Layer.provide(ModelCatalogFile.layer, Layer.succeed(Settings, settings))).pipe(
      Effect.scoped,
      Effect.either
    )
    return Either.isRight(file) ? wrong : new InvalidSettings({ problems: [...wrong.problems, ...file.left.problems] })
  })

/** What is run: a service, the parent of several, or one of those. */
export interface Program {
  readonly application: Layer.Layer<never, { readonly message: string }, Layer.Layer.Context<typeof ServeLayer>>
  readonly report: Layer.Layer<ShutdownReport>
  /** What the whole shutdown may take beyond the sum of its phases. */
  readonly slack: Duration.Duration
  /** Where signals come from, if not from the system. */
  readonly signals?: Listen
  /** Another has said already what is odd about the settings. */
  readonly isTold?: boolean
}

export const serving: Program = { application: ServeLayer, report: ShutdownReportJson.layer, slack: betweenPhases }

/** What was given beside the environment, and counts before it. */
export type Stated = Readonly<Record<string, string>>

/** With `stated` over the environment. Runs a program until a signal, writes the report as the last line, and answers the exit code. */
export const run = (
  programOf: (settings: SettingsShape, stated: Stated) => Effect.Effect<Program>,
  stated: Stated,
  outputs: Layer.Layer<Output> = OutputStdio.layer
): Effect.Effect<number> =>
  Effect.gen(function* () {
    const environment = Layer.map(SettingsEnv.environment, (context) => {
      const { terminal, variables } = Context.get(context, Environment)
      return Context.make(Environment, { terminal, variables: new Map([...variables, ...Object.entries(stated)]) })
    })
    const read = yield* Effect.either(Effect.provide(Settings, Layer.provide(SettingsEnv.fromEnvironment, environment)))
    const output = yield* Output
    const settings = Either.getOrElse(read, () => ({
      ...defaults,
      log: { ...defaults.log, format: output.isTerminal ? ("pretty" as const) : ("json" as const) }
    }))
    const SettingsLayer = Layer.succeed(Settings, settings)
    const { application, isTold, report, signals, slack }: Program = Either.isRight(read)
      ? yield* programOf(settings, stated)
      : { ...serving, application: Layer.fail(yield* withProblemsOfFile(read.left).pipe(Effect.provide(environment))) }

    const serve = Effect.gen(function* () {
      if (isTold !== true) for (const warning of yield* SettingsEnv.warnings) yield* Effect.logWarning(warning)
      const lifecycle = yield* LifecycleService
      const report = yield* lifecycle.run(application.pipe(Layer.provide(SettingsLayer), Layer.provide(environment)))
      output.report(JSON.stringify(report))
      return report.exit_code
    })
    return yield* serve.pipe(
      Effect.provide(
        LoggerStdout.layer.pipe(
          Layer.provideMerge(
            Lifecycle.layer({
              shutdownTimeout: Duration.sum(shutdownBudget(settings.shutdown), slack),
              installSignalHandlers: true,
              reloadOnSighup: settings.models.reloadOnSighup,
              ...(signals === undefined ? {} : { signals })
            })
          ),
          Layer.provideMerge(report),
          Layer.provideMerge(Layer.mergeAll(SettingsLayer, environment, Layer.succeed(Output, output)))
        )
      )
    )
  }).pipe(Effect.provide(outputs))

/** One process serves by itself; the parent of several is loaded where there is one. */
const programOf = (settings: SettingsShape, stated: Stated): Effect.Effect<Program> =>
  settings.workers === 1
    ? Effect.succeed(serving)
    : Effect.map(
        Effect.promise(() => import("./workers.ts")),
        ({ parentOf }) => parentOf(settings, stated)
      )

/** What `LOG_LEVEL` calls the levels of the command line. */
const logLevels: Readonly<Record<LogLevel.LogLevel["_tag"], string>> = {
  All: "DEBUG",
  Trace: "DEBUG",
  Debug: "DEBUG",
  Info: "INFO",
  Warning: "WARNING",
  Error: "ERROR",
  Fatal: "ERROR",
  None: "ERROR"
}

/** `conduit serve` with what its command line says, which counts before the environment. */
export const startStating = ({
  logLevel,
  workers
}: {
  readonly logLevel?: LogLevel.LogLevel
  readonly workers?: string
}): Effect.Effect<number> =>
  run(programOf, {
    ...(logLevel === undefined ? {} : { LOG_LEVEL: logLevels[logLevel._tag] }),
    ...(workers === undefined ? {} : { CONDUIT_WORKERS: workers })
  })

/** `conduit serve`. */
export const start: Effect.Effect<number> = run(programOf, {})
