import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as DatabasePg from "../../src/layers/storage/postgres/DatabasePg.ts"
import * as ShutdownReportJson from "../../src/layers/running/ShutdownReportJson.ts"
import * as Telemetry from "../../src/layers/observing/Telemetry.ts"
import { PostgresServer } from "../../src/services/storage/PostgresServer.ts"
import { defaults, Settings } from "../../src/services/running/Settings.ts"

export const settingsWith = (options: {
  readonly url?: string
  readonly closeTimeoutMs?: number
  readonly connectDeadlineMs?: number
  readonly dataDirectory?: string
  readonly embedded?: "postgresql" | "pglite"
}) =>
  Layer.succeed(Settings, {
    ...defaults,
    database: {
      ...defaults.database,
      url: options.url === undefined ? Option.none() : Option.some(Redacted.make(options.url)),
      connectDeadline: Duration.millis(options.connectDeadlineMs ?? 10_000),
      dataDirectory: options.dataDirectory ?? defaults.database.dataDirectory,
      embedded: Option.fromNullable(options.embedded)
    },
    shutdown: { ...defaults.shutdown, closeTimeout: Duration.millis(options.closeTimeoutMs ?? 5_000) }
  })

/** `DatabasePg` over that URL, with the report as it is. */
export const databaseAt = (url: string, options: Omit<Parameters<typeof settingsWith>[0], "url"> = {}) =>
  DatabasePg.layer.pipe(
    Layer.provide(
      Layer.succeed(PostgresServer, {
        url: Redacted.make(url),
        poolSize: 5,
        isSingleSession: false,
        end: Option.none()
      })
    ),
    Layer.provideMerge(ShutdownReportJson.layer),
    Layer.provide(Layer.mergeAll(Telemetry.layer, settingsWith({ ...options, url })))
  )

/** A fresh database that is dropped with the layer. */
export const scopedUrl = (create: () => Promise<{ readonly url: string; readonly drop: () => Promise<void> }>) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(() => create()),
      ({ drop }) => Effect.promise(drop)
    ),
    ({ url }) => url
  )
