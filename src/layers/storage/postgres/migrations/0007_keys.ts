import * as Effect from "effect/Effect"
import * as SqlClient from "@effect/sql/SqlClient"

/**
 * Keys are few and read whole, so that nothing but their revision is asked for each time. A revoked key keeps its row: its
 * name owns what was written under it, and its secrets say what was written before it had the name. Times are Unix
 * milliseconds.
 */
export const keys = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`
    CREATE TABLE api_keys (
      name text PRIMARY KEY,
      profile jsonb NOT NULL,
      created_at_ms bigint NOT NULL,
      created_by text NOT NULL,
      revoked_at_ms bigint
    )`
  yield* sql`
    CREATE TABLE api_key_secrets (
      hash text PRIMARY KEY,
      name text NOT NULL,
      created_at_ms bigint NOT NULL,
      valid_until_ms bigint
    )`
  yield* sql`CREATE INDEX api_key_secrets_name ON api_key_secrets (name)`
  yield* sql`CREATE TABLE api_key_revision (is_one boolean PRIMARY KEY DEFAULT true CHECK (is_one), revision bigint NOT NULL)`
  yield* sql`
    CREATE TABLE audit_log (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      at_ms bigint NOT NULL,
      actor text NOT NULL,
      action text NOT NULL,
      subject text NOT NULL,
      details jsonb NOT NULL
    )`
})
