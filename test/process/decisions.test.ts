import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { randomUUID } from "node:crypto"
import { type Answered, chat, type ConduitProcess, killAll, request, startConduit } from "../support/conduit.ts"
import { createDatabase, query, type TestDatabase } from "../support/postgres.ts"
import { startUpstream, type Upstream } from "../support/processMock.ts"
import { eventually } from "../support/traffic.ts"

const models = [{ id: "small" }, { id: "large", inputUsdPerMTok: 5, outputUsdPerMTok: 15 }, { id: "broken" }]

let database: TestDatabase
let mock: Upstream
let conduit: ConduitProcess

const start = (routerId: string, env: Record<string, string> = {}) =>
  startConduit({
    databaseUrl: database.url,
    upstream: mock.url,
    models,
    env: { CONDUIT_API_KEYS: "sk-ann,sk-bob,sk-eve", CONDUIT_ROUTER_ID: routerId, ...env }
  })

beforeAll(async () => {
  database = await createDatabase()
  mock = await startUpstream({ models: [{ name: "broken", faults: { "500": 1 } }], anyModel: true })
  conduit = await start("first")
})
afterAll(async () => {
  await killAll()
  await mock.close()
  await database.drop()
})

type Options = Parameters<typeof request>[1]
/** As one of three customers. */
const as = (key: string, path: string, options: Options = {}, to = conduit): Promise<Answered> =>
  request(`${to.url}${path}`, { ...options, headers: { authorization: `Bearer ${key}`, ...options?.headers } })

const ask = async (
  key: string,
  model: string,
  options: Record<string, unknown> = {},
  to = conduit
): Promise<string> => {
  const answer = await as(
    key,
    "/v1/chat/completions",
    { body: { ...chat("add two numbers", { conduit: options }), model } },
    to
  )
  return String(answer.headers["x-conduit-decision-id"])
}

const list = async (key: string, filters: Record<string, string> = {}): Promise<Answered> => {
  const answer = await as(key, `/v1/decisions?${new URLSearchParams(filters)}`)
  assert.strictEqual(answer.status, 200, answer.text)
  return answer
}
const idsOf = ({ json }: Answered): Array<string> => json.data.map(({ id }: { id: string }) => id)

const stored = (count: number, routerId: string) =>
  eventually("the decisions are stored", 10_000, async () => {
    const rows = await query<{ count: number }>(
      database.url,
      "SELECT count(*)::int AS count FROM decisions d JOIN routers r ON r.key = d.router_key WHERE r.id = $1",
      [routerId]
    )
    return rows[0]?.count === count ? true : undefined
  })

