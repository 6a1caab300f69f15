import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import { readFile, stat } from "node:fs/promises"
import { type KeyRecord, secretId } from "../../domain/access/ApiKey.ts"
import {
  KeyAdministration,
  type KeyAdministrationShape,
  KeyExists,
  KeyNotFound,
  Keys
} from "../../services/api/Keys.ts"
import * as EpisodeLog from "../../services/observing/EpisodeLog.ts"
import { InvalidSettings, Settings } from "../../services/running/Settings.ts"
import { Database, type DatabaseError } from "../../services/storage/Database.ts"
import type { AuditAction, AuditNote, KeyStoreShape, StoredKeys } from "../../services/storage/KeyStore.ts"
import { KeyRing } from "./keys/KeyRing.ts"
import { parseKeysFile } from "./keys/KeysFile.ts"
import { hashOf, newSecret } from "./keys/Secret.ts"

/** What other replicas change counts here at the latest after this. A query of one row; behind a pooler as well. */
const pollInterval = Duration.millis(400)

/** Keys of the settings, of a file that is watched, and of the database, which all replicas share. */
export const layer: Layer.Layer<Keys | KeyAdministration, DatabaseError | InvalidSettings, Database | Settings> =
  Layer.scopedContext(
    Effect.gen(function* () {
      const { http } = yield* Settings
      const { keys: store } = yield* Database
      const clock = yield* Effect.clock
      const ring = new KeyRing(() => clock.unsafeCurrentTimeMillis())
      ring.replace("settings", [...http.adminKeys, ...http.apiKeys])
      if (Option.isSome(http.apiKeysFile)) yield* followFile(ring, http.apiKeysFile.value)
      const refresh = yield* followStore(ring, store)
      return Context.make(Keys, {
        isOpen: () => ring.isEmpty,
        find: (presented) => ring.find(presented),
        named: () => ring.named()
      }).pipe(Context.add(KeyAdministration, administrationOf(store, refresh)))
    })
  )

/** What commands need: running replicas see by themselves what changes. */
export const administration: Layer.Layer<KeyAdministration, never, Database> = Layer.effect(
  KeyAdministration,
  Effect.map(Database, ({ keys }) => administrationOf(keys, Effect.void))
)

/** Reads the file now, and again whenever it has changed. */
const followFile = Effect.fnUntraced(function* (ring: KeyRing, path: string) {
  const problem = (detail: string) => new InvalidSettings({ problems: [`CONDUIT_API_KEYS_FILE: ${path}: ${detail}`] })
  /** Null where it has not changed since that mark. */
  const read = (known: string | null) =>
    Effect.tryPromise({
      try: async () => {
        const { ino, mtimeMs, size } = await stat(path)
        const mark = `${ino} ${mtimeMs} ${size}`
        return mark === known ? null : { mark, text: await readFile(path, "utf8") }
      },
      catch: (cause) => problem(`it cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`)
    })
  const parse = (text: string) => Either.mapLeft(parseKeysFile(text), (problems) => problem(problems.join("; ")))
  let mark: string | null = null
  const take = Effect.gen(function* () {
    const next = yield* read(mark)
    if (next === null) return null
    const keys = yield* parse(next.text)
    mark = next.mark
    ring.replace("file", keys)
    return keys
  })
  yield* take
  const trouble = EpisodeLog.make({
    began: (error: InvalidSettings) =>
      Effect.logError(`the keys of the file stay as they were, until it is right again: ${error.message}`),
    ended: () => Effect.logInfo("the file of keys is right again")
  })
  const again = take.pipe(
    Effect.flatMap((keys) =>
      keys === null ? Effect.void : Effect.logInfo(`the file of keys was read again: ${keys.length} key(s)`)
    ),
    Effect.zipRight(trouble.worked),
    Effect.catchAll((error) => trouble.failed(error))
  )
  yield* Effect.forkScoped(Effect.repeat(again, Schedule.spaced(pollInterval)))
})

/** Reads the keys of the database now, and whenever they have changed; while it is away those that were known count. */
const followStore = Effect.fnUntraced(function* (ring: KeyRing, store: KeyStoreShape) {
  let known: number | null = null
  const take = (stored: StoredKeys | null) => {
    if (stored === null || (known !== null && stored.revision < known)) return
    known = stored.revision
    ring.replace("database", stored.keys.map(recordOf))
  }
  const read = Effect.suspend(() => Effect.map(store.read(known), take))
  yield* read
  const away = EpisodeLog.make({
    began: (error: DatabaseError) =>
      Effect.logWarning(`keys are not read from the database, those that are known stay valid: ${error.message}`),
    ended: ({ seconds }) => Effect.logInfo(`keys are read from the database again after ${seconds}s`)
  })
  // The end of the service does not wait for a database that is silent.
  const poll = Effect.disconnect(read).pipe(
    Effect.zipRight(away.worked),
    Effect.catchAll((error) => away.failed(error))
  )
  yield* Effect.forkScoped(Effect.repeat(poll, Schedule.spaced(pollInterval)))
  // What is not seen now is seen by the poll.
  return Effect.ignore(read)
})

const recordOf = ({ revokedAtMillis, secrets, ...key }: StoredKeys["keys"][number]): KeyRecord => ({
  ...key,
  secrets: secrets.map(({ hash, validUntilMillis }) => ({
    hash,
    validUntilMillis:
      revokedAtMillis === null ? validUntilMillis : Math.min(revokedAtMillis, validUntilMillis ?? Infinity)
  }))
})

const noted = (actor: string, action: AuditAction, subject: string, details: AuditNote["details"]) =>
  Effect.map(Clock.currentTimeMillis, (atMillis): AuditNote => ({ atMillis, actor, action, subject, details }))

/** `changed` runs after each change. */
const administrationOf = (store: KeyStoreShape, changed: Effect.Effect<void>): KeyAdministrationShape => ({
  list: Effect.map(store.read(null), (stored) => stored?.keys ?? []),
  create: Effect.fnUntraced(function* (name, { sha256, ...profile }, actor) {
    const secret = sha256 === null ? newSecret() : null
    const hash = secret === null ? (sha256 ?? "") : hashOf(secret)
    const { scopes, ...more } = profile
    const entry = yield* noted(actor, "create", name, { ...more, scopes, secret_id: secretId(hash) })
    if (!(yield* store.create({ ...profile, name, hash }, entry))) return yield* new KeyExists({ name })
    yield* changed
    return { secret, secretId: secretId(hash) }
  }),
  rotate: Effect.fnUntraced(function* (name, othersForMillis, actor) {
    const secret = newSecret()
    const hash = hashOf(secret)
    const entry = yield* noted(actor, "rotate", name, {
      secret_id: secretId(hash),
      others_valid_seconds: othersForMillis / 1000
    })
    const rotation = { name, hash, othersUntilMillis: entry.atMillis + othersForMillis }
    if (!(yield* store.rotate(rotation, entry))) return yield* new KeyNotFound({ name, secretId: null })
    yield* changed
    return { secret, secretId: secretId(hash) }
  }),
  revoke: Effect.fnUntraced(function* (name, id, actor) {
    const entry = yield* noted(actor, "revoke", name, id === null ? {} : { secret_id: id })
    if (!(yield* store.revoke({ name, secretId: id }, entry))) return yield* new KeyNotFound({ name, secretId: id })
    yield* changed
  }),
  audit: store.audit
})
