import type * as Effect from "effect/Effect"
import type { KeyProfile } from "../../domain/access/ApiKey.ts"
import type { DatabaseError } from "./Database.ts"

/** The keys that are stored, and the audit. A change and its line in the audit are one transaction. */
export interface KeyStoreShape {
  /** All keys; null where nothing has changed since that revision. */
  readonly read: (known: number | null) => Effect.Effect<StoredKeys | null, DatabaseError>
  /** False where there is a key of that name which is not revoked. */
  readonly create: (key: NewKey, entry: AuditNote) => Effect.Effect<boolean, DatabaseError>
  /**
   * Adds a secret, and lets the others be valid until that instant at most. False where there is no key of that name, or
   * it is revoked.
   */
  readonly rotate: (rotation: Rotation, entry: AuditNote) => Effect.Effect<boolean, DatabaseError>
  /** Of a whole key, or of the secret whose hash begins so. False where there is nothing of it that is valid. */
  readonly revoke: (revocation: Revocation, entry: AuditNote) => Effect.Effect<boolean, DatabaseError>
  readonly note: (entry: AuditNote) => Effect.Effect<void, DatabaseError>
  /** Newest first. */
  readonly audit: (query: AuditQuery) => Effect.Effect<ReadonlyArray<AuditEntry>, DatabaseError>
}

export interface StoredKeys {
  readonly revision: number
  readonly keys: ReadonlyArray<StoredKey>
}

/** Times are Unix milliseconds. */
export interface StoredKey extends KeyProfile {
  readonly name: string
  readonly createdAtMillis: number
  readonly createdBy: string
  readonly revokedAtMillis: number | null
  /** Oldest first; those that are not valid any more too. */
  readonly secrets: ReadonlyArray<StoredSecret>
}

export interface StoredSecret {
  /** SHA-256 in hex. */
  readonly hash: string
  readonly createdAtMillis: number
  readonly validUntilMillis: number | null
}

export interface NewKey extends KeyProfile {
  readonly name: string
  readonly hash: string
}

export interface Rotation {
  readonly name: string
  readonly hash: string
  readonly othersUntilMillis: number
}

export interface Revocation {
  readonly name: string
  readonly secretId: string | null
}

export const auditActions = [
  "create",
  "rotate",
  "revoke",
  "reset",
  "disable",
  "enable",
  "confirm",
  "dismiss",
  "reload"
] as const
export type AuditAction = (typeof auditActions)[number]

export interface AuditNote {
  readonly atMillis: number
  /** Who: a key, or a user of the command line. */
  readonly actor: string
  readonly action: AuditAction
  /** To what: a key, a model, or the configuration. */
  readonly subject: string
  readonly details: Readonly<Record<string, unknown>>
}

export interface AuditEntry extends AuditNote {
  /** In the order in which they were written. */
  readonly id: number
}

export interface AuditQuery {
  /** Only older ones than this; null for the newest. */
  readonly before: number | null
  readonly limit: number
}
