import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs"
import * as path from "node:path"
import type { Worker } from "node:worker_threads"
import { EmbeddedPostgresError, PostgresServer } from "../../../services/storage/PostgresServer.ts"
import { Settings } from "../../../services/running/Settings.ts"
import { lockDirectory, lockHolder } from "./embedded/DirectoryLock.ts"
import { startWorker } from "./embedded/Worker.ts"

const startLimit = Duration.minutes(2)
const stopLimit = Duration.seconds(2)
/** One backend serves all connections, in turn. */
const poolSize = 4

/** Whether a database was made in that folder. */
export const isThere = (dataDirectory: string): boolean =>
  fs.existsSync(path.join(path.resolve(dataDirectory), "postgres", "PG_VERSION"))

const lockOf = (folder: string) => path.join(folder, "postgres.lock")

/** The process that uses the database in that folder; null if none does. */
export const userOf = (dataDirectory: string): number | null => lockHolder(lockOf(path.resolve(dataDirectory)))

export const layer: Layer.Layer<PostgresServer, EmbeddedPostgresError, Settings> = Layer.scoped(
  PostgresServer,
  Effect.gen(function* () {
    const { database } = yield* Settings
    const folder = path.resolve(database.dataDirectory)
    const directory = path.join(folder, "postgres")
    const creating = path.join(folder, "postgres.creating")
    const onDisk = <A>(work: () => A) =>
      Effect.try({
        try: work,
        catch: (error) => new EmbeddedPostgresError({ directory, reason: "failed", detail: String(error) })
      })

    yield* onDisk(() => fs.mkdirSync(folder, { recursive: true, mode: 0o700 }))
    yield* lockDirectory(directory, lockOf(folder))
    yield* Effect.logWarning(
      "Using the embedded PostgreSQL, which is for development: one process, about 0.4 GB of memory; set DATABASE_URL to use another"
    )
    const isNew = yield* onDisk(() => {
      // A first start that was cut leaves half a database, in which nothing was ever stored.
      if (fs.existsSync(creating)) fs.rmSync(directory, { recursive: true, force: true })
      if (fs.existsSync(path.join(directory, "PG_VERSION"))) return false
      fs.writeFileSync(creating, "")
      return true
    })
    if (isNew) yield* Effect.logInfo(`creating the embedded database in ${directory} (first start, a few seconds)`)
    const address = yield* serve(directory)
    yield* onDisk(() => fs.rmSync(creating, { force: true }))
    return PostgresServer.of({
      url: Redacted.make(`postgres://postgres:postgres@${address}/postgres?sslmode=disable`),
      embedded: true,
      poolSize
    })
  })
)

/** Runs the worker until the scope closes, which is after the pool closed, and answers its host and port. */
const serve = (directory: string): Effect.Effect<string, EmbeddedPostgresError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => ({ worker: startWorker(directory), isReady: false })),
    // One that is cut at its start has nothing to close, and would hear of it only after the start.
    ({ isReady, worker }) => (isReady ? stop(worker) : Effect.promise(() => worker.terminate()))
  ).pipe(
    Effect.flatMap((thread) =>
      Effect.async<string, EmbeddedPostgresError>((resume) => {
        const { worker } = thread
        const failed = (detail: string) =>
          resume(Effect.fail(new EmbeddedPostgresError({ directory, reason: "failed", detail })))
        worker.once("message", (message: { readonly address?: string; readonly failure?: string }) => {
          if (message.address === undefined) return failed(message.failure ?? "no address")
          thread.isReady = true
          resume(Effect.succeed(message.address))
        })
        worker.on("error", (error) => failed(String(error)))
        worker.once("exit", (code) => failed(`its thread ended with code ${code}`))
      })
    ),
    Effect.timeoutFail({
      duration: startLimit,
      onTimeout: () =>
        new EmbeddedPostgresError({ directory, reason: "failed", detail: "it took more than two minutes" })
    })
  )

const stop = (worker: Worker): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    if (worker.threadId === -1) return resume(Effect.void)
    worker.once("exit", () => resume(Effect.void))
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    worker.postMessage("stop")
  }).pipe(
    Effect.disconnect,
    Effect.interruptible,
    Effect.timeoutOption(stopLimit),
    Effect.zipRight(Effect.promise(() => worker.terminate())),
    Effect.asVoid
  )
