import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import * as HttpServe from "../../src/layers/api/HttpServe.ts"
import * as HttpSocketLayer from "../../src/layers/api/HttpSocket.ts"
import * as KeysShared from "../../src/layers/api/KeysShared.ts"
import * as DatabaseMemory from "../../src/layers/storage/memory/DatabaseMemory.ts"
import * as TelemetryOtlp from "../../src/layers/observing/TelemetryOtlp.ts"
import * as IdsCrypto from "../../src/layers/running/IdsCrypto.ts"
import * as InFlightLayer from "../../src/layers/running/InFlight.ts"
import { HttpSocket } from "../../src/services/api/HttpSocket.ts"
import { Telemetry } from "../../src/services/observing/Telemetry.ts"
import { Metering } from "../../src/services/routing/Metering.ts"
import { Router, type RouterShape } from "../../src/services/routing/Router.ts"
import { InFlight, type InFlightRequest } from "../../src/services/running/InFlight.ts"
import { defaults, Settings, type SettingsShape } from "../../src/services/running/Settings.ts"
import { fixedCatalog } from "./catalog.ts"
import { lifecycleWith } from "./lifecycle.ts"

export interface Answered {
  /** False for a stream whose connection was broken. */
  readonly complete: boolean
  readonly status: number
  readonly headers: Http.IncomingHttpHeaders
  readonly body: string
}

/** The API on its real socket, over a given router, and what it told its surroundings. */
export interface ServedApi {
  readonly port: number
  readonly ended: Array<{ readonly route: string; readonly method: string; readonly status: number }>
  /** Everything that was ever in flight, in order. */
  readonly begun: Array<InFlightRequest>
  /** What is in flight. */
  readonly inFlight: Context.Tag.Service<InFlight>
  /** What was logged as an error: the causes, printed. */
  readonly logged: Array<string>
  readonly ask: (
    method: string,
    path: string,
    options?: { readonly headers?: Record<string, string>; readonly body?: string | Buffer }
  ) => Effect.Effect<Answered>
  readonly post: (path: string, body: unknown, headers?: Record<string, string>) => Effect.Effect<Answered>
}

/** The real layer, whose requests are remembered. */
const rememberingInFlight = (begun: Array<InFlightRequest>) =>
  Layer.map(InFlightLayer.layer, (context) => {
    const real = Context.get(context, InFlight)
    return Context.make(InFlight, {
      ...real,
      begin: (request) => {
        const entry = real.begin(request)
        begun.push(entry)
        return entry
      }
    })
  })

export const serveApi = (
  router: RouterShape,
  http: Partial<SettingsShape["http"]> = {}
): Effect.Effect<ServedApi, never, Scope.Scope> =>
  Effect.gen(function* () {
    const ended: ServedApi["ended"] = []
    const begun: ServedApi["begun"] = []
    const logged: Array<string> = []
    const logger = Logger.make(({ cause, logLevel }) => {
      if (logLevel === LogLevel.Error) logged.push(Cause.pretty(cause))
    })
    const telemetry = Layer.succeed(Telemetry, {
      requestRefused: () => {},
      decided: () => {},
      called: () => {},
      settled: () => {},
      modelListRead: () => {},
      folded: () => {},
      dropped: () => {},
      logRewound: () => {},
      modelChanged: () => {},
      fallbackToStatic: () => {},
      feedbackAnswered: () => {},
      feedbackStored: () => {},
      feedbackExpired: () => {},
      signalled: () => undefined,
      verdictDropped: () => undefined,
      judgeTold: () => undefined,
      feedbackJoined: () => {},
      judged: () => {},
      gauge: () => Effect.void,
      counter: () => Effect.void,
      requestEnded: (route, method, status) => void ended.push({ route, method, status }),
      render: () => "conduit_requests_active 0\n",
      renderAll: Effect.succeed("conduit_requests_active 0\n")
    })
    const catalog = fixedCatalog({
      models: [],
      byId: new Map(),
      providers: new Map(),
      aliases: [],
      policy: { algorithm: "auto", preference: "balanced" },
      costReferenceUsd: 0.001,
      source: "test",
      shippedPrice: () => null,
      notices: []
    })
    const served = HttpServe.layer.pipe(
      Layer.provide(Layer.provide(KeysShared.layer, DatabaseMemory.layer)),
      Layer.provide(Layer.succeed(Metering, { of: () => null, budgets: () => Effect.succeed([]) })),
      Layer.provideMerge(HttpSocketLayer.layer),
      Layer.provideMerge(rememberingInFlight(begun)),
      Layer.provide(lifecycleWith({ shutdownTimeout: "5 seconds" })),
      Layer.provide(Layer.mergeAll(Layer.succeed(Router, router), catalog, TelemetryOtlp.layer)),
      Layer.provide(IdsCrypto.layer),
      Layer.provide(telemetry),
      Layer.provide(
        Layer.succeed(Settings, {
          ...defaults,
          http: { ...defaults.http, host: "127.0.0.1", port: 0, ...http },
          shutdown: { ...defaults.shutdown, settle: Duration.zero, drainTimeout: Duration.seconds(1) }
        })
      ),
      Layer.provide(Logger.replace(Logger.defaultLogger, logger))
    )
    const context = yield* Effect.orDie(Layer.build(served))
    const port = Number(new URL(Context.get(context, HttpSocket).url).port)
    const inFlight = Context.get(context, InFlight)

    const ask: ServedApi["ask"] = (method, path, { body, headers } = {}) =>
      Effect.async<Answered>((resume) => {
        const request = Http.request({ port, host: "127.0.0.1", method, path, headers: headers ?? {} }, (response) => {
          const chunks: Array<Buffer> = []
          response.on("data", (chunk: Buffer) => chunks.push(chunk))
          const answered = () =>
            resume(
              Effect.succeed({
                status: response.statusCode ?? 0,
                headers: response.headers,
                body: Buffer.concat(chunks).toString("utf8"),
                complete: response.complete
              })
            )
          response.on("end", answered)
          response.on("error", (error) => {
            // A broken stream ends so.
            if (response.headers["content-type"]?.startsWith("text/event-stream") === true) answered()
            else resume(Effect.die(error))
          })
        })
        request.on("error", (error) => resume(Effect.die(error)))
        request.end(body)
        return Effect.sync(() => request.destroy())
      })
    const post: ServedApi["post"] = (path, body, headers) =>
      ask("POST", path, {
        headers: { "content-type": "application/json", ...headers },
        body: typeof body === "string" || Buffer.isBuffer(body) ? body : JSON.stringify(body)
      })
    return { port, ended, begun, inFlight, logged, ask, post }
  })
