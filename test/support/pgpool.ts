import { spawn } from "node:child_process"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import type { TestPooler } from "./pgbouncer.ts"
import { freePort, query } from "./postgres.ts"
import { eventually } from "./traffic.ts"

const program = "/usr/sbin/pgpool"

/** Where Debian has it. */
export const hasPgpool = (): boolean => Fs.existsSync(program)

/** pgpool-II in front of the server of that address, one backend, without caches. */
export const startPgpool = async (server: string): Promise<TestPooler> => {
  const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-pgpool-"))
  const [port, pcpPort] = [await freePort(), await freePort()]
  const file = Path.join(folder, "pgpool.conf")
  const lines = [
    "backend_clustering_mode = 'streaming_replication'",
    "listen_addresses = '127.0.0.1'",
    `port = ${port}`,
    "pcp_listen_addresses = '127.0.0.1'",
    `pcp_port = ${pcpPort}`,
    // Its name from 4.4 on, and before.
    `unix_socket_directories = '${folder}'`,
    `socket_dir = '${folder}'`,
    `pcp_socket_dir = '${folder}'`,
    `wd_ipc_socket_dir = '${folder}'`,
    `pid_file_name = '${folder}/pid'`,
    `logdir = '${folder}'`,
    `work_dir = '${folder}'`,
    "backend_hostname0 = '127.0.0.1'",
    `backend_port0 = ${new URL(server).port}`,
    "backend_weight0 = 1",
    "sr_check_period = 0",
    "num_init_children = 60",
    "max_pool = 1",
    "enable_pool_hba = off"
  ]
  Fs.writeFileSync(file, `${lines.join("\n")}\n`)
  for (const name of ["pcp.conf", "pool_hba.conf"]) Fs.writeFileSync(Path.join(folder, name), "")
  const as = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {}
  if (as.uid !== undefined) {
    for (const name of ["", ...Fs.readdirSync(folder)]) Fs.chownSync(Path.join(folder, name), as.uid, as.gid)
  }
  const log = Fs.openSync(Path.join(folder, "log"), "a")
  const args = ["-n", "-f", file, "-F", Path.join(folder, "pcp.conf"), "-a", Path.join(folder, "pool_hba.conf")]
  const child = spawn(program, args, { stdio: ["ignore", log, log], ...as })
  Fs.closeSync(log)
  const urlOf = (url: string) => {
    const pooled = new URL(url)
    pooled.port = String(port)
    return pooled.href
  }
  await eventually("pgpool answers", 20_000, () =>
    query(urlOf(server), "SELECT 1").then(
      () => true,
      () => undefined
    )
  ).catch((error: unknown) => {
    throw new Error(Fs.readFileSync(Path.join(folder, "log"), "utf8").slice(-2000), { cause: error })
  })
  return {
    urlOf,
    stop: async () => {
      const ended = once(child, "exit")
      child.kill("SIGTERM")
      const timer = setTimeout(() => child.kill("SIGKILL"), 5_000)
      await ended
      clearTimeout(timer)
      Fs.rmSync(folder, { recursive: true, force: true })
    }
  }
}
