import type * as SqlClient from "@effect/sql/SqlClient"
import { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type { CommitKey } from "../../../../domain/learning/LogMark.ts"
import { DatabaseError, type DatabaseShape, isAway, type StoredCommit } from "../../../../services/storage/Database.ts"
import { sqlState, toDatabaseError } from "../DatabaseError.ts"
import { storeCommit } from "./Commits.ts"
import { guarded, repeated, type StoreError, unknownRouter } from "./Transaction.ts"
import { pruneBatch } from "./Pruning.ts"

/** The statement was sent, and the server said nothing of it: only the server rolls back what it has refused. */
const isInDoubt = (error: StoreError): boolean =>
  sqlState(error) === undefined && !(error instanceof SqlError && /acquire connection/.test(error.message))

type Log = Pick<DatabaseShape, "commit" | "readLog" | "oldestPosition" | "prune">

/** `position` is null where there is no commit; `payload` is null up to the position that is read after. */
interface LogRow {
  readonly end: number
  readonly position: number | null
  readonly commitId: string
  readonly payload: Uint8Array | null
}

export const makeLog = (sql: SqlClient.SqlClient): Log => ({
  commit: (commit) =>
    Effect.mapError(repeated(storeCommit(sql, commit)), (error) => {
      const told = toDatabaseError("commit")(error)
      return isInDoubt(error) && isAway(told) ? new DatabaseError({ ...told, mayBeStored: true }) : told
    }),

  readLog: Effect.fn("Database.readLog")(function* (routerId, { after, limit, overlap }) {
    const rows = yield* sql<{ [Key in keyof LogRow]: LogRow[Key] }>`
      SELECT r.position::float8 AS "end", l.position::float8 AS position, l.commit_id AS "commitId", l.payload
      FROM routers r LEFT JOIN LATERAL (
        (SELECT position, commit_id, NULL::bytea AS payload FROM learning_log
         WHERE router_key = r.key AND position > ${after - overlap} AND position <= ${after})
        UNION ALL
        (SELECT position, commit_id, payload FROM learning_log
         WHERE router_key = r.key AND position > ${after} ORDER BY position LIMIT ${limit})) l ON true
      WHERE r.id = ${routerId} ORDER BY l.position`
    const [first] = rows
    if (first === undefined) return yield* unknownRouter("readLog", routerId)
    const before: Array<CommitKey> = []
    const commits: Array<StoredCommit> = []
    for (const { commitId, payload, position } of rows) {
      if (position === null) continue
      if (payload === null) before.push({ position, commitId })
      else commits.push({ position, commitId, payload })
    }
    return { end: first.end, before, commits }
  }, guarded("readLog")),

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
  )
})
