import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as TestClock from "effect/TestClock"
import { RouterId } from "../../../src/domain/basics/Ids.ts"
import { noFigures, noStats, type StatsQuery, type StatsRows, stepsOf } from "../../../src/domain/stats/Stats.ts"
import * as Stats from "../../../src/layers/routing/StatsReader.ts"
import { model } from "../../support/scriptedModels.ts"

const query: StatsQuery = {
  owner: null,
  model: null,
  task: null,
  fromMillis: 0,
  untilMillis: 1000,
  stepsMillis: stepsOf(0, 1000).stepsMillis,
  costReferenceUsd: 1,
  latencyReferenceSeconds: 2,
  groupBy: [],
  savings: true
}

/** Over a database that adds up as `rows` does. */
const statsOver = (
  rows: (query: StatsQuery) => Effect.Effect<StatsRows>,
  onSavings: (sampled: number) => void = () => {}
) =>
  Stats.make({
    catalog: {
      current: () => ({
        models: [model("a"), model("b")],
        byId: new Map(),
        providers: new Map(),
        aliases: [],
        policy: { algorithm: "auto", preference: "balanced" },
        costReferenceUsd: 0.001,
        source: "test",
        shippedPrice: () => null,
        notices: []
      })
    },
    log: { router: { id: RouterId("r"), seed: "s" } },
    database: {
      stats: (_router, query) => rows(query),
      savings: (_router, _query, sampled) =>
        Effect.sync(() => {
          onSavings(sampled)
          return { sampled, requests: 0, rows: [] }
        })
    }
  })

/** Additions end when the gate opens; it is counted how many are under way. */
const slow = (requests: number) =>
  Effect.map(Deferred.make<void>(), (gate) => {
    const seen = { running: 0, most: 0, sampled: new Array<number>() }
    const stats = statsOver(
      () =>
        Effect.suspend(() => {
          seen.running++
          seen.most = Math.max(seen.most, seen.running)
          return Effect.as(Deferred.await(gate), { ...noStats, totals: { ...noFigures, requests } })
        }).pipe(Effect.ensuring(Effect.sync(() => void seen.running--))),
      (sampled) => void seen.sampled.push(sampled)
    )
    return { gate, seen, stats }
  })

/** Each addition ends when it takes something from `gates`. */
const gated = Effect.map(Queue.unbounded<void>(), (gates) => {
  const order: Array<string | null> = []
  const stats = statsOver(({ owner }) =>
    Effect.map(Queue.take(gates), () => {
      order.push(owner)
      return noStats
    })
  )
  return { gates, order, stats }
})

describe("Stats", () => {
  it.effect("are added up one at a time, and who waits too long is told so", () =>
    Effect.gen(function* () {
      const { gate, seen, stats } = yield* slow(10)
      const slowest = yield* Effect.fork(stats(query))
      const waiting = yield* Effect.fork(stats(query))
      yield* TestClock.adjust("15 seconds")
      const later = yield* Effect.fork(stats(query))
      yield* TestClock.adjust("5 seconds")
      for (const fiber of [slowest, waiting]) {
        const late = yield* Effect.either(Fiber.join(fiber))
        assert.isTrue(Either.isLeft(late) && late.left._tag === "StatsBusy")
      }
      assert.deepStrictEqual([seen.most, seen.running], [1, 1])
      yield* Deferred.succeed(gate, undefined)
      const answered = yield* Fiber.join(later)
      assert.deepStrictEqual([answered.totals.requests, answered.savings?.sampled], [10, 1])
    })
  )

  it.effect("wait for their turn, of one owner up to 64, and are refused beyond that", () =>
    Effect.gen(function* () {
      const { gate, seen, stats } = yield* slow(10)
      const ann = { ...query, owner: "ann" }
      const first = yield* Effect.forEach(Array.from({ length: 64 }), () => Effect.fork(stats(ann)))
      yield* TestClock.adjust(0)
      assert.strictEqual((yield* Effect.flip(stats(ann)))._tag, "StatsBusy")
      // Who leaves makes room.
      for (const fiber of first.slice(0, 2)) yield* Fiber.interrupt(fiber)
      const next = yield* Effect.fork(stats(ann))
      yield* TestClock.adjust(0)
      assert.deepStrictEqual([seen.most, seen.running], [1, 1])
      yield* Deferred.succeed(gate, undefined)
      for (const fiber of [...first.slice(2), next]) yield* Fiber.join(fiber)
    })
  )

  it.effect("of one owner hold another's up by one addition, however many there are", () =>
    Effect.gen(function* () {
      const { gates, order, stats } = yield* gated
      const many = yield* Effect.forEach(Array.from({ length: 20 }), () =>
        Effect.fork(stats({ ...query, owner: "ann" }))
      )
      yield* TestClock.adjust(0)
      const bob = yield* Effect.fork(stats({ ...query, owner: "bob" }))
      yield* TestClock.adjust(0)
      yield* Queue.offer(gates, undefined)
      yield* TestClock.adjust(0)
      yield* Queue.offer(gates, undefined)
      yield* Fiber.join(bob)
      assert.deepStrictEqual(order.slice(0, 2), ["ann", "bob"])
      for (let i = 0; i < many.length; i++) yield* Queue.offer(gates, undefined)
      for (const fiber of many) yield* Fiber.join(fiber)
    })
  )

  it.effect("look for savings at a part of many requests, and at none where a model is named", () =>
    Effect.gen(function* () {
      const { gate, seen, stats } = yield* slow(1_000_000)
      yield* Deferred.succeed(gate, undefined)
      const found = yield* stats(query)
      assert.deepStrictEqual([seen.sampled, found.savings?.sampled], [[0.03], 0.03])
      assert.isNull((yield* stats({ ...query, model: "a" })).savings)
      assert.lengthOf(seen.sampled, 1)
    })
  )
})
