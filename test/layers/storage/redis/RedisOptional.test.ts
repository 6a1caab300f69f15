import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { Redis as Client } from "ioredis"
import { once } from "node:events"
import { readFile } from "node:fs/promises"
import { connect, createServer } from "node:net"
import * as RedisOptional from "../../../../src/layers/storage/redis/RedisOptional.ts"
import * as Telemetry from "../../../../src/layers/observing/Telemetry.ts"
import { Redis } from "../../../../src/services/storage/Redis.ts"
import { defaults, Settings } from "../../../../src/services/running/Settings.ts"
import { Telemetry as TelemetryService } from "../../../../src/services/observing/Telemetry.ts"
import { freePort } from "../../../support/postgres.ts"
import { hasRedis, startRedis, startSilentServer } from "../../../support/redis.ts"
import { eventually } from "../../../support/traffic.ts"

const ttl = Duration.seconds(100)
const day = Duration.days(1)

/** The layer until the scope closes, what it logged. */
const start = (url: string | null, timeout = Duration.seconds(10)) =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) => void lines.push(`${logLevel.label} ${String(message)}`))
    const context = yield* Layer.build(
      RedisOptional.layer.pipe(
        Layer.provideMerge(Telemetry.layer),
        Layer.provide(
          Layer.succeed(Settings, {
            ...defaults,
            redis: { url: Option.map(Option.fromNullable(url), Redacted.make), timeout }
          })
        )
      )
    ).pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
    const render = () => Context.get(context, TelemetryService).render()
    return {
      redis: Context.get(context, Redis),
      lines,
      metric: (name: string) => Number(new RegExp(`^${name} (.*)$`, "m").exec(render())?.[1])
    }
  })

const server = (settings?: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.promise(() => startRedis(settings)),
    (own) => Effect.promise(() => own.dispose())
  )

const wait = (lines: ReadonlyArray<string>, count: number) =>
  Effect.promise(() => eventually(`${count} lines`, 10_000, () => (lines.length >= count ? true : undefined)))

const outage = /^WARN Redis is away, each replica remembers sessions by itself: (.*)$/
const end = /^INFO Redis is back after \d+\.\ds: (\d+) command\(s\) failed or were not sent meanwhile$/

