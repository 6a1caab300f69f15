import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { DecisionId, RouterId, uuidV7From } from "../../../../../src/domain/basics/Ids.ts"
import { listStatement } from "../../../../../src/layers/storage/postgres/store/Listing.ts"
import { Database, type DecisionQuery } from "../../../../../src/services/storage/Database.ts"
import { databaseAt, scopedUrl } from "../../../../support/closing.ts"
import { anyDecision } from "../../../../support/databaseContract.ts"
import { commitOf, large, recordOf } from "../../../../support/learningRecords.ts"
import { createDatabase, query } from "../../../../support/postgres.ts"

const routerId = RouterId("listing")
const startMillis = 1_700_000_000_000
const count = 20_000

/** A second each; every value that is asked for is rare, which is where a bad plan reads everything. */
const fill = (i: number) => {
  const base = recordOf(routerId)
  const rare = i === 100
  const id = DecisionId(uuidV7From(startMillis + i * 1000, Buffer.from(`${i}`.padStart(10, "0"))))
  return {
    ...base,
    decision: {
      ...base.decision,
      id,
      createdAtMillis: startMillis + i * 1000,
      policy: { ...base.decision.policy, algorithm: rare ? "static" : "thompson" },
      request: {
        ...base.decision.request,
        task: rare ? "rare" : "code",
        userId: `user-${i % 5000}`,
        sessionId: i % 2 === 0 ? `session-${i % 1000}` : null
      },
      reason: rare ? ("control" as const) : ("best" as const)
    },
    outcome: i === 300 ? null : { ...base.outcome!, ok: i !== 200, ...(i === 400 ? { model: large } : {}) }
  }
}

interface Node {
  readonly "Node Type": string
  readonly "Relation Name"?: string
  readonly "Rows Removed by Filter"?: number
  readonly "Rows Removed by Index Recheck"?: number
  readonly Plans?: ReadonlyArray<Node>
}

const nodes = (node: Node): ReadonlyArray<Node> => [node, ...(node.Plans ?? []).flatMap(nodes)]

describe("the list of decisions", () => {
  it.scopedLive("reads little more than it answers, whatever the filter", () =>
    Effect.gen(function* () {
      const url = yield* scopedUrl(createDatabase)
      const db = yield* Effect.provide(Database, yield* Layer.build(Layer.fresh(databaseAt(url))))
      yield* db.router(Option.some(routerId))
      for (let i = 0; i < count; i += 2000) {
        yield* db.commit(commitOf(routerId, { decisions: Array.from({ length: 2000 }, (_, k) => fill(i + k)) }))
      }
      yield* Effect.promise(() => query(url, "VACUUM ANALYZE"))
      const asked: Record<string, Partial<DecisionQuery>> = {
        all: {},
        page: { before: fill(500).decision.id },
        time: { fromMillis: startMillis + 5_000_000, untilMillis: startMillis + 5_010_000 },
        "frequent model": { model: "small" },
        "rare model": { model: "large" },
        "no such model": { model: "nobody" },
        user: { userId: "user-7" },
        "frequent task": { task: "code" },
        "rare task": { task: "rare" },
        algorithm: { algorithm: "static" },
        "frequent reason": { reason: "best" },
        "rare reason": { reason: "control" },
        fallback: { reason: "fallback" },
        ok: { outcome: "ok" },
        failed: { outcome: "failed" },
        aborted: { outcome: "aborted" },
        pending: { outcome: "pending" }
      }
      for (const [name, filter] of Object.entries(asked)) {
        const { text, values } = listStatement(routerId, { ...anyDecision, ...filter })
        const [row] = yield* Effect.promise(() =>
          query<{ "QUERY PLAN": ReadonlyArray<{ readonly Plan: Node }> }>(
            url,
            `EXPLAIN (ANALYZE, FORMAT JSON) ${text}`,
            values
          )
        )
        const plan = nodes(row!["QUERY PLAN"][0]!.Plan)
        const scanned = plan.filter((n) => n["Node Type"] === "Seq Scan" && n["Relation Name"] === "decisions")
        const removed = plan.reduce(
          (sum, n) => sum + (n["Rows Removed by Filter"] ?? 0) + (n["Rows Removed by Index Recheck"] ?? 0),
          0
        )
        assert.isEmpty(scanned, name)
        assert.isAtMost(removed, 200, name)
      }
      const [session] = yield* Effect.promise(() =>
        query<{ "QUERY PLAN": ReadonlyArray<{ readonly Plan: Node }> }>(
          url,
          "EXPLAIN (FORMAT JSON) SELECT id FROM decisions WHERE session_id = $1 AND ok ORDER BY id DESC LIMIT 8",
          ["session-2"]
        )
      )
      assert.include(JSON.stringify(session), "decisions_session")
      const sizes = yield* Effect.promise(() =>
        query<{ name: string; bytes: number }>(
          url,
          `SELECT relname AS name, (pg_relation_size(oid) / ${count})::float8 AS bytes FROM pg_class
             WHERE relname LIKE 'decisions%'`
        )
      )
      const bytes = (name: string) => sizes.find((size) => size.name === name)?.bytes ?? Infinity
      assert.isAtMost(bytes("decisions_facets"), 60)
      assert.isAtMost(bytes("decisions_not_ok") + bytes("decisions_unusual"), 5)
    })
  )
})
