import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs"
import * as path from "node:path"
import { EmbeddedPostgresError, PostgresServer } from "../../../services/storage/PostgresServer.ts"
import { Settings, type SettingsShape } from "../../../services/running/Settings.ts"
import { accountFor } from "./embedded/Account.ts"
import { type Binaries, npmBinaries, olderBinaries } from "./embedded/Binaries.ts"
import { copyDatabase } from "./embedded/CarryOver.ts"
import { type Cluster, failed, initialise, majorOf, onDisk, passwordOf, syncFolder, user } from "./embedded/Cluster.ts"
import { lockDirectory, lockHolder } from "./embedded/DirectoryLock.ts"
import * as Pglite from "./embedded/Pglite.ts"
import * as Postmaster from "./embedded/Postmaster.ts"

/** For an end that no phase of a shutdown counts: of a start that failed or was cut. */
const endLimit = Duration.seconds(2)
/** Everything that a carried-over database wrote is on disk before the old one counts no more. */
const carriedEndLimit = Duration.minutes(1)
/** Beside two pools, a service's and a command's: those of a start, of a listener, and of whoever looks in. */
const furtherConnections = 20

type Databases = SettingsShape["database"]

/** What stands where in the data folder. */
interface Places {
  readonly folder: string
  readonly lock: string
  readonly pglite: string
  /** PGlite is about to make its files there. */
  readonly pgliteCreating: string
  readonly server: (major: number) => string
}

