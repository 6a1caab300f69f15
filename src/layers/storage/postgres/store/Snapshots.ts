import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import { storable } from "../../../../domain/basics/StorableText.ts"
import type { DatabaseShape } from "../../../../services/storage/Database.ts"
import { guarded, readCommitted, transact, unknownRouter } from "./Transaction.ts"

type Snapshots = Pick<DatabaseShape, "snapshots" | "saveSnapshot" | "dropSnapshotsAfter">

export const makeSnapshots = (sql: SqlClient.SqlClient): Snapshots => ({
  snapshots: Effect.fn("Database.snapshots")(
    (routerId, fingerprint) =>
      sql<{ watermark: number; state: Uint8Array }>`
        SELECT s.watermark::float8 AS watermark, s.state
        FROM bandit_snapshots s JOIN routers r ON r.key = s.router_key
        WHERE r.id = ${routerId} AND s.fingerprint = ${storable(fingerprint)} ORDER BY s.watermark DESC`,
    guarded("snapshots")
  ),

  saveSnapshot: Effect.fn("Database.saveSnapshot")(
    (routerId, fingerprint, snapshot, last) =>
      transact(
        sql,
        readCommitted
      )(
        Effect.gen(function* () {
          const [router] = yield* sql<{ key: number }>`
            INSERT INTO bandit_snapshots (router_key, fingerprint, watermark, state)
            SELECT key, ${storable(fingerprint)}, ${snapshot.watermark}, ${snapshot.state} FROM routers r
            WHERE r.id = ${routerId} AND ${
              last === undefined
                ? sql`true`
                : sql`EXISTS (SELECT FROM learning_log l WHERE l.router_key = r.key
                    AND l.position = ${last.position} AND l.commit_id = ${last.commitId})`
            }
            ON CONFLICT (router_key, fingerprint, watermark) DO UPDATE SET state = excluded.state, saved_at = now()
            RETURNING router_key AS key`
          if (router === undefined) {
            if (last === undefined) return yield* unknownRouter("saveSnapshot", routerId)
            return false
          }
          yield* sql`
            DELETE FROM bandit_snapshots WHERE router_key = ${router.key} AND fingerprint = ${storable(fingerprint)}
            AND watermark < (SELECT min(watermark) FROM (
              SELECT watermark FROM bandit_snapshots
              WHERE router_key = ${router.key} AND fingerprint = ${storable(fingerprint)}
              ORDER BY watermark DESC LIMIT 2) newest)`
          return true
        })
      ),
    guarded("saveSnapshot")
  ),

  dropSnapshotsAfter: Effect.fn("Database.dropSnapshotsAfter")(
    (routerId, position) =>
      sql`DELETE FROM bandit_snapshots s USING routers r
          WHERE r.key = s.router_key AND r.id = ${routerId} AND s.watermark > ${position} RETURNING s.watermark`.pipe(
        Effect.map((rows) => rows.length)
      ),
    guarded("dropSnapshotsAfter")
  )
})