describe("RedisOptional", () => {
  it.live("is away without an address, and says nothing of it", () =>
    Effect.gen(function* () {
      const { lines, metric, redis } = yield* start(null)
      assert.strictEqual((yield* Effect.flip(redis.get("k", ttl)))._tag, "RedisAway")
      assert.deepStrictEqual(lines, [])
      assert.isNaN(metric("conduit_redis_up"))
    }).pipe(Effect.scoped)
  )

  it.live("starts at once where nobody listens, says so once, and asks nobody", () =>
    Effect.gen(function* () {
      const port = yield* Effect.promise(freePort)
      const { lines, metric, redis } = yield* start(`redis://:hunter2@127.0.0.1:${port}`)
      yield* wait(lines, 1)
      for (let n = 0; n < 20; n++) assert.strictEqual((yield* Effect.either(redis.claim("k", "v", ttl)))._tag, "Left")
      // Two more tries to connect are no news.
      yield* Effect.promise(async () => {
        const server = createServer((socket) => socket.destroy()).listen(port, "127.0.0.1")
        await once(server, "connection")
        await once(server, "connection")
        server.close()
      })
      assert.lengthOf(lines, 1)
      assert.strictEqual(outage.exec(lines[0] ?? "")?.[1], `connect ECONNREFUSED 127.0.0.1:${port}`)
      assert.deepStrictEqual([metric("conduit_redis_up"), metric("conduit_redis_errors_total")], [0, 20])
    }).pipe(Effect.scoped)
  )

  it.live("does not wait long for one that accepts and never answers, neither at the start nor at the end", () =>
    Effect.gen(function* () {
      const silent = yield* Effect.acquireRelease(Effect.promise(startSilentServer), (server) =>
        Effect.promise(server.close)
      )
      // It never answers, so that start, command and end come back at all shows that none of them waits for it.
      const { first, lines } = yield* Effect.gen(function* () {
        const { lines, redis } = yield* start(`redis://127.0.0.1:${silent.port}`)
        const first = yield* Effect.either(redis.get("k", ttl))
        yield* wait(lines, 1)
        yield* Effect.promise(() => silent.connected(2))
        return { first, lines }
      }).pipe(Effect.scoped)
      assert.strictEqual(first._tag, "Left")
      assert.deepStrictEqual(
        lines.map((line) => outage.exec(line)?.[1]),
        ["no answer within 1000 ms"]
      )
    }).pipe(Effect.scoped)
  )

  describe.skipIf(!hasRedis)("with a Redis", () => {
    it.live("gets, sets, and lets the first claim win, each key for a time that begins anew", () =>
      Effect.gen(function* () {
        const own = yield* server()
        const { lines, metric, redis } = yield* start(own.url)
        const client = yield* Effect.acquireRelease(
          Effect.sync(() => new Client(own.port)),
          (client) => Effect.sync(() => client.disconnect())
        )
        const left = (key: string) => Effect.promise(() => client.ttl(key))
        assert.isNull(yield* redis.get("k", ttl))
        assert.strictEqual(yield* redis.claim("k", "first", ttl), "first")
        assert.approximately(yield* left("k"), 100, 5)
        assert.strictEqual(yield* redis.claim("k", "second", ttl), "first")
        assert.strictEqual(yield* redis.get("k", day), "first")
        assert.approximately(yield* left("k"), 86_400, 5)
        yield* redis.set("k", "third \u00e9", ttl)
        assert.strictEqual(yield* redis.get("k", ttl), "third \u00e9")
        assert.approximately(yield* left("k"), 100, 5)
        assert.deepStrictEqual(lines, [])
        assert.deepStrictEqual([metric("conduit_redis_up"), metric("conduit_redis_errors_total")], [1, 0])
      }).pipe(Effect.scoped)
    )

    it.live("waits for one that froze no longer than half of the time-out, then not at all, and tells its return", () =>
      Effect.gen(function* () {
        const own = yield* server()
        const { lines, metric, redis } = yield* start(own.url, Duration.millis(400))
        yield* redis.set("k", "v", ttl)
        own.pause()
        const all = yield* Effect.all(
          Array.from({ length: 20 }, () => Effect.either(redis.get("k", ttl))),
          { concurrency: "unbounded" }
        )
        for (const result of all) assert.strictEqual(result._tag, "Left")
        yield* wait(lines, 1)
        for (let n = 0; n < 200; n++) assert.strictEqual((yield* Effect.either(redis.get("k", ttl)))._tag, "Left")
        assert.strictEqual(metric("conduit_redis_up"), 0)
        own.resume()
        yield* wait(lines, 2)
        // What was asked meanwhile was never sent; the first 20 were, and each try to connect asks once.
        const client = yield* Effect.acquireRelease(
          Effect.sync(() => new Client(own.port)),
          (client) => Effect.sync(() => client.disconnect())
        )
        const stats = yield* Effect.promise(() => client.info("commandstats"))
        assert.isAtMost(Number(/cmdstat_getex:calls=(\d+)/.exec(stats)?.[1] ?? 0), 120)
        assert.strictEqual(outage.exec(lines[0] ?? "")?.[1], "no answer within 200 ms")
        assert.strictEqual(end.exec(lines[1] ?? "")?.[1], "220")
        assert.strictEqual(yield* redis.get("k", ttl), "v")
        assert.deepStrictEqual([metric("conduit_redis_up"), metric("conduit_redis_errors_total")], [1, 220])
      }).pipe(Effect.scoped)
    )

    it.live("counts one that answers, but later than a command may take, as away until it is quicker", () =>
      Effect.gen(function* () {
        const own = yield* server()
        let delayMs = 150
        let connections = 0
        const slow = yield* Effect.acquireRelease(
          Effect.promise(async () => {
            const proxy = createServer((client) => {
              connections++
              const upstream = connect(own.port, "127.0.0.1")
              client.on("data", (data) => upstream.write(data))
              upstream.on("data", (data) => setTimeout(() => client.write(data), delayMs))
              for (const [from, to] of [
                [client, upstream],
                [upstream, client]
              ] as const) {
                from.on("error", () => undefined)
                from.on("close", () => to.destroy())
              }
            }).listen(0, "127.0.0.1")
            await once(proxy, "listening")
            return proxy
          }),
          (proxy) => Effect.sync(() => proxy.close())
        )
        const address = slow.address()
        const port = address !== null && typeof address === "object" ? address.port : 0
        const { lines, redis } = yield* start(`redis://127.0.0.1:${port}`, Duration.millis(200))
        yield* Effect.promise(() =>
          eventually("it has been tried four times", 15_000, async () => {
            await Effect.runPromise(Effect.either(redis.get("k", ttl)))
            return connections >= 4 ? true : undefined
          })
        )
        assert.deepStrictEqual(
          lines.map((line) => outage.exec(line)?.[1]),
          ["no answer within 100 ms"]
        )
        delayMs = 0
        yield* wait(lines, 2)
        assert.match(lines[1] ?? "", end)
        assert.isNull(yield* redis.get("k", ttl))
      }).pipe(Effect.scoped)
    )

    it.live("does not blame it for the time in which this process was busy", () =>
      Effect.gen(function* () {
        const own = yield* server()
        const { lines, redis } = yield* start(own.url, Duration.millis(400))
        yield* redis.set("k", "v", ttl)
        const asking = yield* Effect.fork(redis.get("k", ttl))
        yield* Effect.yieldNow()
        const until = performance.now() + 600
        let turns = 0
        while (performance.now() < until) turns++
        assert.isAbove(turns, 0)
        assert.strictEqual(yield* Fiber.join(asking), "v")
        assert.deepStrictEqual(lines, [])
      }).pipe(Effect.scoped)
    )

    it.live("counts one that refuses to write as away until it does, without a line for each try", () =>
      Effect.gen(function* () {
        const own = yield* server()
        const { lines, redis } = yield* start(own.url)
        const client = yield* Effect.acquireRelease(
          Effect.sync(() => new Client(own.port)),
          (client) => Effect.sync(() => client.disconnect())
        )
        const limit = (bytes: number) => Effect.promise(() => client.config("SET", "maxmemory", bytes))
        yield* limit(1)
        assert.strictEqual((yield* Effect.flip(redis.set("k", "v", ttl)))._tag, "RedisAway")
        const connections = () =>
          client.info("stats").then((text) => Number(/total_connections_received:(\d+)/.exec(text)?.[1]))
        const before = yield* Effect.promise(connections)
        yield* Effect.promise(() =>
          eventually("it has tried again twice", 10_000, async () => {
            await Effect.runPromise(Effect.either(redis.set("k", "v", ttl)))
            return (await connections()) >= before + 2 ? true : undefined
          })
        )
        assert.lengthOf(lines, 1)
        assert.match(lines[0] ?? "", /: OOM command not allowed/)
        yield* limit(0)
        yield* wait(lines, 2)
        yield* redis.set("k", "v", ttl)
        assert.match(lines[1] ?? "", end)
        assert.lengthOf(lines, 2)
      }).pipe(Effect.scoped)
    )

    it.live("takes password and number of the database from the address, and shows neither", () =>
      Effect.gen(function* () {
        const own = yield* server(["--requirepass", "p@ss word"])
        const at = (password: string, number: number) => `redis://:${password}@127.0.0.1:${own.port}/${number}`
        const right = yield* start(at("p%40ss%20word", 3))
        yield* right.redis.set("k", "v", ttl)
        const client = yield* Effect.acquireRelease(
          Effect.sync(() => new Client(own.port, { password: "p@ss word", db: 3 })),
          (client) => Effect.sync(() => client.disconnect())
        )
        assert.strictEqual(yield* Effect.promise(() => client.get("k")), "v")
        assert.deepStrictEqual(right.lines, [])

        for (const [url, reason] of [
          [at("hunter2", 0), /WRONGPASS/],
          [`redis://127.0.0.1:${own.port}`, /NOAUTH/],
          [at("p%40ss%20word", 77), /DB index is out of range/],
          [at("hunter2", 0).replace("redis:", "rediss:"), /./]
        ] as const) {
          const wrong = yield* start(url)
          yield* wait(wrong.lines, 1)
          assert.match(outage.exec(wrong.lines[0] ?? "")?.[1] ?? "", reason)
          assert.notMatch(wrong.lines.join(), /hunter2|p@ss|p%40/)
          assert.strictEqual((yield* Effect.either(wrong.redis.get("k", ttl)))._tag, "Left")
        }
      }).pipe(Effect.scoped)
    )

    it.live("needs the rights that the operators' guide asks for, and no other", () =>
      Effect.gen(function* () {
        const guide = yield* Effect.promise(() =>
          readFile(new URL("../../../../docs/operations.md", import.meta.url), "utf8")
        )
        const [, rights = "", more = ""] =
          /ACL needs `([^`]+)`, .*, and `([^`]+)` for another database/.exec(guide) ?? []
        const own = yield* server()
        const client = yield* Effect.acquireRelease(
          Effect.sync(() => new Client(own.port)),
          (client) => Effect.sync(() => client.disconnect())
        )
        const user = ["SETUSER", "conduit", "on", ">pw", ...rights.split(" "), more] as const
        yield* Effect.promise(() => client.call("ACL", ...user))
        const { lines, redis } = yield* start(`redis://conduit:pw@127.0.0.1:${own.port}/3`)
        assert.strictEqual(yield* redis.claim("conduit:k", "v", ttl), "v")
        yield* redis.set("conduit:k", "w", ttl)
        assert.strictEqual(yield* redis.get("conduit:k", ttl), "w")
        assert.deepStrictEqual(lines, [])
      }).pipe(Effect.scoped)
    )

    it.live("leaves no connection behind", () =>
      Effect.gen(function* () {
        const own = yield* server()
        const client = yield* Effect.acquireRelease(
          Effect.sync(() => new Client(own.port)),
          (client) => Effect.sync(() => client.disconnect())
        )
        const named = () => client.client("LIST").then((list) => String(list).split("name=conduit ").length - 1)
        yield* Effect.scoped(
          Effect.zipRight(
            start(own.url),
            Effect.map(Effect.promise(named), (count) => assert.strictEqual(count, 1))
          )
        )
        yield* Effect.promise(() =>
          eventually("it is gone", 2000, async () => ((await named()) === 0 ? true : undefined))
        )
      }).pipe(Effect.scoped)
    )
  })
})
