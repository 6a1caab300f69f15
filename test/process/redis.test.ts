import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { randomUUID } from "node:crypto"
import { chat, type ConduitProcess, type ModelScript, request, startConduit } from "../support/conduit.ts"
import { runCommand } from "../support/command.ts"
import { positionOf } from "../support/learnedState.ts"
import { freePort, query } from "../support/postgres.ts"
import { hasRedis, startRedis, startSilentServer, type TestRedis } from "../support/redis.ts"
import { serviceFixture } from "../support/serviceFixture.ts"
import { eventually } from "../support/traffic.ts"

const fixture = serviceFixture()

/** A replica. What a busy machine makes late is not to look like an outage, so the limit is far from the default. */
const startReplica = (
  redisUrl: string | null,
  env: Readonly<Record<string, string>> = {},
  models: ReadonlyArray<ModelScript> = [{ id: "small" }, { id: "large" }]
) =>
  startConduit({
    upstream: fixture.mock.url,
    models,
    databaseUrl: fixture.database.url,
    env: {
      CONDUIT_ROUTER_ID: "shared",
      CONDUIT_REDIS_TIMEOUT: "20",
      ...(redisUrl === null ? {} : { REDIS_URL: redisUrl }),
      ...env
    }
  })

const ask = async (conduit: ConduitProcess, session: string | null) => {
  const answer = await request(`${conduit.url}/v1/chat/completions`, {
    body: chat("what is a monad?", session === null ? {} : { conduit: { session_id: session } })
  })
  assert.strictEqual(answer.status, 200, answer.text)
  return {
    decision: String(answer.headers["x-conduit-decision-id"]),
    model: String(answer.headers["x-conduit-model"]),
    reason: String(answer.headers["x-conduit-reason"])
  }
}

const judge = (conduit: ConduitProcess, decision_id: string, value: number) =>
  request(`${conduit.url}/v1/feedback`, { body: { decision_id, kind: "score", value } })

/** Lines about Redis, with their level. */
const said = ({ lines }: ConduitProcess) =>
  lines
    .filter((line) => String(line["message"]).startsWith("Redis is "))
    .map((line) => `${String(line["level"])} ${String(line["message"])}`)

const ended = async (conduit: ConduitProcess) => {
  conduit.kill("SIGTERM")
  const { code, report } = await conduit.ended()
  assert.deepStrictEqual([code, report.outcome, report.errors], [0, "clean", []])
}

const metric = async (conduit: ConduitProcess, name: string) => {
  const { text } = await request(`${conduit.url}/metrics`)
  return Number(new RegExp(`^${name} (.*)$`, "m").exec(text)?.[1])
}

describe("REDIS_URL", () => {
  it("of nobody, or of somebody who never answers, is said once and changes nothing", async () => {
    const silent = await startSilentServer()
    const urls = [`redis://:hunter2@127.0.0.1:${await freePort()}`, `redis://:hunter2@127.0.0.1:${silent.port}`]
    for (const url of urls) {
      const conduit = await startReplica(url)
      const session = randomUUID()
      const first = await ask(conduit, session)
      for (let n = 0; n < 10; n++) {
        assert.deepInclude(await ask(conduit, session), { model: first.model, reason: "session" })
      }
      await conduit.logged("Redis is away")
      assert.isAtLeast(await metric(conduit, "conduit_redis_errors_total"), 11)
      assert.strictEqual(await metric(conduit, "conduit_redis_up"), 0)
      await ended(conduit)
      assert.lengthOf(said(conduit), 1)
      assert.match(said(conduit)[0] ?? "", /^WARNING Redis is away, each replica remembers sessions by itself: /)
      assert.notInclude(JSON.stringify(conduit.lines) + conduit.stderr(), "hunter2")
    }
    await silent.close()
  })

  it("that is wrong keeps the service from starting, without showing it", async () => {
    const conduit = await startConduit({ env: { REDIS_URL: "redis://:hunter2@h/sessions" }, isUnready: true })
    const { code, report } = await conduit.ended()
    assert.strictEqual(code, 1)
    assert.include(JSON.stringify(report.errors), "REDIS_URL: its value (not shown) is not right")
    assert.notInclude(JSON.stringify(conduit.lines) + conduit.stderr(), "hunter2")
  })

  it("may be left out: then each replica remembers by itself, and there is nothing about Redis in the metrics", async () => {
    const [one, two] = [await startReplica(null), await startReplica(null)]
    const session = randomUUID()
    assert.notStrictEqual((await ask(one, session)).reason, "session")
    assert.notStrictEqual((await ask(two, session)).reason, "session")
    assert.strictEqual((await ask(one, session)).reason, "session")
    assert.notInclude((await request(`${one.url}/metrics`)).text, "conduit_redis")
  })
})

