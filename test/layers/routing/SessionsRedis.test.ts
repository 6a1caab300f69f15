import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { Redis as Client } from "ioredis"
import { RouterId } from "../../../src/domain/basics/Ids.ts"
import * as RedisOptional from "../../../src/layers/storage/redis/RedisOptional.ts"
import * as SessionsRedis from "../../../src/layers/routing/SessionsRedis.ts"
import * as Telemetry from "../../../src/layers/observing/Telemetry.ts"
import { LearningLog } from "../../../src/services/learning/LearningLog.ts"
import { defaults, Settings } from "../../../src/services/running/Settings.ts"
import { effectfulSessions } from "../../support/effectful.ts"
import { memoryLog } from "../../support/memoryLog.ts"
import { hasRedis, startRedis, type TestRedis } from "../../support/redis.ts"
import { a, b, freshSession, keepOr, known, sessionsContract } from "../../support/sessionsContract.ts"

/** Sessions of a replica of the router. Each layer is another replica. A busy machine is not to look like an outage. */
const replicaOf = (url: string | null, router = "r1", timeout = Duration.seconds(10)) =>
  SessionsRedis.layer.pipe(
    Layer.provide(
      Layer.effect(
        LearningLog,
        Effect.map(LearningLog, (log) => LearningLog.of({ ...log, router: { id: RouterId(router), seed: "seed" } }))
      ).pipe(Layer.provide(memoryLog().layer))
    ),
    Layer.provide(RedisOptional.layer),
    Layer.provide(Telemetry.layer),
    Layer.provide(
      Layer.succeed(Settings, {
        ...defaults,
        redis: { url: Option.map(Option.fromNullable(url), Redacted.make), timeout }
      })
    )
  )

const build = (replica: ReturnType<typeof replicaOf>) =>
  Effect.flatMap(Layer.build(Layer.fresh(replica)), (context) => Effect.provide(effectfulSessions, context))

sessionsContract("SessionsRedis without a Redis", replicaOf(null))

