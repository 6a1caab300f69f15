import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { RouterId } from "../../../../../src/domain/basics/Ids.ts"
import { Database } from "../../../../../src/services/storage/Database.ts"
import { databaseAt, scopedUrl } from "../../../../support/closing.ts"
import { commitOf, recordOf } from "../../../../support/learningRecords.ts"
import { createDatabase } from "../../../../support/postgres.ts"

const id = RouterId("pruning")

describe("Database.prune", () => {
  it.scopedLive("deletes each row once when several replicas do it at the same time, without a gap in the log", () =>
    Effect.gen(function* () {
      const url = yield* scopedUrl(createDatabase)
      const replicas = yield* Effect.all(
        Array.from({ length: 3 }, () =>
          Effect.flatMap(Layer.build(Layer.fresh(databaseAt(url))), (context) => Effect.provide(Database, context))
        )
      )
      const db = replicas[0]!
      yield* db.router(Option.some(id))
      for (let i = 0; i < 200; i++) yield* db.commit(commitOf(id, { decisions: [recordOf(id, { prompt: "text" })] }))
      for (const watermark of [199, 200]) yield* db.saveSnapshot(id, "f", { watermark, state: Uint8Array.of(1) })
      const future = Date.now() + 3_600_000
      const limits = {
        decisionsBeforeMillis: future,
        promptsBeforeMillis: future,
        parkedBeforeMillis: future,
        logBeforeMillis: future,
        snapshotsSinceMillis: 0
      }
      const gone = yield* Effect.forEach(
        replicas,
        (replica) => Effect.forEach(Array.from({ length: 30 }), () => replica.prune(id, limits, 20)),
        { concurrency: "unbounded" }
      )
      const sum = (kind: "decisions" | "prompts" | "commits") =>
        gone.flat().reduce((total, pruned) => total + pruned[kind], 0)
      assert.deepStrictEqual([sum("decisions"), sum("prompts"), sum("commits")], [200, 200, 199])
      assert.strictEqual(yield* db.oldestPosition(id), 200)
    })
  )
})
