import { type ChildProcess, spawn } from "node:child_process"
import * as Http from "node:http"
import { createInterface } from "node:readline"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { Report } from "../../services/running/ShutdownReport.ts"

/** The rehearsal could not go on; the detail is for the checklist. */
export class SpareFailed extends Schema.TaggedError<SpareFailed>()("SpareFailed", { detail: Schema.String }) {
  override get message() {
    return this.detail
  }
}

/** A service of its own, as a child process of the same program. */
export interface Spare {
  /** Its address, once it is ready. */
  readonly ready: Effect.Effect<string, SpareFailed>
  readonly terminate: Effect.Effect<void>
  /** It has heard the signal. */
  readonly stopping: Effect.Effect<void, SpareFailed>
  /** It listens no more, and waits for what is open. */
  readonly draining: Effect.Effect<void, SpareFailed>
  readonly ended: Effect.Effect<{ readonly code: number | null; readonly report: Report | null }>
}

const decodeLine = Schema.decodeUnknownEither(
  Schema.parseJson(Schema.Struct({ message: Schema.String, url: Schema.optional(Schema.String) }))
)
const decodeReport = Schema.decodeUnknownEither(Schema.parseJson(Report))

const whyNot = (code: number | null, report: Report | null): SpareFailed =>
  new SpareFailed({
    detail: `the spare instance ended with ${code ?? "a signal"}${report === null ? "" : `: ${report.errors.map(({ message }) => message).join("; ")}`}`
  })

/** Killed with the scope, if it has not ended by then. */
export const spare = (environment: Readonly<Record<string, string>>): Effect.Effect<Spare, never, Scope.Scope> =>
  Effect.gen(function* () {
    const ready = yield* Deferred.make<string, SpareFailed>()
    const stopping = yield* Deferred.make<void, SpareFailed>()
    const draining = yield* Deferred.make<void, SpareFailed>()
    const ended = yield* Deferred.make<{ readonly code: number | null; readonly report: Report | null }>()

    const listen = (child: ChildProcess) => {
      let report: Report | null = null
      child.stderr?.resume()
      if (child.stdout !== null) {
        createInterface({ input: child.stdout }).on("line", (text) => {
          const line = decodeLine(text)
          report = Either.getOrElse(decodeReport(text), () => report)
          if (Either.isLeft(line)) return
          const { message, url } = line.right
          if (message === "ready" && url !== undefined) Deferred.unsafeDone(ready, Effect.succeed(url))
          if (message.startsWith("Starting graceful shutdown")) Deferred.unsafeDone(stopping, Effect.void)
          if (message.startsWith("Phase 1/3")) Deferred.unsafeDone(draining, Effect.void)
        })
      }
      const gone = (code: number | null) => {
        const failed = Effect.fail(whyNot(code, report))
        Deferred.unsafeDone(ready, failed)
        Deferred.unsafeDone(stopping, failed)
        Deferred.unsafeDone(draining, failed)
        Deferred.unsafeDone(ended, Effect.succeed({ code, report }))
      }
      child.once("error", () => gone(null))
      child.once("close", gone)
    }

    const child = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const program = [...process.execArgv, ...process.argv.slice(1, 2), "serve"]
        const started = spawn(process.execPath, program, { env: environment, stdio: ["ignore", "pipe", "pipe"] })
        listen(started)
        return started
      }),
      (started) =>
        Effect.zipRight(
          Effect.sync(() => started.kill("SIGKILL")),
          Effect.asVoid(Deferred.await(ended))
        )
    )
    return {
      ready: Deferred.await(ready),
      stopping: Deferred.await(stopping),
      draining: Deferred.await(draining),
      ended: Deferred.await(ended),
      terminate: Effect.sync(() => void child.kill("SIGTERM"))
    }
  })

/** A request whose body waits: it is in flight from the moment the service asks for the body until that was sent. */
export interface HeldRequest {
  readonly accepted: Effect.Effect<void, SpareFailed>
  readonly send: Effect.Effect<void>
  readonly status: Effect.Effect<number, SpareFailed>
}

/** `POST /v1/route` decides and calls no model, so a rehearsal costs nothing. */
export const heldRequest = (url: string, key: string): Effect.Effect<HeldRequest, never, Scope.Scope> =>
  Effect.gen(function* () {
    const accepted = yield* Deferred.make<void, SpareFailed>()
    const status = yield* Deferred.make<number, SpareFailed>()
    const body = JSON.stringify({ prompt: "conduit doctor --rehearse" })
    const outgoing = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const request = Http.request(`${url}/v1/route`, {
          method: "POST",
          agent: false,
          headers: {
            authorization: `Bearer ${key}`,
            "content-type": "application/json",
            "content-length": Buffer.byteLength(body),
            expect: "100-continue"
          }
        })
        request.once("continue", () => Deferred.unsafeDone(accepted, Effect.void))
        request.once("response", (response) => {
          response.resume()
          response.once("error", () => undefined)
          response.once("close", () => {
            const whole = response.complete
            Deferred.unsafeDone(
              status,
              whole
                ? Effect.succeed(response.statusCode ?? 0)
                : Effect.fail(new SpareFailed({ detail: "its answer was cut" }))
            )
          })
        })
        request.on("error", (error) => {
          const failed = Effect.fail(new SpareFailed({ detail: `a request to it was cut: ${error.message}` }))
          Deferred.unsafeDone(accepted, failed)
          Deferred.unsafeDone(status, failed)
        })
        return request
      }),
      (request) => Effect.sync(() => request.destroy())
    )
    return {
      accepted: Deferred.await(accepted),
      status: Deferred.await(status),
      send: Effect.sync(() => void outgoing.end(body))
    }
  })

/** The same at once; its status. */
export const routed = (url: string, key: string): Effect.Effect<number, SpareFailed, Scope.Scope> =>
  Effect.flatMap(heldRequest(url, key), ({ send, status }) => Effect.zipRight(send, status))
