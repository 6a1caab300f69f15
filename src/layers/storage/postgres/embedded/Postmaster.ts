import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import type { EmbeddedPostgresError } from "../../../../services/storage/PostgresServer.ts"
import { type Cluster, dataArgument, environment, failed, hasProc, onDisk } from "./Cluster.ts"

/** The server of a folder, as its `postmaster.pid` tells it. */
export interface Postmaster {
  readonly pid: number
  readonly port: number
  /** It accepts connections. */
  readonly isReady: boolean
}

const pollInterval = Duration.millis(10)
/** A recovery after a crash can take long. */
const startLimit = Duration.minutes(2)
/** For a server that a killed process left, and for what is left of a killed server. */
const remainsLimit = Duration.seconds(10)
const quitLimit = Duration.millis(300)
const maxLogBytes = 1024 * 1024

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
    log_checkpoints: "off"
  }).flatMap(([name, value]) => ["-c", `${name}=${value}`])

const pidFile = (directory: string) => path.join(directory, "postmaster.pid")

/** The living server of that folder; null if there is none. */
export const postmasterOf = (directory: string): Postmaster | null => {
  let lines: ReadonlyArray<string>
  try {
    lines = fs.readFileSync(pidFile(directory), "utf8").split("\n")
  } catch {
    return null
  }
  const [pid, port] = [Number(lines[0]), Number(lines[3])]
  return isServerOf(pid, directory) ? { pid, port, isReady: lines[7]?.trim() === "ready" } : null
}

/** Whether that process runs in the folder: its number alone could be another one's, as after a restart of a container. */
const isServerOf = (pid: number, directory: string): boolean => {
  if (!Number.isInteger(pid) || pid <= 1) return false
  try {
    if (hasProc) return fs.readlinkSync(`/proc/${pid}/cwd`) === fs.realpathSync(directory)
  } catch {
    return false
  }
  const { stdout } = spawnSync("ps", ["-ww", "-o", "command=", "-p", String(pid)], { encoding: "utf8" })
  return stdout.includes(dataArgument(directory))
}

/** The server takes the life of the process that its file names for its own, and would not start. */
const forgetAnother = (directory: string): void => {
  const file = pidFile(directory)
  if (postmasterOf(directory) !== null || !fs.existsSync(file)) return
  const pid = Number.parseInt(fs.readFileSync(file, "utf8"), 10)
  if (pid > 1 && signal(pid, 0)) fs.rmSync(file, { force: true })
}

/** Whether it was there to hear it. */
const signal = (pid: number, name: NodeJS.Signals | 0): boolean => {
  try {
    return process.kill(pid, name)
  } catch {
    return false
  }
}

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

/** What the server says; begun anew when it has grown. */
const openLog = (directory: string) => {
  const file = path.join(path.dirname(directory), "postgresql.log")
  const size = fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0
  const isFull = size > maxLogBytes
  if (isFull) fs.renameSync(file, `${file}.old`)
  return { file, from: isFull ? 0 : size, descriptor: fs.openSync(file, "a", 0o600) }
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
    const { directory } = cluster
    yield* stopLeft(directory)
    let current: Child | null = null
    // However this process exits, it takes the server along; only a kill leaves it.
    const atExit = () => void (current !== null && signal(current.pid, "SIGINT"))
    const end = (limit: Duration.Duration) =>
      Effect.suspend(() => {
        const child = current
        current = null
        return child === null ? Effect.void : stop(child.pid, child.ended, limit)
      })
    yield* Effect.acquireRelease(
      Effect.sync(() => process.on("exit", atExit)),
      () =>
        Effect.ensuring(
          end(endLimit),
          Effect.sync(() => process.off("exit", atExit))
        )
    )

    const start = (port: number) =>
      Effect.gen(function* () {
        const child = yield* Effect.tap(spawnServer(cluster, port, connections), (child) =>
          Effect.sync(() => (current = child))
        ).pipe(Effect.uninterruptible)
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

    const { child, port } = yield* Effect.flatMap(freePort, start).pipe(
      Effect.retry({
        while: (error) => passes.test(error.detail),
        schedule: Schedule.spaced(Duration.millis(200)).pipe(Schedule.upTo(remainsLimit))
      })
    )
    const watch = (child: Child): Effect.Effect<never> =>
      child.ended.pipe(
        Effect.zipRight(Effect.logWarning("The embedded PostgreSQL ended by itself: starting it again")),
        Effect.zipRight(Effect.retry(start(port), Schedule.spaced(Duration.seconds(1)))),
        Effect.tap(() => Effect.logInfo("The embedded PostgreSQL runs again")),
        Effect.orDie,
        Effect.flatMap((started) => watch(started.child))
      )
    const watching = yield* Effect.forkScoped(watch(child))
    return { port, end: (limit) => Effect.zipRight(Fiber.interrupt(watching), end(limit)) }
  })
