import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import type { EmbeddedPostgresError } from "../../../../services/storage/PostgresServer.ts"
import { type Cluster, dataArgument, environment, failed, onDisk } from "./Cluster.ts"
import { forgetAnother, isServerOf, postmasterOf, signal } from "./PidFile.ts"

const pollInterval = Duration.millis(10)
/** A recovery after a crash can take long. */
const startLimit = Duration.minutes(2)
/** For a server that a killed process left, and for what is left of a killed server. */
const remainsLimit = Duration.seconds(10)
const quitLimit = Duration.millis(300)
const maxLogBytes = 1024 * 1024
const logInterval = Duration.minutes(1)

/** Small, because it serves one service: processes and memory that only larger ones need are left out. */
const settings = (port: number, connections: number): ReadonlyArray<string> =>
  Object.entries({
    listen_addresses: "127.0.0.1",
    port,
    unix_socket_directories: "",
    max_connections: connections,
    shared_buffers: "32MB",
    max_wal_size: "256MB",
    wal_level: "minimal",
    max_wal_senders: 0,
    max_logical_replication_workers: 0,
    max_parallel_workers: 0,
    max_parallel_workers_per_gather: 0,
    jit: "off",
    log_checkpoints: "off",
    // What users stored stays out of its log.
    log_min_error_statement: "panic",
    log_error_verbosity: "terse"
  }).flatMap(([name, value]) => ["-c", `${name}=${value}`])

/** Waits until `look` is true. */
export const until = (look: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => (look() ? Effect.void : Effect.zipRight(Effect.sleep(pollInterval), until(look))))

/** Also in a finalizer, which runs uninterruptibly. */
const within = <A, E>(effect: Effect.Effect<A, E>, limit: Duration.Duration): Effect.Effect<Option.Option<A>, E> =>
  effect.pipe(Effect.disconnect, Effect.interruptible, Effect.timeoutOption(limit))

/** Fast: transactions are rolled back, what was committed is on disk. Past the limit at once: the next start repairs. */
const stop = (pid: number, ended: Effect.Effect<void>, limit: Duration.Duration): Effect.Effect<void> =>
  Effect.gen(function* () {
    signal(pid, "SIGCONT")
    signal(pid, "SIGINT")
    if (Option.isSome(yield* within(ended, limit))) return
    yield* Effect.logInfo(
      "The embedded PostgreSQL did not stop in time: it is cut, and repairs itself at its next start"
    )
    signal(pid, "SIGQUIT")
    if (Option.isSome(yield* within(ended, quitLimit))) return
    signal(pid, "SIGKILL")
    yield* within(ended, quitLimit)
  })

/** Ends the server that a killed process left running in that folder. */
export const stopLeft = (directory: string): Effect.Effect<void> =>
  Effect.suspend(() => {
    const left = postmasterOf(directory)
    if (left === null) return Effect.void
    const ended = until(() => !isServerOf(left.pid, directory))
    return Effect.zipRight(
      Effect.logInfo(`Stopping the embedded PostgreSQL that a killed process left running (process ${left.pid})`),
      stop(left.pid, ended, remainsLimit)
    )
  })

/** One of 127.0.0.1 that nobody listens on now. */
const freePort: Effect.Effect<number> = Effect.async<number>((resume) => {
  const server = net.createServer()
  server.listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() => resume(Effect.succeed(address !== null && typeof address === "object" ? address.port : 0)))
  })
})

const logOf = (directory: string) => path.join(path.dirname(directory), "postgresql.log")

/** What the server says. */
const openLog = (directory: string) => {
  const file = logOf(directory)
  const descriptor = fs.openSync(file, "a", 0o600)
  return { file, from: fs.fstatSync(descriptor).size, descriptor }
}

/** The server appends, so its next line is the first one then. */
const emptyFullLog = (directory: string): void => {
  const file = logOf(directory)
  if ((fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0) > maxLogBytes) fs.truncateSync(file)
}

const saidIn = (log: ReturnType<typeof openLog>): string =>
  fs.readFileSync(log.file).subarray(log.from).toString("utf8").slice(-2_000).trim()

interface Child {
  readonly pid: number
  readonly ended: Effect.Effect<void>
  readonly said: () => string
}

