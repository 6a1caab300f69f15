import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import { storable } from "../../../../domain/basics/StorableText.ts"
import type { DatabaseShape } from "../../../../services/storage/Database.ts"
import { guarded, unknownRouter } from "./Guarded.ts"
import { readCommitted, transact } from "./Transaction.ts"

export const makeSnapshots = (sql: SqlClient.SqlClient): Pick<DatabaseShape, "snapshots" | "saveSnapshot"> => ({
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
        readCommitted
      )(
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
})
