import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { KeyHolder, KeyProfile } from "../../domain/access/ApiKey.ts"
import type { DatabaseError } from "../storage/Database.ts"
import type { AuditEntry, AuditQuery, StoredKey } from "../storage/KeyStore.ts"

/**
 * The keys of settings, file and database. What was known stays valid while the database is away; a change counts on
 * every replica within a second.
 */
export interface KeysShape {
  /** Nobody needs a key: there are none, and never were. */
  readonly isOpen: () => boolean
  /** Whose secret it is, and whether it has expired; null where it is nobody's. Synchronous: every request asks. */
  readonly find: (presented: string) => KeyMatch | null
  /** All whose names own something, whatever the source; expired ones too. */
  readonly named: () => ReadonlyArray<KeyHolder>
}

export class Keys extends Context.Tag("conduit/services/Keys")<Keys, KeysShape>() {}

/** Makes, rotates and revokes the keys of the database. */
export interface KeyAdministrationShape {
  /** By name. */
  readonly list: Effect.Effect<ReadonlyArray<StoredKey>, DatabaseError>
  readonly create: (
    name: string,
    profile: NewProfile,
    actor: string
  ) => Effect.Effect<MadeSecret, DatabaseError | KeyExists>
  /** Makes another secret; those before are valid for so long yet. */
  readonly rotate: (
    name: string,
    othersForMillis: number,
    actor: string
  ) => Effect.Effect<MadeSecret, DatabaseError | KeyNotFound>
  /** The key, or the one of its secrets whose id is given. */
  readonly revoke: (
    name: string,
    secretId: string | null,
    actor: string
  ) => Effect.Effect<void, DatabaseError | KeyNotFound>
  readonly audit: (query: AuditQuery) => Effect.Effect<ReadonlyArray<AuditEntry>, DatabaseError>
}

export class KeyAdministration extends Context.Tag("conduit/services/KeyAdministration")<
  KeyAdministration,
  KeyAdministrationShape
>() {}

export interface KeyMatch {
  readonly holder: KeyHolder
  readonly isExpired: boolean
}

export interface NewProfile extends KeyProfile {
  /** Of a secret that there is already, which nobody has to change then; null for a fresh one. */
  readonly sha256: string | null
}

export interface MadeSecret {
  /** Shown once: only its hash is kept. Null where it was not made here. */
  readonly secret: string | null
  readonly secretId: string
}

export class KeyExists extends Schema.TaggedError<KeyExists>()("KeyExists", { name: Schema.String }) {
  override get message() {
    return `there is a key ${this.name} already, or one with this secret: rotate it, or revoke it first`
  }
}

export class KeyNotFound extends Schema.TaggedError<KeyNotFound>()("KeyNotFound", {
  name: Schema.String,
  secretId: Schema.NullOr(Schema.String)
}) {
  override get message() {
    const what =
      this.secretId === null
        ? `no key ${JSON.stringify(this.name.slice(0, 64))}`
        : `no valid secret ${JSON.stringify(this.secretId.slice(0, 64))} of a key ${JSON.stringify(this.name.slice(0, 64))}`
    return `the database has ${what}; keys of CONDUIT_API_KEYS, CONDUIT_ADMIN_KEYS and CONDUIT_API_KEYS_FILE are changed there`
  }
}