const spawnServer = (
  { account, binaries, directory }: Cluster,
  port: number,
  connections: number
): Effect.Effect<Child, EmbeddedPostgresError> =>
  Effect.gen(function* () {
    const ended = yield* Deferred.make<void>()
    const { log, pid } = yield* onDisk(directory, () => {
      forgetAnother(directory)
      const log = openLog(directory)
      const child = spawn(binaries.postgres, ["-D", dataArgument(directory), ...settings(port, connections)], {
        ...account,
        cwd: directory,
        env: environment,
        // A session of its own: a Ctrl-C in the terminal is this process's to hear, which has still much to store.
        detached: true,
        stdio: ["ignore", log.descriptor, log.descriptor]
      })
      fs.closeSync(log.descriptor)
      child.unref()
      const isEnded = () => Deferred.unsafeDone(ended, Exit.void)
      child.once("error", isEnded)
      child.once("exit", isEnded)
      return { log, pid: child.pid }
    })
    if (pid === undefined) return yield* failed(directory, `${binaries.postgres} cannot be run`)
    return { pid, ended: Deferred.await(ended), said: () => saidIn(log) }
  })

/** The server that runs now. However this process exits, it takes the server along; only a kill leaves it. */
interface Holder {
  readonly hold: (child: Child) => void
  readonly end: (limit: Duration.Duration) => Effect.Effect<void>
}

const makeHolder = (endLimit: Duration.Duration): Effect.Effect<Holder, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      let current: Child | null = null
      const atExit = () => void (current !== null && signal(current.pid, "SIGINT"))
      process.on("exit", atExit)
      return {
        hold: (child: Child) => {
          current = child
        },
        end: (limit: Duration.Duration) =>
          Effect.suspend(() => {
            const child = current
            current = null
            return child === null ? Effect.void : stop(child.pid, child.ended, limit)
          }),
        forget: () => process.off("exit", atExit)
      }
    }),
    ({ end, forget }) => Effect.ensuring(end(endLimit), Effect.sync(forget))
  )

/** Starts the server, and waits until it accepts connections. */
const start = (cluster: Cluster, { end, hold }: Holder, connections: number, port: number) =>
  Effect.gen(function* () {
    const { directory } = cluster
    const child = yield* spawnServer(cluster, port, connections).pipe(
      Effect.tap((child) => Effect.sync(() => hold(child))),
      Effect.uninterruptible
    )
    const isUp = yield* within(
      until(() => postmasterOf(directory)?.isReady === true).pipe(
        Effect.as(true),
        Effect.raceFirst(Effect.as(child.ended, false))
      ),
      startLimit
    )
    if (Option.isNone(isUp)) {
      yield* end(Duration.zero)
      return yield* failed(directory, `it took more than ${Duration.toSeconds(startLimit)} s`)
    }
    if (!isUp.value) return yield* failed(directory, child.said())
    return { child, port }
  })

/** What ends by itself after a moment: another's port, and what is left of a server that was killed. */
const passes = /Address already in use|shared memory block .* is still in use|lock file .* already exists/

/** A server that runs until it is told to end. */
export interface Running {
  readonly port: number
  /** Ends it: gracefully within the limit, or else at once, which its next start repairs. */
  readonly end: (limit: Duration.Duration) => Effect.Effect<void>
}

/**
 * The server of that folder until the scope closes, which gives it `endLimit`. One that ends by itself is started again,
 * at the same port.
 */
export const serve = (
  cluster: Cluster,
  connections: number,
  endLimit: Duration.Duration
): Effect.Effect<Running, EmbeddedPostgresError, Scope.Scope> =>
  Effect.gen(function* () {
    yield* stopLeft(cluster.directory)
    const holder = yield* makeHolder(endLimit)
    const { child, port } = yield* Effect.flatMap(freePort, (port) => start(cluster, holder, connections, port)).pipe(
      Effect.retry({
        while: (error) => passes.test(error.detail),
        schedule: Schedule.spaced(Duration.millis(200)).pipe(Schedule.upTo(remainsLimit))
      })
    )
    const again = Effect.retry(start(cluster, holder, connections, port), Schedule.spaced(Duration.seconds(1)))
    const watch = (child: Child): Effect.Effect<never> =>
      child.ended.pipe(
        Effect.zipRight(Effect.logWarning("The embedded PostgreSQL ended by itself: starting it again")),
        Effect.zipRight(Effect.orDie(again)),
        Effect.tap(() => Effect.logInfo("The embedded PostgreSQL runs again")),
        Effect.flatMap((started) => watch(started.child))
      )
    const watching = yield* Effect.forkScoped(watch(child))
    yield* onDisk(cluster.directory, () => emptyFullLog(cluster.directory)).pipe(
      Effect.ignore,
      Effect.zipRight(Effect.sleep(logInterval)),
      Effect.forever,
      Effect.forkScoped
    )
    return { port, end: (limit) => Effect.zipRight(Fiber.interrupt(watching), holder.end(limit)) }
  })
