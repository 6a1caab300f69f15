import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { dataArgument, hasProc } from "./Cluster.ts"

/** The server of a folder, as its `postmaster.pid` tells it. */
export interface Postmaster {
  readonly pid: number
  readonly port: number
  /** It accepts connections. */
  readonly isReady: boolean
}

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
export const isServerOf = (pid: number, directory: string): boolean => {
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
export const forgetAnother = (directory: string): void => {
  const file = pidFile(directory)
  if (postmasterOf(directory) !== null || !fs.existsSync(file)) return
  const pid = Number.parseInt(fs.readFileSync(file, "utf8"), 10)
  if (pid > 1 && signal(pid, 0)) fs.rmSync(file, { force: true })
}

/** Whether it was there to hear it. */
export const signal = (pid: number, name: NodeJS.Signals | 0): boolean => {
  try {
    return process.kill(pid, name)
  } catch {
    return false
  }
}
