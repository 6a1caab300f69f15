import * as HttpMiddleware from "@effect/platform/HttpMiddleware"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import type * as Scope from "effect/Scope"
import { randomBytes } from "node:crypto"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import { uuidV7From } from "../../src/domain/basics/Ids.ts"
import { app } from "../../src/layers/api/App.ts"
import { attach } from "../../src/layers/api/RequestContext.ts"
import * as TelemetryOtlp from "../../src/layers/observing/TelemetryOtlp.ts"
import { Ids } from "../../src/services/running/Ids.ts"
import type { InFlightRequest } from "../../src/services/running/InFlight.ts"
import { Router, type RouterShape } from "../../src/services/routing/Router.ts"
import { defaults, Settings, type SettingsShape } from "../../src/services/running/Settings.ts"
import { Telemetry } from "../../src/services/observing/Telemetry.ts"
import { fixedCatalog } from "./catalog.ts"

export interface Answered {
  readonly status: number
  readonly headers: Http.IncomingHttpHeaders
  readonly body: string
}

/** The API on a real socket, and what it told its surroundings. */
export interface ServedApi {
  readonly port: number
  readonly ended: Array<{ readonly route: string; readonly method: string; readonly status: number }>
  readonly inFlight: Array<InFlightRequest & { interrupt: () => void }>
  /** What was logged as an error: the causes, printed. */
  readonly logged: Array<string>
  readonly served: Array<Parameters<InFlightRequest["servedBy"]>[0]>
  readonly ask: (
    method: string,
    path: string,
    options?: { readonly headers?: Record<string, string>; readonly body?: string | Buffer }
  ) => Effect.Effect<Answered>
  readonly post: (path: string, body: unknown, headers?: Record<string, string>) => Effect.Effect<Answered>
}

export const serveApi = (
  router: RouterShape,
  http: Partial<SettingsShape["http"]> = {}
): Effect.Effect<ServedApi, never, Scope.Scope> =>
  Effect.gen(function* () {
    const ended: ServedApi["ended"] = []
    const inFlight: ServedApi["inFlight"] = []
    const served: ServedApi["served"] = []
    const logged: Array<string> = []
    const logger = Logger.make(({ cause, logLevel }) => {
      if (logLevel === LogLevel.Error) logged.push(Cause.pretty(cause))
    })
    const services = Layer.mergeAll(
      Logger.replace(Logger.defaultLogger, logger),
      Layer.succeed(Router, router),
      Layer.provideMerge(
        TelemetryOtlp.layer,
        Layer.succeed(Settings, { ...defaults, http: { ...defaults.http, ...http } })
      ),
      Layer.succeed(Ids, { uuidV7: (millis) => uuidV7From(millis, randomBytes(10)) }),
      fixedCatalog({
        models: [],
        byId: new Map(),
        providers: new Map(),
        policy: { algorithm: "auto", preference: "balanced" },
        costReferenceUsd: 0.001,
        notices: []
      }),
      Layer.succeed(Telemetry, {
        requestStarted: () => {},
        requestRefused: () => {},
        decided: () => {},
        called: () => {},
        settled: () => {},
        folded: () => {},
        dropped: () => {},
        fallbackToStatic: () => {},
        feedbackAnswered: () => {},
        feedbackStored: () => {},
        feedbackJoined: () => {},
        judged: () => {},
        gauge: () => Effect.void,
        counter: () => Effect.void,
        requestEnded: (route, method, status) => void ended.push({ route, method, status }),
        render: () => "conduit_requests_active 0\n"
      })
    )
    const handler = yield* Effect.flatMap(app, NodeHttpServer.makeHandler).pipe(
      Effect.locally(HttpMiddleware.currentTracerDisabledWhen, () => true),
      Effect.provide(services)
    )
    const server = Http.createServer((request, response) => {
      const fibers: ServedApi["served"] = []
      const entry = {
        id: "",
        route: "",
        startedAtMillis: Date.now(),
        model: null,
        interrupted: false,
        servedBy: (fiber: ServedApi["served"][number]) => {
          fibers.push(fiber)
          served.push(fiber)
        },
        closed: () => {},
        interrupt: () => {
          entry.interrupted = true
          for (const fiber of fibers) fiber.unsafeInterruptAsFork(fiber.id())
        }
      }
      inFlight.push(entry)
      attach(request, entry)
      handler(request, response)
    })
    yield* Effect.acquireRelease(
      Effect.async<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
      () =>
        Effect.async<void>((resume) => {
          server.close(() => resume(Effect.void))
          server.closeAllConnections()
        })
    )
    // oxlint-disable-next-line typescript/consistent-type-assertions -- a listening TCP server has this address
    const { port } = server.address() as AddressInfo

    const ask: ServedApi["ask"] = (method, path, { body, headers } = {}) =>
      Effect.async<Answered>((resume) => {
        const request = Http.request({ port, host: "127.0.0.1", method, path, headers: headers ?? {} }, (response) => {
          const chunks: Array<Buffer> = []
          response.on("data", (chunk: Buffer) => chunks.push(chunk))
          response.on("end", () =>
            resume(
              Effect.succeed({
                status: response.statusCode ?? 0,
                headers: response.headers,
                body: Buffer.concat(chunks).toString("utf8")
              })
            )
          )
          response.on("error", (error) => resume(Effect.die(error)))
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
    return { port, ended, inFlight, logged, served, ask, post }
  })