describe.skipIf(!hasRedis)("SessionsRedis", () => {
  let redis: TestRedis
  let client: Client
  beforeAll(async () => {
    redis = await startRedis()
    client = new Client(redis.port)
  })
  afterAll(async () => {
    client.disconnect()
    await redis.dispose()
  })

  sessionsContract(
    "SessionsRedis",
    Layer.unwrapScoped(
      Effect.map(
        Effect.acquireRelease(
          Effect.promise(() => startRedis()),
          (own) => Effect.promise(() => own.dispose())
        ),
        (own) => replicaOf(own.url)
      )
    )
  )

  it.live("lets the replica that is first decide for all", () =>
    Effect.gen(function* () {
      const [one, two] = [yield* build(replicaOf(redis.url)), yield* build(replicaOf(redis.url))]
      const key = freshSession("owner")
      assert.deepStrictEqual(yield* keepOr(one, key, a), a)
      assert.deepStrictEqual(yield* keepOr(two, key, b), a)
      // At once: whatever each chose for itself, all have the same.
      const choices = yield* Effect.forEach(
        Array.from({ length: 50 }, () => freshSession()),
        (key) => Effect.all([keepOr(one, key, a), keepOr(two, key, b)], { concurrency: 2 }),
        { concurrency: 10 }
      )
      for (const [mine, yours] of choices) assert.deepStrictEqual(mine, yours)
    }).pipe(Effect.scoped)
  )

  it.live("shows a move, and a new choice, to the other replicas", () =>
    Effect.gen(function* () {
      const [one, two] = [yield* build(replicaOf(redis.url)), yield* build(replicaOf(redis.url))]
      const key = freshSession()
      yield* keepOr(one, key, a)
      assert.deepStrictEqual(yield* known(two, key), a)
      yield* one.move(key, b)
      assert.deepStrictEqual(yield* known(two, key), b)
      yield* two.choose(key, () => ({ session: a }))
      assert.deepStrictEqual(yield* known(one, key), a)
    }).pipe(Effect.scoped)
  )

  it.live("keeps routers apart", () =>
    Effect.gen(function* () {
      const [one, two] = [yield* build(replicaOf(redis.url)), yield* build(replicaOf(redis.url, "r2"))]
      const key = freshSession()
      yield* keepOr(one, key, a)
      assert.isNull(yield* known(two, key))
    }).pipe(Effect.scoped)
  )

  it.live("has neither session id nor key in Redis, and nothing for ever", () =>
    Effect.gen(function* () {
      const sessions = yield* build(replicaOf(redis.url, "apart"))
      const key = { owner: "0123abcd", sessionId: "grandma's diary" }
      yield* keepOr(sessions, key, b)
      const [name, ...more] = yield* Effect.promise(() => client.keys("conduit:apart:*"))
      assert.deepStrictEqual(more, [])
      assert.match(name ?? "", /^conduit:apart:session:[\w-]{43}$/)
      const day = 24 * 3600
      const left = () => Effect.promise(() => client.ttl(name ?? ""))
      assert.strictEqual(yield* Effect.promise(() => client.get(name ?? "")), "3 b")
      assert.approximately(yield* left(), day, 60)
      yield* Effect.promise(() => client.expire(name ?? "", 100))
      assert.deepStrictEqual(yield* known(sessions, key), b)
      assert.approximately(yield* left(), day, 60)
    }).pipe(Effect.scoped)
  )

  it.live("tells a Redis that has forgotten everything what it knows, and replaces what makes no sense", () =>
    Effect.gen(function* () {
      const [one, two] = [yield* build(replicaOf(redis.url)), yield* build(replicaOf(redis.url))]
      const key = freshSession()
      yield* keepOr(one, key, b)
      yield* Effect.promise(() => client.flushall())
      assert.deepStrictEqual(yield* keepOr(one, key, a), b)
      assert.deepStrictEqual(yield* keepOr(two, key, a), b)

      const [name] = yield* Effect.promise(() => client.keys("conduit:r1:session:*"))
      for (const nonsense of ["", "b", "-1 b", "1 no such model!"]) {
        yield* Effect.promise(() => client.set(name ?? "", nonsense))
        assert.deepStrictEqual(yield* keepOr(two, key, a), b)
        assert.strictEqual(yield* Effect.promise(() => client.get(name ?? "")), "3 b")
      }
    }).pipe(Effect.scoped)
  )

  it.live("goes by what it has seen while Redis is away, and by Redis afterwards", () =>
    Effect.gen(function* () {
      const own = yield* Effect.acquireRelease(
        Effect.promise(() => startRedis()),
        (own) => Effect.promise(() => own.dispose())
      )
      const [one, two] = [yield* build(replicaOf(own.url)), yield* build(replicaOf(own.url))]
      const [before, during] = [freshSession(), freshSession()]
      yield* keepOr(one, before, a)
      yield* keepOr(two, before, a)
      yield* Effect.promise(() => own.kill())
      assert.deepStrictEqual(yield* keepOr(one, before, b), a)
      assert.deepStrictEqual(yield* keepOr(two, before, b), a)
      assert.deepStrictEqual(yield* keepOr(one, during, b), b)
      assert.deepStrictEqual(yield* keepOr(one, during, a), b)
      yield* one.move(before, b)
      yield* Effect.promise(() => own.start())
      // The other one's is in Redis only when that replica is connected again.
      const shared = freshSession()
      yield* Effect.iterate(null as unknown, {
        while: (seen) => seen === null,
        body: () =>
          Effect.sleep("50 millis").pipe(Effect.zipRight(one.move(shared, a)), Effect.zipRight(known(two, shared)))
      }).pipe(Effect.timeout("10 seconds"))
      assert.deepStrictEqual(yield* keepOr(one, before, a), b)
      assert.deepStrictEqual(yield* keepOr(two, before, a), b)
      assert.deepStrictEqual(yield* keepOr(one, during, a), b)
      assert.deepStrictEqual(yield* keepOr(two, during, a), b)
    }).pipe(Effect.scoped)
  )
})
