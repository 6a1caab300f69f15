import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import type { DatabaseShape } from "../../../../services/storage/Database.ts"
import { storeCommit } from "./Commits.ts"
import { guarded } from "./Guarded.ts"
import { pruneBatch } from "./Pruning.ts"

type Log = Pick<DatabaseShape, "commit" | "commitsAfter" | "oldestPosition" | "prune">

export const makeLog = (sql: SqlClient.SqlClient): Log => ({
  commit: Effect.fn("Database.commit")((commit) => storeCommit(sql, commit), guarded("commit")),

  commitsAfter: Effect.fn("Database.commitsAfter")(
    (routerId, position, limit) =>
      sql<{ position: number; payload: Uint8Array }>`
        SELECT l.position::float8 AS position, l.payload
        FROM learning_log l JOIN routers r ON r.key = l.router_key
        WHERE r.id = ${routerId} AND l.position > ${position} ORDER BY l.position LIMIT ${limit}`,
    guarded("commitsAfter")
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
  )
})
