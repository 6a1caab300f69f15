import type * as SqlClient from "@effect/sql/SqlClient"
import type * as SqlError from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as ParseResult from "effect/ParseResult"
import {
  type CommitPlan,
  type Existing,
  planCommit,
  planConstants,
  type StoredFeedback,
  toFeedback,
  toSubmission
} from "../../../domain/learning/CommitPlan.ts"
import { encodeEvents } from "../../../domain/learning/EventCodec.ts"
import { DecisionId, RouterId } from "../../../domain/basics/Ids.ts"
import { storable } from "../../../domain/basics/StorableText.ts"
import {
  type Commit,
  type Committed,
  DatabaseError,
  type DatabaseShape,
  type RouterRow,
  WindowTooLong
} from "../../../services/storage/Database.ts"
import { sqlState, toDatabaseError, violated } from "./DatabaseError.ts"
import { channel } from "./Listen.ts"
import { listStatement } from "./Listing.ts"
import {
  decisionColumns,
  decisionJson,
  decisionRecordset,
  decisionRecordsetColumns,
  decisionUpdateJson,
  decisionUpdateRecordset,
  decodeDecisionRow,
  decodeFeedbackRow,
  feedbackColumns,
  feedbackJson,
  feedbackOf,
  feedbackRecordset,
  feedbackRecordsetColumns,
  learnedOf,
  promptJson,
  recordOf,
  toJson
} from "./Rows.ts"
import { pruneBatch } from "./Pruning.ts"
import { transact } from "./Start.ts"
import { selectSavings } from "./PgSavings.ts"
import { selectStats } from "./PgStats.ts"

type StoreError = SqlError.SqlError | ParseResult.ParseError | DatabaseError

const insertDecisions = decisionRecordsetColumns.join(", ")
const selectDecisions = decisionRecordsetColumns.map((column) => `x.${column}`).join(", ")
const insertFeedback = feedbackRecordsetColumns.join(", ")
const selectFeedback = feedbackRecordsetColumns.map((column) => `x.${column}`).join(", ")

/**
 * One commit in one statement. The lock on the router's row, held to the end of the transaction, makes the order of
 * positions the order of commits, so a reader never skips one that commits late.
 */
const commitStatement = (plan: CommitPlan): string => {
  const parts = [
    `r AS (SELECT key, position FROM routers WHERE id = $1)`,
    `moved AS (UPDATE routers SET position = position + 1 WHERE id = $1 AND $3::bytea IS NOT NULL RETURNING position)`,
    `logged AS (INSERT INTO learning_log (router_key, position, commit_id, payload)
       SELECT r.key, (SELECT position FROM moved), $2::uuid, $3::bytea FROM r)`,
    `made AS (INSERT INTO decisions (router_key, learned_position, ${insertDecisions})
       SELECT r.key, CASE WHEN x.learned_weight IS NOT NULL THEN (SELECT position FROM moved) END, ${selectDecisions}
       FROM r, json_to_recordset($4::json) AS x(${decisionRecordset}))`
  ]
  if (hasPrompts(plan)) {
    parts.push(
      `prompted AS (INSERT INTO prompts (decision_id, router_key, prompt)
         SELECT x.decision_id, r.key, x.prompt FROM r, json_to_recordset($9::json) AS x(decision_id uuid, prompt text))`
    )
  }
  if (isWide(plan)) {
    parts.push(
      `changed AS (UPDATE decisions d SET
         ok = coalesce(x.ok, d.ok), aborted = coalesce(x.aborted, d.aborted), answered_by = nullif(coalesce(x.answered_by, d.answered_by), d.chosen),
         finish_reason = coalesce(x.finish_reason, d.finish_reason), input_tokens = coalesce(x.input_tokens, d.input_tokens),
         output_tokens = coalesce(x.output_tokens, d.output_tokens), cost_usd = coalesce(x.cost_usd, d.cost_usd),
         latency_ms = coalesce(x.latency_ms, d.latency_ms), first_token_ms = coalesce(x.first_token_ms, d.first_token_ms),
         error = coalesce(x.error, d.error),
         learned_quality = coalesce(x.learned_quality, d.learned_quality),
         learned_weight = coalesce(x.learned_weight, d.learned_weight),
         learned_position = coalesce(d.learned_position, CASE WHEN x.learned_weight IS NOT NULL THEN (SELECT position FROM moved) END)
       FROM json_to_recordset($5::json) AS x(${decisionUpdateRecordset}) WHERE d.id = x.id)`,
      `said AS (INSERT INTO feedback (router_key, ${insertFeedback})
         SELECT r.key, ${selectFeedback} FROM r, json_to_recordset($6::json) AS x(${feedbackRecordset}))`,
      `revised AS (UPDATE feedback f SET superseded_by = x.superseded_by, parked = x.parked
         FROM json_to_recordset($7::json) AS x(id uuid, superseded_by uuid, parked boolean) WHERE f.id = x.id)`,
      `removed AS (DELETE FROM feedback WHERE id = ANY($8::uuid[]))`
    )
  }
  return `WITH ${parts.join(",\n")} SELECT coalesce((SELECT position FROM moved), r.position)::float8 AS position,
    (SELECT pg_notify('${channel}', $1::text || ' ' || position) FROM moved) FROM r`
}

