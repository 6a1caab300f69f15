import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { scopes } from "../../../../domain/access/ApiKey.ts"
import { storable } from "../../../../domain/basics/StorableText.ts"
import { auditActions, type AuditNote, type KeyStoreShape } from "../../../../services/storage/KeyStore.ts"
import { guarded, readCommitted, transact } from "./Transaction.ts"

const NumberOrNull = Schema.NullOr(Schema.Number)
const profile = {
  scopes: Schema.Array(Schema.Literal(...scopes)),
  expiresAtMillis: NumberOrNull,
  allowedModels: Schema.NullOr(Schema.Array(Schema.String)),
  limits: Schema.Struct({
    requestsPerMinute: NumberOrNull,
    tokensPerMinute: NumberOrNull,
    concurrentRequests: NumberOrNull,
    usdPerDay: NumberOrNull,
    usdPerMonth: NumberOrNull,
    // Keys that were made before it have none.
    paced: Schema.optionalWith(Schema.Boolean, { default: () => false })
  }),
  labels: Schema.Record({ key: Schema.String, value: Schema.String })
}
const Profile = Schema.Struct(profile)
const Row = Schema.Struct({
  name: Schema.String,
  profile: Profile,
  createdAtMillis: Schema.Number,
  createdBy: Schema.String,
  revokedAtMillis: NumberOrNull,
  secrets: Schema.Array(
    Schema.Struct({ hash: Schema.String, createdAtMillis: Schema.Number, validUntilMillis: NumberOrNull })
  )
})
const decodeRows = Schema.decodeUnknown(Schema.Array(Row))
const encodeProfile = Schema.encodeSync(Profile)

const Entry = Schema.Struct({
  id: Schema.Number,
  atMillis: Schema.Number,
  actor: Schema.String,
  action: Schema.Literal(...auditActions),
  subject: Schema.String,
  details: Schema.Record({ key: Schema.String, value: Schema.Unknown })
})
const decodeEntries = Schema.decodeUnknown(Schema.Array(Entry))

/** Whole, because it is one service: a statement and its note a method. */
export const makeKeys = (sql: SqlClient.SqlClient): KeyStoreShape => {
  const note = ({ action, actor, atMillis, details, subject }: AuditNote) =>
    sql`INSERT INTO audit_log (at_ms, actor, action, subject, details)
        VALUES (${atMillis}, ${storable(actor)}, ${action}, ${storable(subject)}, ${storable(JSON.stringify(details))}::jsonb)`

  /** One transaction: what changes, and, if it did, the new revision and the note. */
  const changed = <E>(entry: AuditNote, change: Effect.Effect<boolean, E>) =>
    transact(
      sql,
      readCommitted
    )(
      Effect.gen(function* () {
        // Whoever changes keys waits for the others here.
        yield* sql`INSERT INTO api_key_revision AS r (revision) VALUES (1) ON CONFLICT (is_one) DO UPDATE SET revision = r.revision + 1`
        const isChanged = yield* change
        if (isChanged) yield* note(entry)
        return isChanged
      })
    )

  const addSecret = (name: string, hash: string, atMillis: number) =>
    sql`INSERT INTO api_key_secrets (hash, name, created_at_ms) VALUES (${hash}, ${name}, ${atMillis})`

  return {
    read: Effect.fn("KeyStore.read")(function* (known) {
      const [row] = yield* sql<{ revision: number; keys: unknown }>`
        SELECT r.revision::float8 AS revision, CASE WHEN r.revision IS DISTINCT FROM ${known}::bigint THEN coalesce((
          SELECT json_agg(json_build_object('name', k.name, 'profile', k.profile, 'createdAtMillis', k.created_at_ms,
            'createdBy', k.created_by, 'revokedAtMillis', k.revoked_at_ms, 'secrets', coalesce((
              SELECT json_agg(json_build_object('hash', s.hash, 'createdAtMillis', s.created_at_ms,
                'validUntilMillis', s.valid_until_ms) ORDER BY s.created_at_ms, s.hash)
              FROM api_key_secrets s WHERE s.name = k.name), '[]'::json)) ORDER BY k.name)
          FROM api_keys k), '[]'::json) END AS keys
        FROM (SELECT coalesce((SELECT revision FROM api_key_revision), 0) AS revision) r`
      if (row === undefined || row.keys === null) return null
      const rows = yield* decodeRows(row.keys)
      return { revision: row.revision, keys: rows.map(({ profile, ...key }) => ({ ...key, ...profile })) }
    }, guarded("readKeys")),

    create: Effect.fn("KeyStore.create")(
      (key, entry) =>
        changed(
          entry,
          Effect.gen(function* () {
            if ((yield* sql`SELECT FROM api_key_secrets WHERE hash = ${key.hash}`).length > 0) return false
            const made = yield* sql`
              INSERT INTO api_keys AS k (name, profile, created_at_ms, created_by)
              VALUES (${key.name}, ${JSON.stringify(encodeProfile(key))}::jsonb, ${entry.atMillis}, ${storable(entry.actor)})
              ON CONFLICT (name) DO UPDATE SET profile = excluded.profile, created_at_ms = excluded.created_at_ms,
                created_by = excluded.created_by, revoked_at_ms = NULL WHERE k.revoked_at_ms IS NOT NULL RETURNING name`
            if (made.length > 0) yield* addSecret(key.name, key.hash, entry.atMillis)
            return made.length > 0
          })
        ),
      guarded("createKey")
    ),

    rotate: Effect.fn("KeyStore.rotate")(
      ({ hash, name, othersUntilMillis }, entry) =>
        changed(
          entry,
          Effect.gen(function* () {
            const found = yield* sql`SELECT FROM api_keys WHERE name = ${name} AND revoked_at_ms IS NULL`
            if (found.length === 0) return false
            yield* sql`UPDATE api_key_secrets SET valid_until_ms = least(valid_until_ms, ${othersUntilMillis}::bigint)
                       WHERE name = ${name}`
            yield* addSecret(name, hash, entry.atMillis)
            return true
          })
        ),
      guarded("rotateKey")
    ),

    revoke: Effect.fn("KeyStore.revoke")(
      ({ name, secretId }, entry) =>
        changed(
          entry,
          Effect.gen(function* () {
            if (secretId === null) {
              const gone = yield* sql`UPDATE api_keys SET revoked_at_ms = ${entry.atMillis}
                WHERE name = ${name} AND revoked_at_ms IS NULL RETURNING name`
              if (gone.length === 0) return false
            }
            const dropped = yield* sql`UPDATE api_key_secrets SET valid_until_ms = ${entry.atMillis}
              WHERE name = ${name} AND left(hash, length(${secretId ?? ""}::text)) = ${secretId ?? ""}
                AND coalesce(valid_until_ms > ${entry.atMillis}, true) RETURNING hash`
            return secretId === null || dropped.length > 0
          })
        ),
      guarded("revokeKey")
    ),

    note: Effect.fn("KeyStore.note")((entry) => Effect.asVoid(note(entry)), guarded("note")),

    audit: Effect.fn("KeyStore.audit")(
      ({ before, limit }) =>
        Effect.flatMap(
          sql`SELECT id::float8 AS id, at_ms::float8 AS "atMillis", actor, action, subject, details FROM audit_log
              WHERE ${before}::bigint IS NULL OR id < ${before}::bigint ORDER BY id DESC LIMIT ${limit}`,
          decodeEntries
        ),
      guarded("audit")
    )
  }
}
