import { assert } from "@effect/vitest"
import * as Either from "effect/Either"
import { decodeEvents } from "../../src/domain/learning/EventCodec.ts"
import type { FeedbackClient } from "./feedbackClient.ts"

interface Row {
  readonly key: string
  readonly id: string
  readonly answered: string
  readonly parked: boolean
  readonly superseded: boolean
  readonly decided: boolean
}

type Select = <R extends object>(text: string) => Promise<ReadonlyArray<R>>

const feedbackRows = `SELECT f.idempotency_key AS key, f.id::text AS id, f.answered, f.parked,
  f.superseded_by IS NOT NULL AS superseded, d.id IS NOT NULL AS decided
  FROM feedback f LEFT JOIN decisions d ON d.id = f.decision_id`

/** What the client was told against what is stored: nothing lost, nothing doubled, nothing made up. */
export const compareWithRows = async (client: FeedbackClient, select: Select) => {
  assert.deepStrictEqual(client.violations, [])
  assert.strictEqual(client.count(null), 0)
  const rows = await select<Row>(feedbackRows)
  const stored = new Map(rows.map((row) => [row.key, row]))
  assert.strictEqual(rows.length, stored.size)
  assert.deepStrictEqual(new Set(stored.keys()), new Set(client.keys.keys()))
  for (const [key, sent] of client.keys) {
    const row = stored.get(key)
    assert.deepStrictEqual([row?.id, row?.answered], [sent.id, sent.status], key)
    if (sent.status !== "parked") assert.isTrue(row?.decided, key)
  }
  // What was parked waits for decisions that no row has, and for those only.
  for (const row of rows) assert.strictEqual(row.parked, !row.decided, row.key)
  const joined = rows.filter((row) => row.answered === "parked" && !row.parked).length
  assert.strictEqual(rows.filter((row) => row.superseded).length, client.count("superseded"))

  const [log] = await select<Record<string, number>>(
    `SELECT count(*)::int AS commits, count(DISTINCT l.position)::int AS positions, max(l.position)::int AS last, r.position::int AS position
     FROM learning_log l JOIN routers r ON r.key = l.router_key WHERE l.position IS NOT NULL GROUP BY r.position`
  )
  assert.strictEqual(log?.["commits"], log?.["position"])
  assert.strictEqual(log?.["positions"], log?.["position"])
  assert.strictEqual(log?.["last"], log?.["position"])

  const payloads = await select<{ payload: Uint8Array }>(
    "SELECT payload FROM learning_log WHERE position IS NOT NULL ORDER BY position"
  )
  const events = payloads.flatMap(({ payload }) => Either.getOrThrow(decodeEvents(payload)))
  const runs = events.flatMap((event) => (event.type === "run" ? [event.decisionId] : []))
  const qualities = events.flatMap((event) =>
    event.type === "quality" && event.previous === null ? [event.decisionId] : []
  )
  const judged = rows.filter((row) => !row.parked && !row.superseded)
  assert.strictEqual(new Set(qualities).size, qualities.length)
  assert.strictEqual(qualities.length, judged.length)

  const known = new Set((await select<{ id: string }>("SELECT id::text AS id FROM decisions")).map((row) => row.id))
  // Each stored decision is one observation of its model, once.
  assert.deepStrictEqual([...runs].sort(), [...known].sort())
  const lost = Array.from(client.decisions).filter(([id]) => !known.has(id))
  return { observations: client.count("recorded") + joined, position: log?.["position"], lost, rows: rows.length }
}