describe("GET /v1/decisions", () => {
  const made: Array<string> = []

  beforeAll(async () => {
    for (let i = 0; i < 120; i++)
      made.push(await ask("sk-ann", i % 3 === 0 ? "large" : "small", { task: `task-${i % 4}` }))
    await stored(120, "first")
  })

  it("shows each of 120 decisions once, newest first, page by page, while more are made", async () => {
    const seen: Array<string> = []
    let cursor: string | null = null
    let pages = 0
    do {
      const page: Answered = await list("sk-ann", { limit: "7", ...(cursor === null ? {} : { cursor }) })
      assert.strictEqual(page.json.object, "list")
      seen.push(...idsOf(page))
      cursor = page.json.next_cursor
      pages++
      if (pages === 3) made.push(await ask("sk-ann", "small"))
    } while (cursor !== null && pages < 50)
    assert.deepStrictEqual(seen, made.slice(0, 120).toReversed())
    assert.strictEqual(pages, Math.ceil(120 / 7))
    await stored(made.length, "first")
    assert.lengthOf(idsOf(await list("sk-ann")), 50)
    assert.lengthOf(idsOf(await list("sk-ann", { limit: "200" })), made.length)
  })

  it("shows a decision as GET /v1/decisions/{id} does, feedback and reward included", async () => {
    const id = made[5]
    await as("sk-ann", "/v1/feedback", { body: { decision_id: id, kind: "score", value: 0.75 } })
    const one = await as("sk-ann", `/v1/decisions/${id}`)
    const inList = (await list("sk-ann", { limit: "200" })).json.data.find((shown: { id: string }) => shown.id === id)
    assert.deepStrictEqual(inList, one.json)
    assert.strictEqual(inList.feedback[0].value, 0.75)
    assert.isNumber(inList.reward)
    assert.notProperty(inList, "prompt")
  })

  it("filters by each of its parameters, and by all of them together", async () => {
    const before = new Date().toISOString()
    const pinned = await ask("sk-bob", "large", { task: "poem", user_id: "u 1" })
    const fellBack = await ask("sk-bob", "broken", { user_id: "u 1", fallback: true })
    await ask("sk-bob", "broken", { task: "poem" })
    const routed = await as("sk-bob", "/v1/route", { body: { prompt: "add two numbers", model: "small" } })
    const pending = String(routed.json.id)
    await stored(made.length + 4, "first")
    // A client is told no id where no model answered.
    const rows = await query<{ id: string }>(database.url, "SELECT id FROM decisions WHERE NOT ok")
    assert.lengthOf(rows, 1)
    const failed = String(rows[0]?.id)
    const shown = async (filters: Record<string, string>) => idsOf(await list("sk-bob", filters))

    const all = [pending, failed, fellBack, pinned]
    assert.deepStrictEqual(await shown({}), all)
    assert.deepStrictEqual(await shown({ task: "poem" }), [failed, pinned])
    assert.deepStrictEqual(await shown({ user_id: "u 1" }), [fellBack, pinned])
    assert.deepStrictEqual(await shown({ reason: "fallback" }), [fellBack])
    assert.deepStrictEqual(await shown({ reason: "pinned" }), [pending, failed, pinned])
    assert.deepStrictEqual(await shown({ model: "broken" }), [failed])
    assert.deepStrictEqual(await shown({ outcome: "failed" }), [failed])
    assert.deepStrictEqual(await shown({ outcome: "pending" }), [pending])
    assert.deepStrictEqual(await shown({ outcome: "ok" }), [fellBack, pinned])
    assert.deepStrictEqual(await shown({ outcome: "aborted" }), [])
    assert.deepStrictEqual(await shown({ from: before }), all)
    assert.deepStrictEqual(await shown({ until: before }), [])
    const { created_at: at, policy } = (await as("sk-bob", `/v1/decisions/${fellBack}`)).json
    assert.include(await shown({ from: at }), fellBack)
    assert.notInclude(await shown({ until: at }), fellBack)
    assert.deepStrictEqual(await shown({ algorithm: policy.algorithm }), all)
    assert.deepStrictEqual(await shown({ algorithm: "another" }), [])
    const together = { task: "poem", user_id: "u 1", reason: "pinned", model: "large", outcome: "ok", from: before }
    assert.deepStrictEqual(await shown(together), [pinned])
    for (const [name, value] of Object.entries({ ...together, task: "x", reason: "best", outcome: "failed" })) {
      if (value === together[name as keyof typeof together]) continue
      assert.deepStrictEqual(await shown({ ...together, [name]: value }), [], name)
    }
  })

  it("shows nobody's decisions to another key, whatever cursor it has got hold of", async () => {
    assert.deepStrictEqual(idsOf(await list("sk-eve")), [])
    assert.deepStrictEqual(idsOf(await list("sk-eve", { cursor: String(made[60]) })), [])
    assert.strictEqual((await as("sk-eve", `/v1/decisions/${made[60]}`)).status, 404)
    assert.strictEqual((await request(`${conduit.url}/v1/decisions`)).status, 401)
  })

  it("shows the prompt where prompts are stored, to whom it belongs", async () => {
    const storing = await start("storing", { CONDUIT_STORE_PROMPTS: "true" })
    const id = await ask("sk-ann", "small", {}, storing)
    await stored(1, "storing")
    const one = await as("sk-ann", `/v1/decisions/${id}`, {}, storing)
    assert.strictEqual(one.json.prompt, "add two numbers")
    assert.deepStrictEqual((await as("sk-ann", "/v1/decisions", {}, storing)).json.data, [one.json])
    assert.deepStrictEqual((await as("sk-bob", "/v1/decisions", {}, storing)).json.data, [])
    storing.kill("SIGTERM")
    assert.strictEqual((await storing.ended()).code, 0)
  })

  it("answers 400 to what it does not know, naming it", async () => {
    for (const [filters, param] of [
      ["limit=1000", "limit"],
      ["sort=asc", "sort"],
      ["user_id=a%00b", "user_id"]
    ]) {
      const answer = await as("sk-ann", `/v1/decisions?${filters}`)
      assert.deepStrictEqual([answer.status, answer.json.error.param], [400, param])
    }
  })
})

