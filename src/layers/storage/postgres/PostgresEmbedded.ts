import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs"
import {
  EmbeddedPostgresError,
  PostgresServer,
  type PostgresServerShape
} from "../../../services/storage/PostgresServer.ts"
import { InvalidSettings, Settings, type SettingsShape } from "../../../services/running/Settings.ts"
import { ShutdownReport } from "../../../services/running/ShutdownReport.ts"
import { closeServer, forServer } from "./Close.ts"
import { hasName } from "./embedded/Account.ts"
import { type Binaries, npmBinaries } from "./embedded/Binaries.ts"
import { failed, majorOf, onDisk, urlOf } from "./embedded/Cluster.ts"
import { lockDirectory, lockHolder, lockUser } from "./embedded/DirectoryLock.ts"
import * as Pglite from "./embedded/Pglite.ts"
import { postmasterOf } from "./embedded/PidFile.ts"
import { accountOf, hasPglite, majorsIn, type Places, placesOf } from "./embedded/Places.ts"
import * as Postmaster from "./embedded/Postmaster.ts"
import { prepare } from "./embedded/Preparing.ts"

/** For an end that no phase of a shutdown counts: of a start that failed or was cut. */
const endLimit = Duration.seconds(2)
/** Beside the pools, each worker's and a command's: those of a start, of a listener, and of whoever looks in. */
const furtherConnections = 20
/** What each worker more may need beside its pool. */
const furtherOfWorker = 3

type Databases = SettingsShape["database"]

/** Whether a database was made in that folder. */
export const isThere = (dataDirectory: string): boolean => {
  const places = placesOf(dataDirectory)
  return majorsIn(places).length > 0 || hasPglite(places)
}

/** Who uses the database in that folder, to be told to somebody; null if nobody does. */
export const userOf = (dataDirectory: string): Effect.Effect<string | null> => lockUser(placesOf(dataDirectory).lock)

/** The address of the server that runs on the data in that folder, whosever it is; none where none does. */
export const runningUrl = (
  dataDirectory: string
): Effect.Effect<Option.Option<Redacted.Redacted>, EmbeddedPostgresError> =>
  Effect.suspend(() => {
    const running = runningIn(placesOf(dataDirectory))
    return running === null ? Effect.succeedNone : Effect.asSome(urlOf(running.directory, running.port))
  })

const own = Effect.gen(function* () {
  const { database, workers } = yield* Settings
  const places = placesOf(database.dataDirectory)
  yield* onDisk(places.folder, () => fs.mkdirSync(places.folder, { recursive: true, mode: 0o700 }))
  yield* lockDirectory(places.folder, places.lock)
  const binaries = yield* choose(places, database.embedded)
  return binaries === null ? yield* runPglite(places) : yield* runServer(places, binaries, database, workers)
})

/** The embedded PostgreSQL, which belongs to this process until the scope closes. */
export const layer: Layer.Layer<PostgresServer, EmbeddedPostgresError, Settings> = Layer.scoped(PostgresServer, own)

/** The same for several workers: they use it, none of them ends it, and the shutdown of their parent does. */
export const layerForWorkers: Layer.Layer<
  PostgresServer,
  EmbeddedPostgresError | InvalidSettings,
  Settings | ShutdownReport
> = Layer.scoped(
  PostgresServer,
  Effect.gen(function* () {
    const report = yield* ShutdownReport
    const { shutdown, workers } = yield* Settings
    const server = yield* own
    if (server.isSingleSession) {
      return yield* new InvalidSettings({
        problems: [
          `CONDUIT_WORKERS: ${workers} processes cannot share PGlite, which has one session: set DATABASE_URL to a PostgreSQL, or 1 worker`
        ]
      })
    }
    yield* Effect.addFinalizer(() => closeServer(server, shutdown.closeTimeout, report))
    return server
  })
)

/** What is left for the pools of the workers of the limit of closing: the parent needs the rest to end the server. */
export const poolsLimit = (closeTimeout: Duration.Duration): Duration.Duration =>
  Duration.subtract(closeTimeout, forServer(closeTimeout))

/** The one that another process has, beside it; or else as `layer`. */
export const layerBeside: Layer.Layer<PostgresServer, EmbeddedPostgresError, Settings> = Layer.scoped(
  PostgresServer,
  Effect.gen(function* () {
    const { database } = yield* Settings
    const places = placesOf(database.dataDirectory)
    const holder = lockHolder(places.lock)
    return holder === null ? yield* own : yield* join(places, holder, database)
  })
)

const join = (
  places: Places,
  holder: number,
  { connectDeadline, poolSize }: Databases
): Effect.Effect<PostgresServerShape, EmbeddedPostgresError, Settings | Scope.Scope> =>
  Effect.gen(function* () {
    // The holder may be about to start it, or to end.
    const isHeld = () => lockHolder(places.lock) !== null
    yield* Postmaster.until(() => runningIn(places) !== null || hasPglite(places) || !isHeld()).pipe(
      Effect.timeoutOption(connectDeadline)
    )
    const running = runningIn(places)
    if (running === null && !isHeld()) return yield* own
    if (running === null) {
      return yield* new EmbeddedPostgresError({
        directory: places.folder,
        reason: "in_use",
        detail: `process ${holder}`
      })
    }
    return {
      url: yield* urlOf(running.directory, running.port),
      poolSize,
      isSingleSession: false,
      end: Option.none()
    }
  })

/** The server that accepts connections to the data in that folder; null if none does. */
const runningIn = (places: Places) => {
  const [newest] = majorsIn(places)
  if (newest === undefined) return null
  const directory = places.server(newest)
  const postmaster = postmasterOf(directory)
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
    const account = accountOf(places, newest)
    const found = yield* onDisk(places.folder, () =>
      newest === undefined && !hasName(account)
        ? Either.left("this user has no name, without which PostgreSQL makes no database")
        : npmBinaries(account, places.folder)
    )
    if (Either.isRight(found)) return found.right
    if (newest !== undefined || Option.isSome(wanted)) {
      return yield* failed(newest === undefined ? places.folder : places.server(newest), found.left)
    }
    yield* Effect.logInfo(`No PostgreSQL server runs here (${found.left}): using PGlite, which is slower`)
    return null
  })

const runServer = (places: Places, binaries: Binaries, { poolSize }: Databases, workers: number) =>
  Effect.gen(function* () {
    const { directory } = yield* prepare(places, binaries)
    const cluster = { directory, account: accountOf(places, binaries.major), binaries }
    yield* Effect.logInfo(
      `Using the embedded PostgreSQL ${binaries.version} in ${directory}; DATABASE_URL names another`
    )
    const connections = (workers + 1) * poolSize + (workers - 1) * furtherOfWorker + furtherConnections
    const running = yield* Postmaster.serve(cluster, connections, endLimit)
    return PostgresServer.of({
      url: yield* urlOf(directory, running.port),
      poolSize,
      isSingleSession: false,
      end: Option.some(running.end)
    })
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
