import * as Effect from "effect/Effect"
import * as SqlClient from "@effect/sql/SqlClient"

/**
 * Decisions added up by hour and by day. Triggers note every change of a decision, whoever makes it, a program that knows
 * nothing of the sums too; the service adds up what is noted, and bit by bit the decisions that are older than the
 * triggers: those from `summing.summed_from` on are in the sums. `before` is the row as it was, but for its user, session and features; null is a new one.
 * Numbers are decimal, so that taking back what was added leaves nothing. An empty `owner`, `task` or `reason` is none;
 * `bucket` is the hour since 1970 with which the sum begins. Whole, because a migration is never changed again.
 */
export const sums = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`
    CREATE TABLE decision_changes (
      router_key integer NOT NULL,
      seq bigint GENERATED ALWAYS AS IDENTITY,
      decision_id uuid NOT NULL,
      before jsonb,
      PRIMARY KEY (router_key, decision_id, seq)
    ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000)`
  yield* sql`
    CREATE TABLE decision_sums (
      router_key integer NOT NULL,
      bucket integer NOT NULL,
      hours smallint NOT NULL,
      requests integer NOT NULL,
      answered integer NOT NULL,
      failed integer NOT NULL,
      refused integer NOT NULL,
      empty integer NOT NULL,
      aborted integer NOT NULL,
      fallbacks integer NOT NULL,
      explored integer NOT NULL,
      priced integer NOT NULL,
      judged integer NOT NULL,
      rewarded integer NOT NULL,
      owner text NOT NULL,
      task text NOT NULL,
      model text NOT NULL,
      input_tokens numeric NOT NULL,
      output_tokens numeric NOT NULL,
      cost_usd numeric NOT NULL,
      quality numeric NOT NULL,
      quality_squares numeric NOT NULL,
      reward numeric NOT NULL,
      reward_squares numeric NOT NULL,
      latencies numeric NOT NULL,
      first_tokens numeric NOT NULL,
      PRIMARY KEY (router_key, owner, hours, bucket, task, model)
    ) WITH (fillfactor = 80)`
  yield* sql`
    CREATE TABLE failure_sums (
      router_key integer NOT NULL,
      bucket integer NOT NULL,
      hours smallint NOT NULL,
      count integer NOT NULL,
      owner text NOT NULL,
      task text NOT NULL,
      model text NOT NULL,
      reason text NOT NULL,
      PRIMARY KEY (router_key, owner, hours, bucket, task, model, reason)
    ) WITH (fillfactor = 80)`
  yield* sql`CREATE TABLE summing (router_key integer PRIMARY KEY, summed_from uuid NOT NULL)`
  yield* sql`
    CREATE TABLE cost_references (
      router_key integer NOT NULL,
      since uuid NOT NULL,
      cost_usd double precision NOT NULL,
      PRIMARY KEY (router_key, since)
    )`
  // By the right of who made the tables: a role of an older program may have none on these.
  yield* sql`
    CREATE FUNCTION conduit_note_decisions() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    BEGIN
      IF TG_OP = 'INSERT' THEN
        INSERT INTO decision_changes (router_key, decision_id) SELECT n.router_key, n.id FROM new_rows n;
      ELSE
        INSERT INTO decision_changes (router_key, decision_id, before)
        SELECT o.router_key, o.id, jsonb_strip_nulls(to_jsonb(o) - ARRAY['features', 'user_id', 'session_id']) FROM old_rows o
        WHERE EXISTS (SELECT FROM routers r WHERE r.key = o.router_key);
      END IF;
      RETURN NULL;
    END $$`
  yield* sql`
    CREATE TRIGGER decisions_inserted AFTER INSERT ON decisions REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION conduit_note_decisions()`
  yield* sql`
    CREATE TRIGGER decisions_updated AFTER UPDATE ON decisions REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION conduit_note_decisions()`
  yield* sql`
    CREATE TRIGGER decisions_deleted AFTER DELETE ON decisions REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION conduit_note_decisions()`
})
