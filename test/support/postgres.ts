import * as Either from "effect/Either"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import * as Pg from "pg"
import { npmBinaries } from "../../src/layers/storage/postgres/embedded/Binaries.ts"
import { patientMs } from "./patience.ts"

/** The programs of one PostgreSQL. */
export interface Binaries {
  readonly initdb: string
  readonly postgres: string
}

/** PostgreSQL refuses root. */
const as = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {}

const inFolder = (folder: string): Binaries | null => {
  const binaries = { initdb: path.join(folder, "initdb"), postgres: path.join(folder, "postgres") }
  return fs.existsSync(binaries.initdb) && fs.existsSync(binaries.postgres) ? binaries : null
}

/** The newest one that is installed on this machine. */
const installed = (): Binaries | null => {
  const versions = fs.existsSync("/usr/lib/postgresql") ? fs.readdirSync("/usr/lib/postgresql") : []
  const folders = [
    ...(process.env["PATH"] ?? "").split(path.delimiter),
    ...versions.sort((a, b) => Number(b) - Number(a)).map((version) => `/usr/lib/postgresql/${version}/bin`)
  ]
  return folders.map(inFolder).find((found) => found !== null) ?? null
}

/** Those of the npm package. */
const fromNpm = (): Binaries => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "conduit-pg-bin-"))
  process.once("exit", () => fs.rmSync(folder, { recursive: true, force: true }))
  return Either.getOrThrowWith(npmBinaries(as, folder), (why) => new Error(why))
}

export interface TestPostgres {
  readonly url: string
  readonly port: number
  /** Where its data are: whoever reads them stops it before. */
  readonly data: string
  /** Like a crash: connections are cut, nothing is written. */
  readonly stop: () => Promise<void>
  /** After `stop`: the same data on the same port. */
  readonly start: () => Promise<void>
  /** All its processes: it accepts connections (the kernel does) and answers nothing, until `resume`. */
  readonly pause: () => void
  readonly resume: () => void
  /** Ends it and removes its data. */
  readonly dispose: () => Promise<void>
}

/** One of 127.0.0.1 that nobody listened on a moment ago. */
export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = net.createServer()
    server.once("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() =>
        address !== null && typeof address === "object" ? resolve(address.port) : reject(new Error("no port"))
      )
    })
  })

// Holds the server by a pipe: when the runner dies, however, its end of the pipe closes, and the server and its data go.
const watchdog = `
const { spawn, spawnSync } = require("node:child_process")
const fs = require("node:fs")
const [program, args, folder, as] = JSON.parse(process.argv[1])
const server = spawn(program, args, { ...as, cwd: folder, stdio: ["ignore", "ignore", "inherit"], detached: true })
process.stdout.write(server.pid + "\\n")
let removes = false
const end = (signal) => {
  const all = spawnSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" }).stdout || ""
  for (const line of all.split("\\n")) {
    const [pid, parent] = line.trim().split(/ +/).map(Number)
    if (parent === server.pid) try { process.kill(pid, "SIGCONT") } catch {}
  }
  try { process.kill(server.pid, "SIGCONT"); process.kill(server.pid, signal) } catch {}
}
process.stdin.on("data", (data) => {
  const word = String(data)
  if (word.includes("end")) { removes = true; end("SIGQUIT") } else end("SIGQUIT")
})
process.stdin.on("end", () => { removes = true; end("SIGQUIT"); setTimeout(() => end("SIGKILL"), 2000).unref() })
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => {})
server.on("exit", () => {
  if (removes) fs.rmSync(folder, { recursive: true, force: true })
  process.exit(0)
})
`

/** It and its backends, which are in sessions of their own. */
const family = (pid: number): ReadonlyArray<number> => {
  const all = spawnSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" })
  if (all.status !== 0) throw new Error("ps does not work")
  const children = all.stdout
    .split("\n")
    .map((line) => line.trim().split(/ +/).map(Number))
    .filter(([, parent]) => parent === pid)
    .flatMap(([child]) => (child === undefined ? [] : [child]))
  return [pid, ...children]
}

/** One that has ended meanwhile hears nothing. */
const signalAll = (pids: ReadonlyArray<number>, signal: NodeJS.Signals) => {
  for (const pid of pids) {
    try {
      process.kill(pid, signal)
    } catch {
      continue
    }
  }
}

/** Files that `initdb` has made, for this run: to copy them takes a tenth of the time. */
const freshFiles = (): string | undefined => process.env["CONDUIT_TEST_POSTGRES_FILES"]

/** Makes them where nothing has been started yet; answers what removes them. */
export const makeFreshFiles = (): (() => void) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "conduit-pg-files-"))
  if (as.uid !== undefined) fs.chownSync(folder, as.uid, as.gid)
  const data = path.join(folder, "data")
  initialise(installed() ?? fromNpm(), folder, data)
  process.env["CONDUIT_TEST_POSTGRES_FILES"] = data
  return () => fs.rmSync(folder, { recursive: true, force: true })
}

