import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { createRequire } from "node:module"
import * as Worker from "node:worker_threads"
import type { EmbeddedPostgresError } from "../../../../services/storage/PostgresServer.ts"
import { failed } from "./Cluster.ts"

const startLimit = Duration.minutes(2)
/** Connections that the socket takes: the pools of a start and of an end. Only one of them is ever at work. */
const maxConnections = 16

// Text, because a worker must start from sources, from the build and from a bundle alike. A worker thread hears no
// signals, so the database goes on until it is told to stop.
const source = `
const { parentPort, workerData } = require("node:worker_threads")
const { PGlite } = require(workerData.pglite)
const { PGLiteSocketServer } = require(workerData.socket)
const start = async () => {
  const db = await PGlite.create({ dataDir: workerData.directory })
  const server = new PGLiteSocketServer({ db, host: "127.0.0.1", port: 0, maxConnections: workerData.maxConnections })
  await server.start()
  parentPort.on("message", async () => {
    await server.stop()
    await db.close()
    process.exit(0)
  })
  parentPort.postMessage({ address: server.getServerConn() })
}
start().catch((error) => {
  parentPort.postMessage({ failure: String(error && error.message || error) })
  process.exit(1)
})
`

/** A thread that serves the PostgreSQL in `directory` and tells its address, or why it could not, in its first message. */
const startWorker = (directory: string): Worker.Worker => {
  const { resolve } = createRequire(import.meta.url)
  return new Worker.Worker(source, {
    eval: true,
    workerData: {
      directory,
      maxConnections,
      pglite: resolve("@electric-sql/pglite"),
      socket: resolve("@electric-sql/pglite-socket")
    }
  })
}

/** PGlite on the files in `directory`. */
export interface Pglite {
  readonly url: string
  readonly end: (limit: Duration.Duration) => Effect.Effect<void>
}

/**
 * PostgreSQL as WebAssembly, in a thread of this process, until the scope closes, which gives it `endLimit`. It has one
 * session, in which the statements of all its connections meet: whoever uses it has one connection at a time.
 */
export const serve = (
  directory: string,
  endLimit: Duration.Duration
): Effect.Effect<Pglite, EmbeddedPostgresError, Scope.Scope> =>
  Effect.gen(function* () {
    const thread = yield* Effect.acquireRelease(
      Effect.sync(() => ({ worker: startWorker(directory), isReady: false })),
      // One that is cut at its start has nothing to close, and would hear of it only after the start.
      ({ isReady, worker }) => (isReady ? stop(worker, endLimit) : Effect.promise(() => worker.terminate()))
    )
    const { worker } = thread
    const address = yield* Effect.async<string, EmbeddedPostgresError>((resume) => {
      const fail = (detail: string) => resume(Effect.fail(failed(directory, detail)))
      worker.once("message", (message: { readonly address?: string; readonly failure?: string }) => {
        if (message.address === undefined) return fail(message.failure ?? "no address")
        thread.isReady = true
        resume(Effect.succeed(message.address))
      })
      worker.on("error", (error) => fail(String(error)))
      worker.once("exit", (code) => fail(`its thread ended with code ${code}`))
    }).pipe(
      Effect.timeoutFail({
        duration: startLimit,
        onTimeout: () => failed(directory, `it took more than ${Duration.toSeconds(startLimit)} s`)
      })
    )
    return {
      url: `postgres://postgres:postgres@${address}/postgres?sslmode=disable`,
      end: (limit) => stop(worker, limit)
    }
  })

const stop = (worker: Worker.Worker, limit: Duration.Duration): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    if (worker.threadId === -1) return resume(Effect.void)
    worker.once("exit", () => resume(Effect.void))
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    worker.postMessage("stop")
  }).pipe(
    Effect.disconnect,
    Effect.interruptible,
    Effect.timeoutOption(limit),
    Effect.zipRight(Effect.promise(() => worker.terminate())),
    Effect.asVoid
  )