describe("feedback on a session", () => {
  const judge = (body: Record<string, unknown>, key: string | null, as_ = "sk-ann", to = conduit) =>
    as(as_, "/v1/feedback", { body, headers: key === null ? {} : { "idempotency-key": key } }, to)

  /** Keys are kept apart by their callers: a hash of the API key stands before each, which is left out here. */
  const rowsOf = (ids: ReadonlyArray<string>) =>
    query<{
      decision_id: string
      confidence: number
      source: string
      idempotency_key: string
      quality: number
      weight: number
    }>(
      database.url,
      `SELECT f.decision_id, f.confidence, f.source, substr(f.idempotency_key, 18) AS idempotency_key, d.learned_quality AS quality, d.learned_weight AS weight
       FROM feedback f JOIN decisions d ON d.id = f.decision_id WHERE d.id = ANY($1::uuid[]) ORDER BY d.id DESC`,
      [ids]
    )
  const learned = async (to: ConduitProcess) =>
    Object.fromEntries(
      (await as("sk-ann", "/v1/models", {}, to)).json.data
        .slice(1)
        .map((model: any) => [model.id, model.conduit.quality])
    )

  it("moves quality as the same credits do when they are given one by one, and a repetition moves nothing", async () => {
    const [atOnce, oneByOne] = await Promise.all([start("at-once"), start("one-by-one")])
    const session_id = randomUUID()
    const prior = await learned(atOnce)
    const session = async (to: ConduitProcess) => {
      const ids: Array<string> = []
      for (let i = 0; i < 10; i++) ids.unshift(await ask("sk-ann", "small", { session_id }, to))
      return ids
    }
    const [ids, twins] = await Promise.all([session(atOnce), session(oneByOne)])
    // Neither a failed answer nor another key's is the session's; an open decision is not answered.
    await ask("sk-ann", "broken", { session_id }, atOnce)
    await ask("sk-bob", "small", { session_id }, atOnce)
    await as("sk-ann", "/v1/route", { body: { prompt: "x", session_id } }, atOnce)

    const body = { session_id, kind: "rating", value: 2, confidence: 0.8, source: "survey" }
    const first = await judge(body, "key-1", "sk-ann", atOnce)
    assert.strictEqual(first.status, 200, first.text)
    const { id } = (await as("sk-ann", `/v1/decisions/${ids[0]}`, {}, atOnce)).json.feedback[0]
    assert.deepStrictEqual(first.json, { id, session_id, decision_ids: ids.slice(0, 8), status: "recorded" })

    const credits = ids.slice(0, 8).map((_, rank) => 0.8 / 2 ** rank)
    const rows = await rowsOf(ids)
    assert.deepStrictEqual(
      rows,
      credits.map((confidence, rank) => ({
        decision_id: String(ids[rank]),
        confidence,
        source: "session:survey",
        idempotency_key: rank === 0 ? "key-1" : `key-1 #${rank + 1}`,
        quality: 0.25,
        weight: confidence
      }))
    )
    const commits = await query<{ commits: number }>(
      database.url,
      "SELECT count(DISTINCT learned_position)::int AS commits FROM decisions WHERE id = ANY($1::uuid[])",
      [ids]
    )
    assert.deepStrictEqual(commits, [{ commits: 1 }])

    for (const [rank, confidence] of credits.entries()) {
      const single = { decision_id: twins[rank], kind: "rating", value: 2, confidence }
      assert.strictEqual((await judge(single, null, "sk-ann", oneByOne)).json.status, "recorded")
    }
    const quality = await learned(atOnce)
    assert.deepStrictEqual(quality, await learned(oneByOne))
    assert.isBelow(quality.small.mean, prior.small.mean)
    assert.strictEqual(quality.small.observations, 8)
    assert.deepStrictEqual([quality.large.observations, quality.broken.observations], [0, 0])

    await ask("sk-ann", "small", { session_id }, atOnce)
    const again = await judge(body, "key-1", "sk-ann", atOnce)
    assert.deepStrictEqual([again.status, again.json], [200, first.json])
    assert.deepStrictEqual(await rowsOf(ids), rows)
    assert.deepStrictEqual(await learned(atOnce), quality)
    const other = await judge({ ...body, value: 3 }, "key-1", "sk-ann", atOnce)
    assert.deepStrictEqual([other.status, other.json.error.code], [409, "idempotency_conflict"])
    assert.deepStrictEqual(await learned(atOnce), quality)
    const shownToClient = (await as("sk-ann", `/v1/decisions/${ids[1]}`, {}, atOnce)).json.feedback
    assert.deepInclude(shownToClient[0], { kind: "rating", value: 2, confidence: 0.4, source: "session:survey" })
  })

  it("judges an answer that was given a moment ago, and puts a comment on the newest one only", async () => {
    const session_id = randomUUID()
    const older = await ask("sk-ann", "small", { session_id })
    const newer = await ask("sk-ann", "small", { session_id })
    const judged = await judge({ session_id, kind: "thumbs", value: "up" }, null)
    assert.deepStrictEqual([judged.status, judged.json.decision_ids], [200, [newer, older]], judged.text)
    const comment = await judge({ session_id, kind: "comment", value: "thanks" }, null)
    assert.deepStrictEqual([comment.status, comment.json.decision_ids], [200, [newer]])
  })

  it("is 404 for a session that is unknown, another key's, or without an answer", async () => {
    const session_id = randomUUID()
    const score = { session_id, kind: "score", value: 1 }
    await ask("sk-ann", "broken", { session_id })
    await ask("sk-bob", "small", { session_id })
    for (const body of [score, { ...score, session_id: "no such session" }]) {
      const answer = await judge(body, null)
      assert.deepStrictEqual(
        [answer.status, answer.json.error.code, answer.json.error.param],
        [404, "session_not_found", "session_id"]
      )
    }
    assert.strictEqual((await judge(score, null, "sk-bob")).status, 200)
  })

  it("is 400 with both a session and a decision, or neither", async () => {
    const decision_id = await ask("sk-ann", "small", { session_id: "s" })
    for (const body of [
      { session_id: "s", decision_id, kind: "score", value: 1 },
      { kind: "score", value: 1 }
    ]) {
      assert.strictEqual((await judge(body, null)).status, 400)
    }
  })
})

