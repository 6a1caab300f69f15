import * as Effect from "effect/Effect"
import * as SqlClient from "@effect/sql/SqlClient"

/**
 * A decision's time is the first 48 bits of its id, so the primary key orders by time and serves paging too. Candidates
 * are their ids, separated by commas, and six numbers each: quality, its deviation, cost in USD, latency in seconds, score,
 * propensity. `answered_by` is null where the chosen model answered, `attempts` where it did so at once.
 * There are no foreign keys: feedback may come before its decision. Whole, because a migration is never changed again.
 */
export const init = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`
    CREATE TABLE routers (
      key integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      id text NOT NULL UNIQUE,
      seed text NOT NULL,
      position bigint NOT NULL DEFAULT 0,
      remembered boolean NOT NULL DEFAULT false,
      created_at timestamptz NOT NULL DEFAULT now()
    )`
  yield* sql`CREATE UNIQUE INDEX routers_remembered ON routers (remembered) WHERE remembered`
  // A commit without events has neither position nor payload; its row only makes a repetition known.
  yield* sql`
    CREATE TABLE learning_log (
      commit_id uuid PRIMARY KEY,
      position bigint,
      router_key integer NOT NULL,
      payload bytea,
      UNIQUE (router_key, position)
    )`
  yield* sql`
    CREATE TABLE decisions (
      id uuid PRIMARY KEY,
      policy_position bigint NOT NULL,
      cost_usd double precision,
      propensity double precision NOT NULL,
      learned_quality double precision,
      learned_weight double precision,
      learned_position bigint,
      latency_ms double precision,
      first_token_ms double precision,
      request_input_tokens double precision NOT NULL,
      request_max_tokens double precision,
      input_tokens double precision,
      output_tokens double precision,
      router_key integer NOT NULL,
      ok boolean,
      aborted boolean,
      stream boolean NOT NULL,
      exploration boolean NOT NULL,
      chosen text NOT NULL,
      answered_by text,
      algorithm text NOT NULL,
      version text NOT NULL,
      features_version text NOT NULL,
      preference text NOT NULL,
      reason text NOT NULL,
      owner text,
      task text,
      user_id text,
      session_id text,
      finish_reason text,
      error text,
      weights double precision[],
      constraints text,
      features bytea NOT NULL,
      models text NOT NULL,
      excluded_by text[],
      predictions real[] NOT NULL,
      attempts text
    )`
  yield* sql`
    CREATE TABLE feedback (
      id uuid PRIMARY KEY,
      decision_id uuid NOT NULL,
      created_at_ms bigint NOT NULL,
      confidence double precision NOT NULL,
      superseded_by uuid,
      router_key integer NOT NULL,
      parked boolean NOT NULL,
      kind text NOT NULL,
      value jsonb NOT NULL,
      source text NOT NULL,
      comment text,
      owner text,
      answered text NOT NULL,
      idempotency_key text NOT NULL,
      UNIQUE (router_key, idempotency_key)
    )`
  yield* sql`CREATE INDEX feedback_decision ON feedback (decision_id)`
  yield* sql`CREATE INDEX feedback_parked ON feedback (router_key, id) WHERE parked`
  yield* sql`
    CREATE TABLE bandit_snapshots (
      router_key integer NOT NULL,
      fingerprint text NOT NULL,
      watermark bigint NOT NULL,
      saved_at timestamptz NOT NULL DEFAULT now(),
      state bytea NOT NULL,
      PRIMARY KEY (router_key, fingerprint, watermark)
    )`
})
