import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { durationText } from "../domain/basics/DurationText.ts"
import * as Telemetry from "../layers/observing/Telemetry.ts"
import * as ShutdownReportJson from "../layers/running/ShutdownReportJson.ts"
import * as WorkersForked from "../layers/running/WorkersForked.ts"
import * as PostgresEmbedded from "../layers/storage/postgres/PostgresEmbedded.ts"
import * as PostgresExternal from "../layers/storage/postgres/PostgresExternal.ts"
import { type SettingsShape, shutdownBudget } from "../services/running/Settings.ts"
import { PostgresServer } from "../services/storage/PostgresServer.ts"
import { type Program, run, type Stated } from "./start.ts"
import { ServeLayer } from "./serve.ts"

/** A worker's own limit comes first, then the parent's patience with it, then the parent's own limit. */
const slack = { worker: Duration.millis(150), workers: Duration.millis(300), parent: Duration.millis(450) }

/** What the workers are told of the database: where the parent has it, and that the parent needs some of the time to end it. */
const statedOf = (server: PostgresServer["Type"], { shutdown }: SettingsShape): Stated =>
  Option.isNone(server.end)
    ? {}
    : {
        DATABASE_URL: Redacted.value(server.url),
        CONDUIT_SHUTDOWN_CLOSE_TIMEOUT: durationText(PostgresEmbedded.poolsLimit(shutdown.closeTimeout))
      }

/** `conduit serve` with several workers: this process serves nobody, starts and replaces those that do, and tells of them all. */
export const parentOf = (settings: SettingsShape, stated: Stated): Program => {
  const { report, workers } = WorkersForked.layersOfParent()
  const Workers = Layer.unwrapEffect(
    Effect.map(PostgresServer, (server) =>
      workers({
        count: settings.workers,
        stated: { ...stated, ...statedOf(server, settings) },
        limit: Duration.sum(shutdownBudget(settings.shutdown), slack.workers),
        metrics: Telemetry.parentMetrics
      })
    )
  )
  return {
    application: Workers.pipe(
      Layer.provide(Option.isSome(settings.database.url) ? PostgresExternal.layer : PostgresEmbedded.layerForWorkers),
      Layer.provide(Telemetry.parentLayer)
    ),
    report,
    slack: slack.parent
  }
}

/** `conduit worker`, which only a parent starts: a whole service on the address of all. */
export const work: Effect.Effect<number> = Effect.gen(function* () {
  if (process.send === undefined) {
    yield* Effect.sync(() => process.stderr.write("conduit serve starts its workers itself: see --workers\n"))
    return 1
  }
  const { output, seat, signals, stated } = yield* WorkersForked.placed
  const program: Program = {
    application: Layer.provide(ServeLayer, seat),
    report: ShutdownReportJson.layer,
    slack: slack.worker,
    signals,
    isTold: true
  }
  return yield* run(() => Effect.succeed(program), stated, output)
})
