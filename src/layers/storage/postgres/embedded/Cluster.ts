import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { type ChildProcess, spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import { EmbeddedPostgresError } from "../../../../services/storage/PostgresServer.ts"
import { type Account, giveTo } from "./Account.ts"
import type { Binaries } from "./Binaries.ts"

/** A folder with the data of one PostgreSQL server, and what runs it. */
export interface Cluster {
  readonly directory: string
  readonly account: Account
  readonly binaries: Binaries
}

export const user = "conduit"

/** The password stands beside the data, readable by the owner only: whoever can read the one can read the other. */
const passwordFile = "conduit.password"

export const hasProc = fs.existsSync("/proc/self/cwd")

/**
 * The folder as its programs are told it; they run in it. Its path would lead an unprivileged user through folders of
 * root, which are closed to it; this one does not.
 */
export const dataArgument = (directory: string): string => (hasProc ? "/proc/self/cwd" : directory)

/** Nothing of this process's environment (`PGPORT`, `LC_MESSAGES` ...) changes how they run. */
export const environment = { PATH: "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" }

export const failed = (directory: string, detail: string) =>
  new EmbeddedPostgresError({ directory, reason: "failed", detail })

export const onDisk = <A>(directory: string, work: () => A): Effect.Effect<A, EmbeddedPostgresError> =>
  Effect.try({ try: work, catch: (error) => failed(directory, error instanceof Error ? error.message : String(error)) })

export const passwordOf = (directory: string): Effect.Effect<string, EmbeddedPostgresError> =>
  onDisk(directory, () => fs.readFileSync(path.join(directory, passwordFile), "utf8").trim())

/** The address of its server at that port. */
export const urlOf = (directory: string, port: number): Effect.Effect<Redacted.Redacted, EmbeddedPostgresError> =>
  Effect.map(passwordOf(directory), (password) =>
    Redacted.make(`postgres://${user}:${password}@127.0.0.1:${port}/postgres?sslmode=disable`)
  )

/** The major version of the data in that folder; null if there is none. */
export const majorOf = (directory: string): number | null => {
  const file = path.join(directory, "PG_VERSION")
  return fs.existsSync(file) ? Number.parseInt(fs.readFileSync(file, "utf8"), 10) : null
}

/** So that a rename in it outlives a loss of power. */
export const syncFolder = (folder: string): void => {
  const descriptor = fs.openSync(folder, "r")
  try {
    fs.fsyncSync(descriptor)
  } finally {
    fs.closeSync(descriptor)
  }
}

/** Makes the files of an empty database, with a password of its own. What stood there is deleted. */
export const initialise = ({ account, binaries, directory }: Cluster): Effect.Effect<void, EmbeddedPostgresError> =>
  Effect.acquireUseRelease(
    onDisk(directory, () => {
      fs.rmSync(directory, { recursive: true, force: true })
      fs.mkdirSync(directory, { mode: 0o700 })
      giveTo(account, directory)
      const file = `${directory}.password`
      fs.rmSync(file, { force: true })
      fs.writeFileSync(file, `${randomBytes(24).toString("base64url")}\n`, { mode: 0o600, flag: "wx" })
      giveTo(account, file)
      return { file, descriptor: fs.openSync(file, "r") }
    }),
    ({ descriptor, file }) =>
      run(
        binaries.initdb,
        [
          ["-D", dataArgument(directory), "-U", user, "-A", "scram-sha-256", "--pwfile=/dev/stdin"],
          ["-E", "UTF8", "--locale=C", "--no-instructions"]
        ].flat(),
        { account, directory, stdin: descriptor }
      ).pipe(
        Effect.zipRight(
          onDisk(directory, () => {
            fs.renameSync(file, path.join(directory, passwordFile))
            syncFolder(directory)
          })
        )
      ),
    ({ descriptor, file }) =>
      Effect.sync(() => {
        fs.closeSync(descriptor)
        fs.rmSync(file, { force: true })
      })
  )

/** Runs a program in the folder to its end; when it is interrupted, the program and all that it started end at once. */
const run = (
  program: string,
  args: ReadonlyArray<string>,
  options: { readonly account: Account; readonly directory: string; readonly stdin: number }
): Effect.Effect<void, EmbeddedPostgresError> =>
  Effect.async<void, EmbeddedPostgresError>((resume) => {
    const { account, directory, stdin } = options
    const child = spawn(program, args, {
      ...account,
      cwd: directory,
      env: environment,
      // A session of its own: a Ctrl-C in the terminal is this process's to hear.
      detached: true,
      stdio: [stdin, "ignore", "pipe"]
    })
    let said = ""
    child.stderr?.on("data", (chunk) => (said = `${said}${String(chunk)}`.slice(-2_000)))
    child.once("error", (error) => resume(Effect.fail(failed(directory, error.message))))
    child.once("close", (code, signal) =>
      resume(
        code === 0
          ? Effect.void
          : Effect.fail(failed(directory, `${path.basename(program)} ended with ${signal ?? code}: ${said.trim()}`))
      )
    )
    return Effect.async<void>((ended) => {
      if (child.exitCode !== null || child.signalCode !== null) return ended(Effect.void)
      child.once("exit", () => ended(Effect.void))
      killGroup(child)
    })
  })

const killGroup = ({ pid }: ChildProcess): void => {
  if (pid === undefined) return
  try {
    process.kill(-pid, "SIGKILL")
  } catch {
    // It has ended by itself.
  }
}