const placesOf = (dataDirectory: string): Places => {
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
const majorsIn = ({ folder }: Places): ReadonlyArray<number> =>
  (fs.existsSync(folder) ? fs.readdirSync(folder) : [])
    .flatMap((name) => /^postgresql-(\d+)$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => b - a)

const hasPglite = ({ pglite, pgliteCreating }: Places): boolean =>
  majorOf(pglite) !== null && !fs.existsSync(pgliteCreating)

/** Whether a database was made in that folder. */
export const isThere = (dataDirectory: string): boolean => {
  const places = placesOf(dataDirectory)
  return majorsIn(places).length > 0 || hasPglite(places)
}

/** The process that uses the database in that folder; null if none does. */
export const userOf = (dataDirectory: string): number | null => lockHolder(placesOf(dataDirectory).lock)

/** The address of the server that runs on the data in that folder, whosever it is; none where none does. */
export const runningUrl = (
  dataDirectory: string
): Effect.Effect<Option.Option<Redacted.Redacted>, EmbeddedPostgresError> =>
  Effect.suspend(() => {
    const running = runningIn(placesOf(dataDirectory))
    return running === null ? Effect.succeedNone : Effect.asSome(urlOf(running.directory, running.port))
  })

const own = Effect.gen(function* () {
  const { database } = yield* Settings
  const places = placesOf(database.dataDirectory)
  yield* onDisk(places.folder, () => fs.mkdirSync(places.folder, { recursive: true, mode: 0o700 }))
  yield* lockDirectory(places.folder, places.lock)
  const binaries = yield* choose(places, database.embedded)
  return binaries === null ? yield* runPglite(places) : yield* runServer(places, binaries, database)
})

/** The embedded PostgreSQL, which belongs to this process until the scope closes. */
export const layer: Layer.Layer<PostgresServer, EmbeddedPostgresError, Settings> = Layer.scoped(PostgresServer, own)

/** The one that another process has, beside it; or else as `layer`. */
export const layerBeside: Layer.Layer<PostgresServer, EmbeddedPostgresError, Settings> = Layer.scoped(
  PostgresServer,
  Effect.gen(function* () {
    const { database } = yield* Settings
    const places = placesOf(database.dataDirectory)
    const holder = userOf(database.dataDirectory)
    return holder === null ? yield* own : yield* join(places, holder, database)
  })
)

const join = (places: Places, holder: number, { connectDeadline, poolSize }: Databases) =>
  Effect.gen(function* () {
    // The holder may be about to start it.
    const runs = yield* Postmaster.until(() => runningIn(places) !== null || hasPglite(places)).pipe(
      Effect.timeoutOption(connectDeadline),
      Effect.map(() => runningIn(places))
    )
    if (runs === null) {
      return yield* new EmbeddedPostgresError({
        directory: places.folder,
        reason: "in_use",
        detail: `process ${holder}`
      })
    }
    return PostgresServer.of({
      url: yield* urlOf(runs.directory, runs.port),
      poolSize,
      isSingleSession: false,
      end: Option.none()
    })
  })

/** The server that accepts connections to the data in that folder; null if none does. */
const runningIn = (places: Places) => {
  const [newest] = majorsIn(places)
  if (newest === undefined) return null
  const directory = places.server(newest)
  const postmaster = Postmaster.postmasterOf(directory)
  return postmaster?.isReady === true ? { directory, port: postmaster.port } : null
}

/** The server that is to run, or null for PGlite. Data that one of them made is never left for new data of the other. */
const choose = (places: Places, wanted: Databases["embedded"]): Effect.Effect<Binaries | null, EmbeddedPostgresError> =>
  Effect.gen(function* () {
    const [newest] = majorsIn(places)
    if (Option.contains(wanted, "pglite")) {
      if (newest === undefined) return null
      return yield* failed(
        places.server(newest),
        "PGlite cannot open what a server made: unset CONDUIT_EMBEDDED_DATABASE, or set CONDUIT_DATA_DIRECTORY to another folder"
      )
    }
    const found = yield* onDisk(places.folder, () => npmBinaries(accountOf(places, newest), places.folder))
    if (Either.isRight(found)) return found.right
    if (newest !== undefined || Option.isSome(wanted)) {
      return yield* failed(newest === undefined ? places.folder : places.server(newest), `${found.left}: run npm ci`)
    }
    yield* Effect.logInfo(`No PostgreSQL server runs here (${found.left}): using PGlite, which is slower`)
    return null
  })

const accountOf = (places: Places, major: number | undefined) =>
  accountFor([...(major === undefined ? [] : [places.server(major)]), places.folder])

const runServer = (places: Places, binaries: Binaries, { poolSize }: Databases) =>
  Effect.gen(function* () {
    const { directory } = yield* prepare(places, binaries)
    const cluster = { directory, account: accountOf(places, binaries.major), binaries }
    yield* Effect.logInfo(
      `Using the embedded PostgreSQL ${binaries.version} in ${directory}; DATABASE_URL names another`
    )
    const running = yield* Postmaster.serve(cluster, 2 * poolSize + furtherConnections, endLimit)
    return PostgresServer.of({
      url: yield* urlOf(directory, running.port),
      poolSize,
      isSingleSession: false,
      end: Option.some(running.end)
    })
  })

const urlOf = (directory: string, port: number): Effect.Effect<Redacted.Redacted, EmbeddedPostgresError> =>
  Effect.map(passwordOf(directory), (password) =>
    Redacted.make(`postgres://${user}:${password}@127.0.0.1:${port}/postgres?sslmode=disable`)
  )

/** Data of this major: those that are there, or those of an older one or of PGlite, carried over, or new ones. */
const prepare = (places: Places, binaries: Binaries): Effect.Effect<Cluster, EmbeddedPostgresError> =>
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
      const serveOld = Effect.map(Pglite.serve(places.pglite, carriedEndLimit), ({ url }) => Redacted.make(url))
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
      const { port } = yield* Postmaster.serve(creating, furtherConnections, carriedEndLimit)
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
    return Postmaster.serve(cluster, furtherConnections, carriedEndLimit).pipe(
      Effect.flatMap(({ port }) => urlOf(directory, port))
    )
  })

/** PGlite is one session: a pool of one connection takes the statements in turn. */
const runPglite = ({ pglite, pgliteCreating }: Places) =>
  Effect.gen(function* () {
    yield* onDisk(pglite, () => {
      // A first start that was cut leaves half a database, in which nothing was ever stored.
      if (fs.existsSync(pgliteCreating)) fs.rmSync(pglite, { recursive: true, force: true })
      if (majorOf(pglite) === null) fs.writeFileSync(pgliteCreating, "")
    })
    yield* Effect.logInfo(`Using PGlite, a PostgreSQL in this process, in ${pglite}; DATABASE_URL names another`)
    const { end, url } = yield* Pglite.serve(pglite, endLimit)
    yield* onDisk(pglite, () => fs.rmSync(pgliteCreating, { force: true }))
    return PostgresServer.of({ url: Redacted.make(url), poolSize: 1, isSingleSession: true, end: Option.some(end) })
  })