describe.skipIf(!hasRedis)("two replicas with one Redis", () => {
  let redis: TestRedis
  beforeAll(async () => {
    redis = await startRedis()
  })
  afterAll(() => redis.dispose())

  it("keep every session's model, while what they learn changes and other requests vary", async () => {
    const replicas = [await startReplica(redis.url), await startReplica(redis.url)]
    const sessions = Array.from({ length: 20 }, () => randomUUID())
    const modelOf = new Map<string, string>()
    const free = new Set<string>()
    for (let turn = 0; turn < 6; turn++) {
      for (const [n, session] of sessions.entries()) {
        const replica = replicas[(turn + n) % 2]!
        const { decision, model, reason } = await ask(replica, session)
        if (turn === 0) modelOf.set(session, model)
        assert.strictEqual(reason === "session", turn > 0, reason)
        assert.strictEqual(model, modelOf.get(session))
        // Each model is judged alike, or one that all judge badly is hardly chosen any more.
        await judge(replica, decision, (n + turn) % 2)
        free.add((await ask(replica, null)).model)
      }
    }
    assert.deepStrictEqual([...free].toSorted(), ["large", "small"])

    // The evidence on the model changes: one replica chooses anew, and the other goes along.
    const [session, model] = [...modelOf][0]!
    const reset = await runCommand(["state", "reset", model, "--yes"], {
      env: { DATABASE_URL: fixture.database.url, CONDUIT_ROUTER_ID: "shared" }
    })
    assert.strictEqual(reset.code, 0, reset.stderr)
    const [row] = await query<{ end: number }>(fixture.database.url, 'SELECT position::int AS "end" FROM routers')
    await eventually("both have folded it", 10_000, async () => {
      const positions = await Promise.all(replicas.map(({ url }) => positionOf(url)))
      return positions.every((position) => position >= row!.end) ? true : undefined
    })
    const anew = await ask(replicas[1]!, session)
    assert.notStrictEqual(anew.reason, "session")
    assert.deepInclude(await ask(replicas[0]!, session), { model: anew.model, reason: "session" })

    for (const replica of replicas) {
      assert.strictEqual(await metric(replica, "conduit_redis_up"), 1)
      assert.strictEqual(await metric(replica, "conduit_redis_errors_total"), 0)
      await ended(replica)
      assert.deepStrictEqual(said(replica), [])
    }
  })

  it("go on with the model that answered when a session's own had failed, in either of them", async () => {
    const models = [{ id: "left" }, { id: "right" }]
    const replicas = [await startReplica(redis.url, {}, models), await startReplica(redis.url, {}, models)]
    const session = randomUUID()
    const { model } = await ask(replicas[0]!, session)
    assert.deepInclude(await ask(replicas[1]!, session), { model, reason: "session" })
    const broken = await request(new URL(`/mock/models/${model}`, fixture.mock.url).href, {
      body: { faults: { "500": 1 } }
    })
    assert.strictEqual(broken.status, 200)
    const other = model === "left" ? "right" : "left"
    assert.deepInclude(await ask(replicas[0]!, session), { model: other, reason: "fallback" })
    assert.deepInclude(await ask(replicas[1]!, session), { model: other, reason: "session" })
    assert.deepInclude(await ask(replicas[0]!, session), { model: other, reason: "session" })
  })

  it("answer every request while Redis is frozen, killed and back, and say so twice each time", async () => {
    const limitMs = 2_000
    const own = await startRedis()
    const env = { CONDUIT_REDIS_TIMEOUT: String(limitMs / 1000) }
    const [one, two] = [await startReplica(own.url, env), await startReplica(own.url, env)]
    const sticks = async () => {
      const session = randomUUID()
      const { model } = await ask(one, session)
      assert.deepInclude(await ask(two, session), { model, reason: "session" })
      assert.deepInclude(await ask(one, session), { model, reason: "session" })
    }
    const isBack = (lines: number) =>
      eventually("both say that it is back", 20_000, () =>
        [one, two].every((replica) => said(replica).length === lines) ? true : undefined
      )
    const session = randomUUID()
    const { model } = await ask(one, session)
    const keeps = async () => {
      for (const replica of [one, two, one, two]) {
        await ask(replica, null)
        assert.deepInclude(await ask(replica, session), { model, reason: "session" })
      }
    }
    await keeps()

    own.pause()
    for (const replica of [one, two]) {
      assert.deepInclude(await ask(replica, session), { model, reason: "session" })
      // Once it is known to be frozen nobody waits for it: with and without a session takes about as long.
      const twenty = async (session: string | null) => {
        const startedAt = performance.now()
        for (let n = 0; n < 20; n++) await ask(replica, session)
        return performance.now() - startedAt
      }
      const withoutMs = await twenty(null)
      assert.isBelow(await twenty(session), 10 * withoutMs + (20 * limitMs) / 4)
    }
    await keeps()
    own.resume()
    await isBack(2)
    await sticks()
    await keeps()

    await own.kill()
    for (let n = 0; n < 10; n++) await keeps()
    await own.start()
    await isBack(4)
    await sticks()
    await keeps()

    for (const replica of [one, two]) {
      const levels = said(replica).map((line) => line.split(/,| after/)[0])
      const outage = ["WARNING Redis is away", "INFO Redis is back"]
      assert.deepStrictEqual(levels, [...outage, ...outage])
    }
    // One ends with a connection that works, the other with one that does not answer, and both cleanly.
    await ended(one)
    own.pause()
    await ended(two)
    await own.dispose()
  })
})