const copyData = (from: string, to: string) => {
  const { status, stderr } = spawnSync("cp", ["-a", from, to], { encoding: "utf8" })
  if (status !== 0) throw new Error(`the data were not copied: ${stderr}`)
}

const initialise = (binaries: Binaries, folder: string, data: string) => {
  const made = spawnSync(
    binaries.initdb,
    ["-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
    { ...as, cwd: folder, encoding: "utf8" }
  )
  if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}`)
}

/**
 * A private server, which a test may stop, pause and start again. `source` forces the npm package's, or names programs;
 * `settings` are PostgreSQL's own, as `name=value`. `copied` is the stopped server whose data it begins with.
 */
export const startPostgres = async (
  source: "any" | "npm" | Binaries = "any",
  settings: ReadonlyArray<string> = [],
  copied: TestPostgres | null = null
): Promise<TestPostgres> => {
  const binaries = typeof source === "object" ? source : ((source === "any" ? installed() : null) ?? fromNpm())
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "conduit-pg-"))
  if (as.uid !== undefined) fs.chownSync(folder, as.uid, as.gid)
  const data = path.join(folder, "data")
  const fresh = source === "any" ? freshFiles() : undefined
  if (copied === null && fresh === undefined) initialise(binaries, folder, data)
  else copyData(copied?.data ?? fresh ?? "", data)
  if (copied !== null) {
    // https://www.postgresql.org/docs/current/warm-standby.html
    fs.writeFileSync(path.join(data, "standby.signal"), "")
  }
  const port = await freePort()
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`
  const args = [
    "-D",
    data,
    "-p",
    String(port),
    "-h",
    "127.0.0.1",
    "-k",
    "",
    "-c",
    "fsync=off",
    ...["max_connections=100", ...settings].flatMap((setting) => ["-c", setting])
  ]
  let guard: ChildProcess | null = null
  let pid = 0

  const start = async () => {
    const log = fs.openSync(path.join(folder, "log"), "a")
    const child = spawn(process.execPath, ["-e", watchdog, JSON.stringify([binaries.postgres, args, folder, as])], {
      stdio: ["pipe", "pipe", log],
      detached: true
    })
    fs.closeSync(log)
    guard = child
    pid = await new Promise<number>((resolve, reject) => {
      child.once("error", reject)
      child.stdout?.once("data", (line) => resolve(Number(String(line).trim())))
    })
    await answers(url, () => fs.readFileSync(path.join(folder, "log"), "utf8"))
  }
  const finish = async (word: "stop" | "end") => {
    const child = guard
    guard = null
    if (child === null) {
      if (word === "end") fs.rmSync(folder, { recursive: true, force: true })
      return
    }
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()))
    child.stdin?.write(word)
    await ended
  }
  await start()
  return {
    url,
    port,
    data,
    start,
    stop: () => finish("stop"),
    pause: () => {
      // First itself, so that no backend is born meanwhile.
      signalAll([pid], "SIGSTOP")
      signalAll(family(pid), "SIGSTOP")
    },
    resume: () => signalAll([...family(pid)].reverse(), "SIGCONT"),
    dispose: () => finish("end")
  }
}

const answers = async (url: string, log: () => string): Promise<void> => {
  const startedAtMs = Date.now()
  while (true) {
    const client = new Pg.Client({ connectionString: url, connectionTimeoutMillis: 1000 })
    client.on("error", () => undefined)
    try {
      await client.connect()
      await client.end()
      return
    } catch (error) {
      if (Date.now() - startedAtMs > patientMs(20_000)) {
        throw new Error(`PostgreSQL does not answer: ${log()}`, { cause: error })
      }
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

/** A query over a connection of its own. */
export const query = async <Row extends Pg.QueryResultRow>(
  url: string,
  text: string,
  values: ReadonlyArray<unknown> = []
): Promise<ReadonlyArray<Row>> => {
  const client = new Pg.Client({ connectionString: url, connectionTimeoutMillis: 5000 })
  client.on("error", () => undefined)
  await client.connect()
  try {
    return (await client.query<Row>(text, [...values])).rows
  } finally {
    await client.end()
  }
}

/** The server of this test run, which the global set-up started. */
export const sharedUrl = (): string => {
  const url = process.env["CONDUIT_TEST_POSTGRES_URL"]
  if (url === undefined) throw new Error("the global set-up did not start PostgreSQL")
  return url
}

let databases = 0

export interface TestDatabase {
  readonly url: string
  readonly drop: () => Promise<void>
}

/** A database of its own on the run's server: empty, or as the one that it is made from, to which nobody is connected. */
export const createDatabase = async (from?: TestDatabase): Promise<TestDatabase> => {
  const name = `test_${process.pid}_${Date.now().toString(36)}_${databases++}`
  const template = from === undefined ? "" : ` TEMPLATE ${new URL(from.url).pathname.slice(1)}`
  await query(sharedUrl(), `CREATE DATABASE ${name}${template}`)
  const url = new URL(sharedUrl())
  url.pathname = `/${name}`
  return {
    url: url.href,
    drop: () => query(sharedUrl(), `DROP DATABASE ${name} WITH (FORCE)`).then(() => undefined)
  }
}
