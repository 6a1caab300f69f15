import * as fs from "node:fs"
import * as path from "node:path"
import { accountFor } from "./Account.ts"
import { majorOf } from "./Cluster.ts"

/** What stands where in the data folder. */
export interface Places {
  readonly folder: string
  readonly lock: string
  readonly pglite: string
  /** PGlite is about to make its files there. */
  readonly pgliteCreating: string
  readonly server: (major: number) => string
}

export const placesOf = (dataDirectory: string): Places => {
  const folder = path.resolve(dataDirectory)
  return {
    folder,
    lock: path.join(folder, "postgres.lock"),
    pglite: path.join(folder, "postgres"),
    pgliteCreating: path.join(folder, "postgres.creating"),
    server: (major) => path.join(folder, `postgresql-${major}`)
  }
}

/** The majors of the servers whose data stand in the folder, the newest first. */
export const majorsIn = ({ folder }: Places): ReadonlyArray<number> =>
  (fs.existsSync(folder) ? fs.readdirSync(folder) : [])
    .flatMap((name) => /^postgresql-(\d+)$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => b - a)

export const hasPglite = ({ pglite, pgliteCreating }: Places): boolean =>
  majorOf(pglite) !== null && !fs.existsSync(pgliteCreating)

/** As whom the server of those data runs. */
export const accountOf = (places: Places, major: number | undefined) =>
  accountFor([...(major === undefined ? [] : [places.server(major)]), places.folder])
