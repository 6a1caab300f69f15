import type * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Pg from "pg"
import { type CommitPlan, type Existing, planCommit, planConstants } from "../../../../domain/learning/CommitPlan.ts"
import { encodeEvents } from "../../../../domain/learning/EventCodec.ts"
import type { RouterId } from "../../../../domain/basics/Ids.ts"
import { storable } from "../../../../domain/basics/StorableText.ts"
import type { Commit, Committed } from "../../../../services/storage/Database.ts"
import { violated } from "../DatabaseError.ts"
import type { Statement } from "../Statement.ts"
import { commitStatement } from "./CommitStatement.ts"
import { isConflict, readCommitted, type StoreError, transact, transactAfter, unknownRouter } from "./Transaction.ts"
import { decisionsById, decodeDecisions, decodeFeedbacks, feedbackBy } from "./Reading.ts"

const nothing: Existing = { decisions: new Map(), feedback: [], parkingRoom: 0 }

/** A retry with one idempotency key may meet another replica's commit of it, which it then finds. */
const tries = 3

/** Stores a commit; `Database.commit` says what that means. */
export const storeCommit = (sql: SqlClient.SqlClient, commit: Commit): Effect.Effect<Committed, StoreError> =>
  commitOnce(sql, commit, tries - 1)

/** A unique violation means that the commit is stored already, or that two replicas got one idempotency key at once. */
const commitOnce = (
  sql: SqlClient.SqlClient,
  commit: Commit,
  triesLeft: number
): Effect.Effect<Committed, StoreError> =>
  planAndWrite(sql, commit).pipe(
    Effect.catchAll((error) => {
      const constraint = violated(error)
      if (constraint === undefined) return Effect.fail(error)
      return Effect.flatMap(storedBefore(sql, commit), (before) =>
        Option.isSome(before)
          ? Effect.succeed(before.value)
          : triesLeft > 0 && constraint.startsWith("feedback_")
            ? commitOnce(sql, commit, triesLeft - 1)
            : Effect.fail(error)
      )
    })
  )

/**
 * One round trip for decisions alone; three where stored rows matter: begin and read, write, commit. A statement alone
 * has the isolation that the database has by default, and where that is a higher one replicas conflict: then the second
 * try says which it wants.
 */
const planAndWrite = (sql: SqlClient.SqlClient, commit: Commit): Effect.Effect<Committed, StoreError> =>
  commit.reports.length + commit.feedback.length + commit.joined.length === 0
    ? Effect.suspend(() => {
        const plan = planCommit(nothing, commit, planConstants)
        return Effect.catchIf(write(alone(sql), commit, plan), isConflict, () =>
          transact(sql, readCommitted)(write(inTransaction(sql), commit, plan))
        )
      })
    : transactAfter(sql, { begin: readCommitted, first: existingStatements(commit) }, ([decisions, feedback]) =>
        Effect.flatMap(existingOf(sql, commit, decisions ?? [], feedback ?? []), (existing) =>
          write(inTransaction(sql), commit, planCommit(existing, commit, planConstants))
        )
      )

const arrayLiteral = (type: string, items: ReadonlyArray<string>): string =>
  `ARRAY[${items.map((item) => Pg.escapeLiteral(storable(item))).join(", ")}]::${type}[]`

/**
 * Locks the decisions that the commit names and reads them, then all feedback that matters: a later statement sees what
 * was stored while the lock was waited for. Without parameters, so that they can go along with BEGIN.
 */
const existingStatements = (commit: Commit): ReadonlyArray<string> => {
  const router = Pg.escapeLiteral(commit.routerId)
  const named = [...commit.reports, ...commit.feedback, ...commit.joined].map((one) => one.decisionId)
  const ids = arrayLiteral("uuid", Array.from(new Set<string>(named)))
  const keys = arrayLiteral(
    "text",
    commit.feedback.map((one) => one.idempotencyKey)
  )
  return [
    `${decisionsById(router, ids)} FOR UPDATE OF d`,
    feedbackBy(router, `(f.decision_id = ANY(${ids}) OR f.idempotency_key = ANY(${keys}))`)
  ]
}

const existingOf = (
  sql: SqlClient.SqlClient,
  commit: Commit,
  decisionRows: ReadonlyArray<unknown>,
  feedbackRows: ReadonlyArray<unknown>
): Effect.Effect<Existing, StoreError> =>
  Effect.gen(function* () {
    const decisions = yield* decodeDecisions(commit.routerId, decisionRows)
    const feedback = yield* decodeFeedbacks(feedbackRows)
    const known = new Set<string>([...commit.decisions, ...decisions.map(({ record }) => record)].map(idOf))
    const parks = commit.feedback.some((one) => !known.has(one.decisionId))
    return {
      decisions: new Map(decisions.map((entry) => [entry.record.decision.id, entry])),
      feedback,
      parkingRoom: parks ? commit.maxParked - (yield* countParked(sql, commit.routerId, commit.maxParked)) : 0
    }
  })

const idOf = ({ decision }: Commit["decisions"][number]) => decision.id

/** Counts no further than the limit. */
const countParked = (sql: SqlClient.SqlClient, routerId: RouterId, limit: number) =>
  sql<{ parked: number }>`
    SELECT count(*)::float8 AS parked FROM (
      SELECT 1 FROM feedback f JOIN routers r ON r.key = f.router_key
      WHERE r.id = ${routerId} AND f.parked LIMIT ${limit}) parked`.pipe(Effect.map(([row]) => row?.parked ?? 0))

type Run = (statement: Statement) => Effect.Effect<ReadonlyArray<{ readonly position: number }>, SqlError>

const inTransaction =
  (sql: SqlClient.SqlClient): Run =>
  ({ text, values }) =>
    sql.unsafe<{ position: number }>(text, values)

/** Without the span that the client makes of each statement, and nobody records: there are twenty commits a second. */
const alone =
  (sql: SqlClient.SqlClient): Run =>
  ({ text, values }) =>
    Effect.scoped(Effect.flatMap(sql.reserve, (connection) => connection.executeUnprepared(text, values, undefined)))

const write = (run: Run, commit: Commit, plan: CommitPlan): Effect.Effect<Committed, StoreError> => {
  const payload = plan.events.length === 0 ? null : encodeEvents(plan.events)
  return Effect.flatMap(run(commitStatement(commit, plan, payload)), ([row]) => {
    if (row === undefined) return Effect.fail(unknownRouter("commit", commit.routerId))
    const { feedback, joined, judged, reports } = plan
    return Effect.succeed({ position: row.position, duplicate: false, payload, feedback, reports, joined, judged })
  })
}

const storedBefore = (sql: SqlClient.SqlClient, commit: Commit): Effect.Effect<Option.Option<Committed>, StoreError> =>
  sql<{ position: number }>`
    SELECT coalesce(l.position, r.position)::float8 AS position
    FROM learning_log l JOIN routers r ON r.key = l.router_key
    WHERE l.commit_id = ${commit.commitId} AND r.id = ${commit.routerId}`.pipe(
    Effect.map(([row]) =>
      row === undefined
        ? Option.none()
        : Option.some({
            position: row.position,
            duplicate: true,
            payload: null,
            feedback: [],
            reports: [],
            joined: 0,
            judged: []
          })
    )
  )
