import { spawn } from "node:child_process"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { pgbouncer } from "./external.ts"
import { freePort, query } from "./postgres.ts"
import { eventually } from "./traffic.ts"

export interface TestPooler {
  /** The same database through the pooler. */
  readonly urlOf: (url: string) => string
  readonly stop: () => Promise<void>
}

/** PgBouncer in front of the server of that address; `settings` are its own, a line each. */
export const startPgbouncer = async (
  server: string,
  mode: "session" | "transaction",
  settings: ReadonlyArray<string> = []
): Promise<TestPooler> => {
  if (pgbouncer === undefined) throw new Error("there is no pgbouncer on this machine")
  const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-pgbouncer-"))
  const port = await freePort()
  const file = Path.join(folder, "pgbouncer.ini")
  const lines = [
    "[databases]",
    `* = host=127.0.0.1 port=${new URL(server).port} user=postgres`,
    "[pgbouncer]",
    "listen_addr = 127.0.0.1",
    `listen_port = ${port}`,
    "auth_type = any",
    `pool_mode = ${mode}`,
    "unix_socket_dir =",
    ...settings
  ]
  Fs.writeFileSync(file, `${lines.join("\n")}\n`)
  const as = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {}
  if (as.uid !== undefined) {
    Fs.chownSync(folder, as.uid, as.gid)
    Fs.chownSync(file, as.uid, as.gid)
  }
  const child = spawn(pgbouncer, [file], {
    stdio: "ignore",
    ...as
  })
  const urlOf = (url: string) => {
    const pooled = new URL(url)
    pooled.port = String(port)
    return pooled.href
  }
  await eventually("the pooler answers", 20_000, () =>
    query(urlOf(server), "SELECT 1").then(
      () => true,
      () => undefined
    )
  )
  return {
    urlOf,
    stop: async () => {
      const ended = once(child, "exit")
      child.kill("SIGKILL")
      await ended
      Fs.rmSync(folder, { recursive: true, force: true })
    }
  }
}
