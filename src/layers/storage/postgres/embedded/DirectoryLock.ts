import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs"
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

/** The living process that holds the lock with that content, or null if it is stale. */
const holderOf = (file: string, content: string): number | null => {
  const [pidText = "", start = ""] = content.trim().split(" ")
  const pid = Number(pidText)
  if (!Number.isInteger(pid) || pid <= 0) return null
  if (pid === process.pid) return held.has(file) ? pid : null
  if (!isAlive(pid)) return null
  const started = startOf(pid)
  return started === null || start === "" || started === start ? pid : null
}

/** The living process that holds the lock; null if none does. */
export const lockHolder = (file: string): number | null => {
  const content = read(file)
  return content === null ? null : holderOf(file, content)
}

/** Answers who holds it already, or null when it is ours. Created whole, by a link, so nobody reads half of it. */
const take = (file: string): number | null => {
  const own = `${file}.${process.pid}`
  fs.writeFileSync(own, `${process.pid} ${startOf(process.pid) ?? ""}\n`)
  try {
    for (let attempt = 0; attempt < 10; attempt++) {
      try {
        fs.linkSync(own, file)
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
      const stale = `${own}.stale`
      fs.renameSync(file, stale)
      if (read(stale) !== content) fs.linkSync(stale, file)
      fs.rmSync(stale, { force: true })
    }
    throw new Error("the lock file changes all the time")
  } finally {
    fs.rmSync(own, { force: true })
  }
}

/** Makes the directory one process's. PGlite would not notice a second one, and lose what both acknowledged. */
export const lockDirectory = (
  directory: string,
  file: string
): Effect.Effect<void, EmbeddedPostgresError, Scope.Scope> =>
  Effect.acquireRelease(
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
        fs.rmSync(file, { force: true })
      })
  )
