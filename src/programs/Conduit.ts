import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Lifecycle from "../layers/running/Lifecycle.ts"
import * as OutputStdio from "../layers/running/OutputStdio.ts"
import * as SettingsEnv from "../layers/running/SettingsEnv.ts"
import * as ShutdownReportJson from "../layers/running/ShutdownReportJson.ts"
import type { Database } from "../services/storage/Database.ts"
import type { HttpSocket } from "../services/api/HttpSocket.ts"
import { Lifecycle as LifecycleService } from "../services/running/Lifecycle.ts"
import type { Router } from "../services/routing/Router.ts"
import { Settings, shutdownBudget } from "../services/running/Settings.ts"
import { ServiceFailure } from "../services/running/ShutdownReport.ts"
import { Configured, type OwnParts, serveWith, ServeLayer } from "./serve.ts"

/** What an embedder gets: the router itself, the address, and the way to stop. */
export type Conduit = HttpSocket | LifecycleService | Router

const embedded = <E>(
  service: Layer.Layer<HttpSocket | Router, E, Layer.Layer.Context<typeof ServeLayer>>
): Layer.Layer<Conduit, ServiceFailure, Settings> =>
  Layer.unwrapEffect(
    Effect.map(Settings, (settings) => {
      const lifecycle = Lifecycle.layer({
        shutdownTimeout: shutdownBudget(settings.shutdown),
        installSignalHandlers: false
      })
      return Layer.scopedContext(
        Effect.gen(function* () {
          const lifecycle = yield* LifecycleService
          const built = yield* Deferred.make<Context.Context<HttpSocket | Router>>()
          const running = yield* Effect.forkDaemon(
            lifecycle.run(Layer.tap(service, (context) => Deferred.succeed(built, context)))
          )
          // The host's scope ends the service by the same path as a signal does; the host goes on.
          yield* Effect.addFinalizer(() => lifecycle.shutdown)
          const context = yield* Effect.raceFirst(
            Deferred.await(built),
            Effect.flatMap(Fiber.join(running), (report) =>
              Effect.fail(new ServiceFailure({ detail: report.errors.map((error) => error.message).join("; ") }))
            )
          )
          return Context.add(context, LifecycleService, lifecycle)
        })
      ).pipe(
        Layer.provide(lifecycle),
        Layer.provide(ShutdownReportJson.layer),
        Layer.provide(Layer.merge(OutputStdio.layer, SettingsEnv.environment))
      )
    })
  )

/** The complete HTTP application with its lifecycle: no signal handlers, and it never ends its host. */
export const layer: Layer.Layer<Conduit, ServiceFailure, Settings> = embedded(ServeLayer)

/**
 * The same with other parts: another database, such as `DatabaseMemory.layer` in tests, models that a function calls, an
 * algorithm of one's own. What is not named is as in `layer`.
 */
export const layerWith = <E = never>(
  parts: OwnParts & { readonly database?: Layer.Layer<Database, E, Settings> }
): Layer.Layer<Conduit, ServiceFailure, Settings> =>
  parts.database === undefined ? embedded(serveWith(Configured, parts)) : embedded(serveWith(parts.database, parts))