const hasPrompts = (plan: CommitPlan): boolean => plan.decisions.some(({ record }) => record.prompt !== null)

const isWide = (plan: CommitPlan): boolean =>
  hasPrompts(plan) ||
  plan.decisionUpdates.length + plan.feedbackRows.length + plan.feedbackUpdates.length + plan.feedbackRemoved.length > 0

/** What every method does, over a client whose statements have their limits. */
export const makeStore = (sql: SqlClient.SqlClient): Omit<DatabaseShape, "changes"> => {
  const guarded =
    (operation: string) =>
    <A>(effect: Effect.Effect<A, StoreError>): Effect.Effect<A, DatabaseError> =>
      Effect.mapError(effect, toDatabaseError(operation))

  /** The statement was cancelled at its limit. */
  const inTime =
    (operation: string) =>
    <A>(effect: Effect.Effect<A, StoreError>): Effect.Effect<A, DatabaseError | WindowTooLong> =>
      Effect.mapError(effect, (error) =>
        sqlState(error) === "57014" ? new WindowTooLong() : toDatabaseError(operation)(error)
      )

  const unknownRouter = (operation: string, routerId: RouterId) =>
    new DatabaseError({ operation, reason: "unexpected", detail: `there is no router ${routerId}` })

  const decisionsWhere = (routerId: RouterId, ids: ReadonlyArray<string>, lock: boolean) =>
    sql
      .unsafe(
        `SELECT ${decisionColumns} FROM decisions d JOIN routers r ON r.key = d.router_key
         LEFT JOIN prompts p ON p.decision_id = d.id WHERE r.id = $1 AND d.id = ANY($2::uuid[]) ORDER BY d.id ${lock ? "FOR UPDATE OF d" : ""}`,
        [routerId, ids]
      )
      .pipe(
        Effect.flatMap(Effect.forEach((row) => decodeDecisionRow(row))),
        Effect.map((rows) => rows.map((row) => ({ record: recordOf(routerId, row), learned: learnedOf(row) })))
      )

  const feedbackWhere = (
    routerId: RouterId,
    ids: ReadonlyArray<string>,
    keys: ReadonlyArray<string>
  ): Effect.Effect<ReadonlyArray<StoredFeedback>, StoreError> =>
    sql
      .unsafe(
        `SELECT ${feedbackColumns} FROM feedback f JOIN routers r ON r.key = f.router_key
         WHERE r.id = $1 AND (f.decision_id = ANY($2::uuid[]) OR f.idempotency_key = ANY($3::text[]))
         ORDER BY f.created_at_ms, f.id`,
        [routerId, ids, keys]
      )
      .pipe(
        Effect.flatMap(Effect.forEach((row) => decodeFeedbackRow(row))),
        Effect.map((rows) => rows.map(feedbackOf))
      )

  const write = (commit: Commit, plan: CommitPlan): Effect.Effect<Committed, StoreError> => {
    const payload = plan.events.length === 0 ? null : encodeEvents(plan.events)
    const narrow = [commit.routerId, commit.commitId, payload, toJson(plan.decisions.map(decisionJson))]
    const parameters = isWide(plan)
      ? [
          ...narrow,
          toJson(plan.decisionUpdates.map(decisionUpdateJson)),
          toJson(plan.feedbackRows.map(feedbackJson)),
          toJson(plan.feedbackUpdates.map((u) => ({ id: u.id, superseded_by: u.supersededBy, parked: u.parked }))),
          plan.feedbackRemoved,
          ...(hasPrompts(plan)
            ? [toJson(plan.decisions.filter(({ record }) => record.prompt !== null).map(promptJson))]
            : [])
        ]
      : narrow
    return sql.unsafe<{ position: number }>(commitStatement(plan), parameters).pipe(
      Effect.flatMap(([row]) =>
        row === undefined
          ? Effect.fail(unknownRouter("commit", commit.routerId))
          : Effect.succeed({
              position: row.position,
              duplicate: false,
              feedback: plan.feedback,
              reports: plan.reports,
              joined: plan.joined,
              judged: plan.judged
            })
      )
    )
  }

  /** Counts no further than the limit. */
  const countParked = (routerId: RouterId, limit: number) =>
    sql<{ parked: number }>`
      SELECT count(*)::float8 AS parked FROM (
        SELECT 1 FROM feedback f JOIN routers r ON r.key = f.router_key
        WHERE r.id = ${routerId} AND f.parked LIMIT ${limit}) parked`.pipe(Effect.map(([row]) => row?.parked ?? 0))

  const existingFor = (commit: Commit) =>
    Effect.gen(function* () {
      const named = [...commit.reports, ...commit.feedback, ...commit.joined].map((one) => one.decisionId)
      const ids = Array.from(new Set<string>(named))
      const decisions = yield* decisionsWhere(commit.routerId, ids, true)
      const feedback = yield* feedbackWhere(
        commit.routerId,
        ids,
        commit.feedback.map((one) => one.idempotencyKey)
      )
      const known = new Set<string>(commit.decisions.map((record) => record.decision.id))
      for (const { record } of decisions) known.add(record.decision.id)
      const parks = commit.feedback.some((one) => !known.has(one.decisionId))
      const existing: Existing = {
        decisions: new Map(decisions.map((entry) => [entry.record.decision.id, entry])),
        feedback,
        parkingRoom: parks ? commit.maxParked - (yield* countParked(commit.routerId, commit.maxParked)) : 0
      }
      return existing
    })

  const nothing: Existing = { decisions: new Map(), feedback: [], parkingRoom: 0 }

  const store = (commit: Commit): Effect.Effect<Committed, StoreError> =>
    commit.reports.length + commit.feedback.length + commit.joined.length === 0
      ? write(commit, planCommit(nothing, commit, planConstants))
      : transact(
          sql,
          Effect.flatMap(existingFor(commit), (existing) => write(commit, planCommit(existing, commit, planConstants)))
        )

  const storedBefore = (commit: Commit): Effect.Effect<Option.Option<Committed>, StoreError> =>
    sql<{ position: number }>`
      SELECT coalesce(l.position, r.position)::float8 AS position
      FROM learning_log l JOIN routers r ON r.key = l.router_key
      WHERE l.commit_id = ${commit.commitId} AND r.id = ${commit.routerId}`.pipe(
      Effect.map(([row]) =>
        row === undefined
          ? Option.none()
          : Option.some({ position: row.position, duplicate: true, feedback: [], reports: [], joined: 0, judged: [] })
      )
    )

  /** A unique violation means that the commit is stored already, or that two replicas got one idempotency key at once. */
  const commitOnce = (commit: Commit, triesLeft: number): Effect.Effect<Committed, StoreError> =>
    store(commit).pipe(
      Effect.catchAll((error) => {
        const constraint = violated(error)
        if (constraint === undefined) return Effect.fail(error)
        return Effect.flatMap(storedBefore(commit), (before) =>
          Option.isSome(before)
            ? Effect.succeed(before.value)
            : triesLeft > 0 && constraint.startsWith("feedback_")
              ? commitOnce(commit, triesLeft - 1)
              : Effect.fail(error)
        )
      })
    )

  const selectRouter = (id: Option.Option<RouterId>): Effect.Effect<Option.Option<RouterRow>, StoreError> =>
    sql<{ id: string; seed: string; position: number }>`
      SELECT id, seed, position::float8 AS position FROM routers
      WHERE ${Option.isSome(id) ? sql`id = ${id.value}` : sql`remembered`}`.pipe(
      Effect.map(([row]) =>
        row === undefined
          ? Option.none()
          : Option.some({ id: RouterId(row.id), seed: row.seed, position: row.position })
      )
    )

  return {
    router: Effect.fn("Database.router")(function* (id) {
      const found = yield* selectRouter(id)
      if (Option.isSome(found)) return found.value
      yield* Option.isSome(id)
        ? sql`INSERT INTO routers (id, seed) VALUES (${id.value}, gen_random_uuid()::text) ON CONFLICT DO NOTHING`
        : sql`INSERT INTO routers (id, seed, remembered)
              VALUES ('router-' || left(gen_random_uuid()::text, 8), gen_random_uuid()::text, true) ON CONFLICT DO NOTHING`
      const made = yield* selectRouter(id)
      if (Option.isSome(made)) return made.value
      return yield* new DatabaseError({
        operation: "router",
        reason: "unexpected",
        detail: "the router could not be made"
      })
    }, guarded("router")),

    commit: Effect.fn("Database.commit")((commit) => commitOnce(commit, 2).pipe(guarded("commit"))),

    commitsAfter: Effect.fn("Database.commitsAfter")(
      (routerId, position, limit) =>
        sql<{ position: number; payload: Uint8Array }>`
          SELECT l.position::float8 AS position, l.payload
          FROM learning_log l JOIN routers r ON r.key = l.router_key
          WHERE r.id = ${routerId} AND l.position > ${position} ORDER BY l.position LIMIT ${limit}`,
      guarded("commitsAfter")
    ),

    position: Effect.fn("Database.position")(function* (routerId) {
      const found = yield* selectRouter(Option.some(routerId))
      return Option.isSome(found) ? found.value.position : yield* unknownRouter("position", routerId)
    }, guarded("position")),

    decision: Effect.fn("Database.decision")(function* (routerId, id: DecisionId) {
      const [found] = yield* decisionsWhere(routerId, [id], false)
      if (found === undefined) return Option.none()
      const feedback = yield* feedbackWhere(routerId, [id], [])
      return Option.some({ record: found.record, feedback: feedback.map(toFeedback) })
    }, guarded("decision")),

    decisions: Effect.fn("Database.decisions")(function* (routerId, query) {
      const { text, values } = listStatement(routerId, query)
      const rows = yield* Effect.flatMap(
        sql.unsafe(text, values),
        Effect.forEach((row) => decodeDecisionRow(row))
      )
      const ids = rows.map((row) => row.id)
      const feedback = yield* feedbackWhere(routerId, ids, [])
      return rows.map((row) => ({
        record: recordOf(routerId, row),
        feedback: feedback.filter((one) => one.decisionId === row.id).map(toFeedback)
      }))
    }, guarded("decisions")),

    stats: Effect.fn("Database.stats")((routerId, query) => selectStats(sql, routerId, query), inTime("stats")),

    savings: Effect.fn("Database.savings")(
      (routerId, query, sampled) => selectSavings(sql, routerId, query, sampled),
      inTime("savings")
    ),

    sessionDecisions: Effect.fn("Database.sessionDecisions")(
      (routerId, session, limit) =>
        sql<{ id: string }>`
          SELECT d.id FROM decisions d JOIN routers r ON r.key = d.router_key
          WHERE r.id = ${routerId} AND d.session_id = ${storable(session.sessionId)}
            AND d.owner IS NOT DISTINCT FROM ${session.owner} AND d.ok
          ORDER BY d.id DESC LIMIT ${limit}`.pipe(Effect.map((rows) => rows.map((row) => DecisionId(row.id)))),
      guarded("sessionDecisions")
    ),

    feedbackByKey: Effect.fn("Database.feedbackByKey")(
      (routerId, idempotencyKey) =>
        Effect.map(feedbackWhere(routerId, [], [idempotencyKey]), ([row]) => Option.fromNullable(row)),
      guarded("feedbackByKey")
    ),

    joinable: Effect.fn("Database.joinable")(
      (routerId, limit) =>
        sql
          .unsafe(
            `SELECT ${feedbackColumns} FROM feedback f JOIN routers r ON r.key = f.router_key
             JOIN decisions d ON d.id = f.decision_id AND d.router_key = f.router_key
             WHERE r.id = $1 AND f.parked ORDER BY f.id LIMIT $2`,
            [routerId, limit]
          )
          .pipe(
            Effect.flatMap(Effect.forEach((row) => decodeFeedbackRow(row))),
            Effect.map((rows) => rows.map((row) => toSubmission(feedbackOf(row))))
          ),
      guarded("joinable")
    ),

    oldestPosition: Effect.fn("Database.oldestPosition")(
      (routerId) =>
        sql<{ position: number }>`
          SELECT l.position::float8 AS position FROM learning_log l JOIN routers r ON r.key = l.router_key
          WHERE r.id = ${routerId} AND l.position IS NOT NULL ORDER BY l.position LIMIT 1`.pipe(
          Effect.map(([row]) => row?.position ?? 0)
        ),
      guarded("oldestPosition")
    ),

    prune: Effect.fn("Database.prune")(
      (routerId, limits, batch) => pruneBatch(sql, routerId, limits, batch),
      guarded("prune")
    ),

    snapshots: Effect.fn("Database.snapshots")(
      (routerId, fingerprint) =>
        sql<{ watermark: number; state: Uint8Array }>`
          SELECT s.watermark::float8 AS watermark, s.state
          FROM bandit_snapshots s JOIN routers r ON r.key = s.router_key
          WHERE r.id = ${routerId} AND s.fingerprint = ${storable(fingerprint)} ORDER BY s.watermark DESC`,
      guarded("snapshots")
    ),

    saveSnapshot: Effect.fn("Database.saveSnapshot")(
      (routerId, fingerprint, snapshot) =>
        transact(
          sql,
          Effect.gen(function* () {
            const [router] = yield* sql<{ key: number }>`
              INSERT INTO bandit_snapshots (router_key, fingerprint, watermark, state)
              SELECT key, ${storable(fingerprint)}, ${snapshot.watermark}, ${snapshot.state} FROM routers WHERE id = ${routerId}
              ON CONFLICT (router_key, fingerprint, watermark) DO UPDATE SET state = excluded.state, saved_at = now()
              RETURNING router_key AS key`
            if (router === undefined) return yield* unknownRouter("saveSnapshot", routerId)
            yield* sql`
              DELETE FROM bandit_snapshots WHERE router_key = ${router.key} AND fingerprint = ${storable(fingerprint)}
              AND watermark < (SELECT min(watermark) FROM (
                SELECT watermark FROM bandit_snapshots
                WHERE router_key = ${router.key} AND fingerprint = ${storable(fingerprint)}
                ORDER BY watermark DESC LIMIT 2) newest)`
          })
        ),
      guarded("saveSnapshot")
    )
  }
}
