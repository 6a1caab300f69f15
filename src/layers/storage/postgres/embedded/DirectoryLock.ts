import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs"
import { hostname } from "node:os"
import { EmbeddedPostgresError } from "../../../../services/storage/PostgresServer.ts"

/** Locks that this very process holds: its pid alone could also be that of a process before it, as in a container. */
const held = new Set<string>()

/** When the process began, in ticks since boot; tells a process from a later one with its pid. Null where unknown. */
const startOf = (pid: number): string | null => {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8")
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? null
  } catch {
    return null
  }
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM"
  }
}

const read = (file: string): string | null => {
  try {
    return fs.readFileSync(file, "utf8")
  } catch {
    return null
  }
}

/** How often the holder touches its lock. */
const beat = Duration.seconds(1)
/** A lock of a process that is not to be seen from here is stale when it was not touched for so long. */
const beats = 10

const readOr = (read: () => string): string => {
  try {
    return read()
  } catch {
    return ""
  }
}

/** Among which processes a number is one: those of this start of the system and of this container. Empty where unknown. */
const ownSpace = [
  readOr(() => fs.readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()),
  readOr(() => fs.readlinkSync("/proc/self/ns/pid"))
].join("/")

/** Who wrote a lock, as its one line says. */
interface Lock {
  readonly pid: number
  readonly start: string
  readonly space: string
  readonly host: string
}

const parse = (content: string): Lock | null => {
  const [pidText = "", start = "", space = ownSpace, host = ""] = content.trim().split(" ")
  const pid = Number(pidText)
  return Number.isInteger(pid) && pid > 0 ? { pid, start, space, host } : null
}

const isElsewhere = (lock: Lock | null): lock is Lock => lock !== null && lock.space !== ownSpace

/** The living process that holds the lock with that content, or null if it is stale, or of a process elsewhere. */
const holderOf = (file: string, content: string): number | null => {
  const lock = parse(content)
  if (lock === null || isElsewhere(lock)) return null
  const { pid, start } = lock
  if (pid === process.pid) return held.has(file) ? pid : null
  if (!isAlive(pid)) return null
  const started = startOf(pid)
  return started === null || start === "" || started === start ? pid : null
}

/** The living process that holds the lock; null if none of those that are to be seen from here does. */
export const lockHolder = (file: string): number | null => {
  const content = read(file)
  return content === null ? null : holderOf(file, content)
}

const touchedMs = (file: string): number | null => fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? null

/**
 * Who holds it in another container or on another machine, which share the folder: its number says nothing here, but a
 * living one touches the lock. Null if nobody does; that takes its time after an end that removed nothing.
 */
const holderElsewhere = (file: string): Effect.Effect<string | null> =>
  Effect.suspend(() => {
    const lock = parse(read(file) ?? "")
    if (!isElsewhere(lock)) return Effect.succeed(null)
    const who = `process ${lock.pid} of another container or machine (${lock.host})`
    const first = touchedMs(file)
    const isTouched = Effect.sync(() => touchedMs(file) !== first)
    return Effect.logInfo(`Looking for ${Duration.toSeconds(beat) * beats} s whether ${who} still uses ${file}`).pipe(
      Effect.zipRight(Effect.delay(isTouched, beat)),
      Effect.repeat({ until: (touched) => touched, times: beats - 1 }),
      Effect.map((touched) => (touched && fs.existsSync(file) ? who : null))
    )
  })

/** Who holds the lock, here or elsewhere, to be told to somebody; null if nobody does. */
export const lockUser = (file: string): Effect.Effect<string | null> =>
  Effect.suspend(() => {
    const holder = lockHolder(file)
    return holder === null ? holderElsewhere(file) : Effect.succeed(`process ${holder}`)
  })

const own = (): string => `${process.pid} ${startOf(process.pid) ?? ""} ${ownSpace} ${hostname()}\n`

/** Answers who holds it already, or null when it is ours. Created whole, by a link, so nobody reads half of it. */
const take = (file: string): number | null => {
  const written = `${file}.${process.pid}`
  fs.writeFileSync(written, own())
  try {
    for (let attempt = 0; attempt < 10; attempt++) {
      try {
        fs.linkSync(written, file)
        held.add(file)
        return null
      } catch (error) {
        if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error
      }
      const content = read(file)
      if (content === null) continue
      const holder = holderOf(file, content)
      if (holder !== null) return holder
      // Moved away rather than deleted: another starter may have replaced the stale lock by its own meanwhile.
      const stale = `${written}.stale`
      fs.renameSync(file, stale)
      if (read(stale) !== content) fs.linkSync(stale, file)
      fs.rmSync(stale, { force: true })
    }
    throw new Error("the lock file changes all the time")
  } finally {
    fs.rmSync(written, { force: true })
  }
}

/** Shows that the holder lives; says it once if another took the lock, as while this process stood still. */
const keep = (file: string): Effect.Effect<void> =>
  Effect.sync(() => {
    if (read(file) !== own()) return false
    const now = new Date()
    fs.utimesSync(file, now, now)
    return true
  }).pipe(
    Effect.catchAllDefect(() => Effect.succeed(true)),
    Effect.repeat({ while: (isOurs) => isOurs, schedule: Schedule.spaced(beat) }),
    Effect.zipRight(
      Effect.logError(`${file} is another process's now: two of them use one database, stop one of them at once`)
    )
  )

/** Makes the directory one process's. PGlite would not notice a second one, and lose what both acknowledged. */
export const lockDirectory = (
  directory: string,
  file: string
): Effect.Effect<void, EmbeddedPostgresError, Scope.Scope> =>
  Effect.gen(function* () {
    const elsewhere = yield* holderElsewhere(file)
    if (elsewhere !== null) {
      return yield* new EmbeddedPostgresError({ directory, reason: "in_use", detail: elsewhere })
    }
    yield* Effect.acquireRelease(
      Effect.try({
        try: () => take(file),
        catch: (error) => new EmbeddedPostgresError({ directory, reason: "failed", detail: String(error) })
      }).pipe(
        Effect.flatMap((holder) =>
          holder === null
            ? Effect.void
            : Effect.fail(new EmbeddedPostgresError({ directory, reason: "in_use", detail: `process ${holder}` }))
        )
      ),
      () =>
        Effect.sync(() => {
          held.delete(file)
          if (read(file) === own()) fs.rmSync(file, { force: true })
        })
    )
    yield* Effect.forkScoped(keep(file))
  })
