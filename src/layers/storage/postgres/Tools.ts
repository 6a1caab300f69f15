import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import { uuidV7From } from "../../../domain/basics/Ids.ts"
import { storable } from "../../../domain/basics/StorableText.ts"
import type { DatabaseToolsShape } from "../../../services/storage/DatabaseTools.ts"
import { decisionSelection } from "./rows/DecisionColumns.ts"
import { guarded, readCommitted, transact } from "./store/Transaction.ts"
import { selectDecisions } from "./store/Reading.ts"
import { selectRouter } from "./store/Routers.ts"

const noBytes = new Uint8Array(10)

/** What the commands need, over a client whose statements have their limits. */
export const makeTools = (sql: SqlClient.SqlClient): DatabaseToolsShape => ({
  findRouter: Effect.fn("DatabaseTools.findRouter")((id) => selectRouter(sql, id), guarded("findRouter")),

  snapshotList: Effect.fn("DatabaseTools.snapshotList")(
    (routerId) =>
      sql<{ fingerprint: string; watermark: number; bytes: number; ageSeconds: number }>`
        SELECT s.fingerprint, s.watermark::float8 AS watermark, octet_length(s.state) AS bytes,
          extract(epoch FROM now() - s.saved_at)::float8 AS "ageSeconds"
        FROM bandit_snapshots s JOIN routers r ON r.key = s.router_key
        WHERE r.id = ${routerId} ORDER BY s.saved_at DESC, s.watermark DESC`,
    guarded("snapshotList")
  ),

  adopt: Effect.fn("DatabaseTools.adopt")(
    (routerId, fingerprint, { state, watermark }) =>
      transact(
        sql,
        readCommitted
      )(
        Effect.gen(function* () {
          const [router] = yield* sql<{ key: number }>`
            UPDATE routers r SET position = ${watermark}
            WHERE r.id = ${routerId} AND (r.position = ${watermark} OR (
              r.position = 0 AND NOT EXISTS (SELECT FROM learning_log l WHERE l.router_key = r.key)))
            RETURNING r.key`
          if (router === undefined) return false
          yield* sql`
            INSERT INTO bandit_snapshots (router_key, fingerprint, watermark, state)
            VALUES (${router.key}, ${storable(fingerprint)}, ${watermark}, ${state})
            ON CONFLICT (router_key, fingerprint, watermark) DO UPDATE SET state = excluded.state, saved_at = now()`
          return true
        })
      ),
    guarded("adopt")
  ),

  costReference: Effect.fn("DatabaseTools.costReference")(
    (routerId) =>
      sql<{ usd: number }>`
        SELECT c.cost_usd AS usd FROM cost_references c JOIN routers r ON r.key = c.router_key
        WHERE r.id = ${routerId} ORDER BY c.since DESC LIMIT 1`.pipe(Effect.map(([row]) => row?.usd ?? null)),
    guarded("costReference")
  ),

  positionAt: Effect.fn("DatabaseTools.positionAt")(
    (routerId, millis) =>
      sql<{ position: number }>`
        SELECT coalesce(max(l.position), 0)::float8 AS position
        FROM learning_log l JOIN routers r ON r.key = l.router_key
        WHERE r.id = ${routerId} AND l.commit_id < ${uuidV7From(millis, noBytes)}::uuid`.pipe(
        Effect.map(([row]) => row?.position ?? 0)
      ),
    guarded("positionAt")
  ),

  decisionsAfter: Effect.fn("DatabaseTools.decisionsAfter")(
    (routerId, after, position, limit) =>
      Effect.map(
        selectDecisions(sql, routerId, {
          text: `SELECT ${decisionSelection} FROM decisions d JOIN routers r ON r.key = d.router_key
            LEFT JOIN prompts p ON p.decision_id = d.id
            WHERE r.id = $1 AND ($2::uuid IS NULL OR d.id > $2::uuid) AND d.policy_position <= $3 ORDER BY d.id LIMIT $4`,
          values: [routerId, after, position, limit]
        }),
        (found) => found.map(({ learned, record }) => ({ ...record, judged: learned }))
      ),
    guarded("decisionsAfter")
  )
})