describe("a clock that stepped back", () => {
  /** As it would be stored if it had been made an hour later. */
  const anHourLater = async (id: string): Promise<string> => {
    const millis = Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) + 3_600_000
    const time = millis.toString(16).padStart(12, "0")
    const later = `${time.slice(0, 8)}-${time.slice(8)}${id.slice(13)}`
    await query(database.url, "UPDATE decisions SET id = $2 WHERE id = $1", [id, later])
    return later
  }

  it("lets stored decisions be judged and reported on, and nobody else's or made-up ones", async () => {
    const judge = (id: string, key = "sk-ann") =>
      as(key, "/v1/feedback", { body: { decision_id: id, kind: "score", value: 1 } })
    const asked = await ask("sk-ann", "small")
    await eventually("the decision is stored", 10_000, async () => {
      const rows = await query(database.url, "SELECT FROM decisions WHERE id = $1", [asked])
      return rows.length === 1 ? true : undefined
    })
    const judged = await anHourLater(asked)
    assert.strictEqual((await judge(judged, "sk-bob")).status, 404)
    const answer = await judge(judged)
    assert.deepStrictEqual([answer.status, answer.json.status], [200, "recorded"])
    const routed = await as("sk-ann", "/v1/route", { body: { prompt: "add", model: "small" } })
    const reported = await anHourLater(String(routed.json.id))
    const report = await as("sk-ann", "/v1/outcomes", { body: { decision_id: reported, ok: true } })
    assert.strictEqual(report.status, 200, report.text)
    const [, ...rest] = randomUUID().split("-")
    const madeUp = `${judged.slice(0, 8)}-${judged.slice(9, 13)}-7${(rest[1] ?? "").slice(1)}-8${(rest[2] ?? "").slice(1)}-${rest[3]}`
    assert.strictEqual((await judge(madeUp)).status, 404)
  })
})
