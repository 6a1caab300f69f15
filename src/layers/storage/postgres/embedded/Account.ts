import { spawnSync } from "node:child_process"
import * as fs from "node:fs"

/** As whom a program runs; empty = as this process. */
export interface Account {
  readonly uid?: number
  readonly gid?: number
}

/** The user whom systems keep for what must own nothing. */
const nobody: Account = process.platform === "darwin" ? { uid: -2, gid: -2 } : { uid: 65534, gid: 65534 }

/** PostgreSQL refuses root: under root it runs as who owns these files, or else as nobody. */
export const accountFor = (files: ReadonlyArray<string>): Account => {
  if (process.getuid?.() !== 0) return {}
  for (const file of files) {
    const owner = fs.statSync(file, { throwIfNoEntry: false })
    if (owner !== undefined && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid }
  }
  return nobody
}

/** Gives a file to the account. */
export const giveTo = ({ gid, uid }: Account, file: string): void => {
  if (uid !== undefined && gid !== undefined) fs.chownSync(file, uid, gid)
}

/** Whether the system knows it by a name, without which PostgreSQL makes no database. */
export const hasName = (account: Account): boolean => {
  const { error, status } = spawnSync("id", ["-un"], { ...account, cwd: "/", stdio: "ignore" })
  return error !== undefined || status === 0
}
