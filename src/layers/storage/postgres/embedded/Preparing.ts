import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Duration from "effect/Duration"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs"
import * as path from "node:path"
import type { EmbeddedPostgresError } from "../../../../services/storage/PostgresServer.ts"
import { type Binaries, olderBinaries } from "./Binaries.ts"
import { type Cluster, failed, initialise, onDisk, syncFolder, urlOf } from "./Cluster.ts"
import { copyDatabase } from "./CopyDatabase.ts"
import * as Pglite from "./Pglite.ts"
import { accountOf, hasPglite, majorsIn, type Places } from "./Places.ts"
import * as Postmaster from "./Postmaster.ts"

/** Everything that a carried-over database wrote is on disk before the old one counts no more. */
const endLimit = Duration.minutes(1)
const connections = 20

/** Data of this major: those that are there, or those of an older one or of PGlite, carried over, or new ones. */
export const prepare = (places: Places, binaries: Binaries): Effect.Effect<Cluster, EmbeddedPostgresError> =>
  Effect.gen(function* () {
    const [newest] = majorsIn(places)
    const directory = places.server(binaries.major)
    const cluster = { directory, account: accountOf(places, newest), binaries }
    if (newest !== undefined && newest > binaries.major) {
      return yield* failed(
        places.server(newest),
        `it was made by PostgreSQL ${newest}, and this version brings ${binaries.major}: run the version that made it, or set CONDUIT_DATA_DIRECTORY to another folder`
      )
    }
    if (newest === undefined && !hasPglite(places)) {
      yield* Effect.logInfo(`Making the embedded database in ${directory} (first start, a few seconds)`)
      yield* makeNew(cluster, () => Effect.void)
    } else if (newest === undefined) {
      const serveOld = Effect.map(Pglite.serve(places.pglite, endLimit), ({ url }) => Redacted.make(url))
      yield* carryOver(cluster, places.pglite, serveOld)
    } else if (newest < binaries.major) {
      yield* carryOver(cluster, places.server(newest), yield* olderServer(places, newest))
    }
    yield* putAside(places, directory)
    return cluster
  })

/** Stands in a database until the one that it was carried over from has been put aside. */
const carriedFile = (directory: string) => path.join(directory, "conduit.carried-over")

/** Puts the database aside that was carried over, also where an earlier start was cut before it did. */
const putAside = (places: Places, directory: string): Effect.Effect<void, EmbeddedPostgresError> =>
  Effect.gen(function* () {
    const marker = carriedFile(directory)
    const olds = [...(hasPglite(places) ? [places.pglite] : []), ...majorsIn(places).map(places.server)]
    for (const old of olds.filter((old) => old !== directory)) {
      if (!fs.existsSync(marker)) {
        return yield* failed(
          directory,
          `${old} holds a database too, as after a return to an older version of Conduit: move the one aside that you do not want, to another name`
        )
      }
      const kept = yield* onDisk(old, () => {
        const free = (number: number): string => {
          const name = `${old}.carried-over${number === 1 ? "" : `-${number}`}`
          return fs.existsSync(name) ? free(number + 1) : name
        }
        const name = free(1)
        fs.renameSync(old, name)
        return name
      })
      yield* Effect.logInfo(`The files that were carried over are kept in ${kept}`)
    }
    yield* onDisk(directory, () => {
      if (fs.existsSync(marker)) syncFolder(places.folder)
      fs.rmSync(marker, { force: true })
    })
  })

/** Appears whole, by a rename: a start that was cut leaves nothing that another would take for a database. */
const makeNew = <R>(
  cluster: Cluster,
  fill: (creating: Cluster) => Effect.Effect<void, EmbeddedPostgresError, R>
): Effect.Effect<void, EmbeddedPostgresError, R> => {
  const creating = { ...cluster, directory: `${cluster.directory}.creating` }
  return Postmaster.stopLeft(creating.directory).pipe(
    Effect.zipRight(initialise(creating)),
    Effect.zipRight(fill(creating)),
    Effect.zipRight(
      onDisk(cluster.directory, () => {
        fs.renameSync(creating.directory, cluster.directory)
        syncFolder(path.dirname(cluster.directory))
      })
    )
  )
}

/** Makes the new database and copies everything into it; the old one is only read, and kept. */
const carryOver = (
  cluster: Cluster,
  old: string,
  serveOld: Effect.Effect<Redacted.Redacted, EmbeddedPostgresError, Scope.Scope>
): Effect.Effect<void, EmbeddedPostgresError> =>
  makeNew(cluster, (creating) =>
    Effect.gen(function* () {
      yield* Effect.logInfo(`Carrying over the embedded database in ${old} to PostgreSQL ${cluster.binaries.version}`)
      const from = yield* serveOld
      const { port } = yield* Postmaster.serve(creating, connections, endLimit)
      const rows = yield* copyDatabase(from, yield* urlOf(creating.directory, port)).pipe(
        Effect.mapError((error) => failed(old, `it cannot be carried over: ${error.message}`))
      )
      yield* onDisk(creating.directory, () => fs.writeFileSync(carriedFile(creating.directory), `${old}\n`))
      yield* Effect.logInfo(`Carried over ${rows} rows`)
    }).pipe(Effect.scoped)
  )

/** How to serve the data of another major, if its programs are there. */
const olderServer = (places: Places, major: number) =>
  Effect.gen(function* () {
    const directory = places.server(major)
    const account = accountOf(places, major)
    const binaries = yield* onDisk(directory, () => olderBinaries(account, places.folder, major))
    if (Either.isLeft(binaries)) {
      return yield* failed(
        directory,
        `it was made by PostgreSQL ${major}, which is needed once to carry it over: run \`${binaries.left}\` and start again`
      )
    }
    const cluster = { directory, account, binaries: binaries.right }
    return Postmaster.serve(cluster, connections, endLimit).pipe(Effect.flatMap(({ port }) => urlOf(directory, port)))
  })
