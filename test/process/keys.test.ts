import { afterAll, afterEach, assert, beforeAll, describe, it } from "@effect/vitest"
import { createHash } from "node:crypto"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { runCommand } from "../support/command.ts"
import { chat, type ConduitProcess, killAll, request, startConduit } from "../support/conduit.ts"
import { query, startPostgres, type TestPostgres } from "../support/postgres.ts"
import { serviceFixture } from "../support/serviceFixture.ts"
import { eventually, paced } from "../support/traffic.ts"

const fixture = serviceFixture()
const admin = { authorization: "Bearer admin-secret-of-tests" }
const adminKeys = { CONDUIT_ADMIN_KEYS: "ops:admin-secret-of-tests" }
/** The issue's own: a change counts on every replica within a second; the rest is for a busy machine. */
const limitMs = 10_000

const replica = (routerId: string, env: Record<string, string> = adminKeys, databaseUrl = fixture.database.url) =>
  startConduit({ databaseUrl, upstream: fixture.mock.url, env: { CONDUIT_ROUTER_ID: routerId, ...env } })

const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` })
const ask = (conduit: ConduitProcess, headers: Record<string, string>, more: Record<string, unknown> = {}) =>
  request(`${conduit.url}/v1/chat/completions`, { body: chat("hello", more), headers })
const post = (conduit: ConduitProcess, path: string, body: unknown, headers: Record<string, string> = admin) =>
  request(`${conduit.url}${path}`, { body, headers })
const get = (conduit: ConduitProcess, path: string, headers: Record<string, string> = admin) =>
  request(`${conduit.url}${path}`, { headers })
const create = async (conduit: ConduitProcess, name: string, more: Record<string, unknown> = {}) => {
  const made = await post(conduit, "/v1/keys", { name, ...more })
  assert.strictEqual(made.status, 200, made.text)
  return String(made.json.secret)
}
const becomes = (conduit: ConduitProcess, headers: Record<string, string>, status: number) =>
  eventually(`${status}`, limitMs, async () =>
    (await get(conduit, "/v1/models", headers)).status === status ? true : undefined
  )
const decisionOf = (answer: Awaited<ReturnType<typeof ask>>) => String(answer.headers["x-conduit-decision-id"])
const requestsOf = async (conduit: ConduitProcess, headers: Record<string, string>) =>
  Number((await get(conduit, "/v1/stats", headers)).json.totals.requests)

describe("keys of the database", () => {
  it("are made, listed and revoked by an admin, and count on every replica without a restart", async () => {
    const [a, b] = await Promise.all([replica("changes"), replica("changes")])
    const secret = await create(a, "team-a", { labels: { contact: "a" } })
    assert.match(secret, /^ck_/)
    assert.strictEqual((await ask(a, bearer(secret))).status, 200)
    await becomes(b, bearer(secret), 200)
    const again = await post(b, "/v1/keys", { name: "team-a" })
    assert.deepStrictEqual([again.status, again.json.error.code], [409, "key_exists"])

    const listed = await get(b, "/v1/keys")
    const mine = listed.json.data.find((key: { name: string }) => key.name === "team-a")
    assert.deepInclude(mine, { scopes: ["route", "feedback", "read"], created_by: "key ops", labels: { contact: "a" } })
    assert.notInclude(listed.text, secret)
    assert.notInclude(listed.text, createHash("sha256").update(secret).digest("hex"))
    const stored = await query(fixture.database.url, "SELECT * FROM api_keys, api_key_secrets")
    assert.notInclude(JSON.stringify(stored), secret)

    const revoked = await post(b, "/v1/keys/revoke", { name: "team-a" })
    assert.strictEqual(revoked.status, 200, revoked.text)
    assert.strictEqual((await ask(b, bearer(secret))).status, 401)
    await becomes(a, bearer(secret), 401)
    assert.strictEqual((await post(a, "/v1/keys/revoke", { name: "team-a" })).status, 404)

    const audit = (await get(a, "/v1/audit?limit=2")).json
    assert.deepStrictEqual(
      audit.data.map((entry: Record<string, unknown>) => [entry["actor"], entry["action"], entry["subject"]]),
      [
        ["key ops", "revoke", "team-a"],
        ["key ops", "create", "team-a"]
      ]
    )
    assert.notInclude(JSON.stringify(audit), secret)
  })

  it("may do what their scopes say, and read their own name's rows unless they read all", async () => {
    const conduit = await replica("scopes")
    const routes = bearer(await create(conduit, "routes", { scopes: ["route"] }))
    const judges = bearer(await create(conduit, "judges", { scopes: ["feedback"] }))
    const other = bearer(await create(conduit, "other"))
    const reader = bearer(await create(conduit, "reader", { scopes: ["read:all"] }))
    const only = bearer(await create(conduit, "only", { allowed_models: ["another"] }))
    const answer = await ask(conduit, routes)
    assert.strictEqual(answer.status, 200, answer.text)
    const id = decisionOf(answer)
    for (const [path, headers, status] of [
      [`/v1/decisions/${id}`, routes, 403],
      [`/v1/decisions/${id}`, judges, 403],
      [`/v1/decisions/${id}`, other, 404],
      [`/v1/decisions/${id}`, reader, 200],
      [`/v1/decisions/${id}`, admin, 200],
      ["/v1/models", judges, 200],
      ["/v1/keys", other, 403],
      ["/v1/audit", reader, 403]
    ] as const) {
      assert.strictEqual((await get(conduit, path, headers)).status, status, path)
    }
    assert.strictEqual((await ask(conduit, judges)).status, 403)
    const feedback = { decision_id: id, kind: "thumbs", value: "up" }
    assert.strictEqual((await post(conduit, "/v1/feedback", feedback, routes)).status, 403)
    assert.strictEqual((await post(conduit, "/v1/feedback", feedback, other)).status, 404)
    const refused = await ask(conduit, only)
    assert.deepStrictEqual([refused.status, refused.json.error.code], [422, "no_eligible_model"])
    assert.strictEqual((await ask(conduit, only, { model: "small" })).status, 422)
    const shown = async (headers: Record<string, string>) =>
      (await get(conduit, "/v1/models", headers)).json.data.map(({ id }: { id: string }) => id)
    assert.deepStrictEqual(await shown(only), ["auto"])
    assert.deepStrictEqual(await shown(other), ["auto", "small"])
    assert.strictEqual((await get(conduit, "/v1/models/small", only)).status, 404)

    await eventually("the sum of all", limitMs, async () =>
      (await requestsOf(conduit, reader)) === 1 ? true : undefined
    )
    assert.strictEqual(await requestsOf(conduit, other), 0)
    assert.lengthOf((await get(conduit, "/v1/decisions", admin)).json.data, 1)
    const expired = bearer(await create(conduit, "expired", { expires_at: "2020-01-01T00:00:00Z" }))
    const late = await ask(conduit, expired)
    assert.deepStrictEqual([late.status, late.json.error.message], [401, "the API key has expired, or was revoked"])
  })

  it("are rotated under load without a 401, and keep statistics and outstanding feedback", async () => {
    const [a, b] = await Promise.all([replica("rotation"), replica("rotation")])
    let secret = await create(a, "busy")
    const first = secret
    await becomes(b, bearer(secret), 200)
    const ids: Array<string> = []
    const refused: Array<number> = []
    const load = paced(40, async (number) => {
      const answer = await ask(number % 2 === 0 ? a : b, bearer(secret))
      if (answer.status === 200) ids.push(decisionOf(answer))
      else refused.push(answer.status)
    })
    for (let round = 0; round < 3; round++) {
      const rotated = await post(round % 2 === 0 ? a : b, "/v1/keys/rotate", {
        name: "busy",
        others_valid_seconds: 3600
      })
      assert.strictEqual(rotated.status, 200, rotated.text)
      await Promise.all([a, b].map((one) => becomes(one, bearer(rotated.json.secret), 200)))
      secret = rotated.json.secret
      await new Promise((resolve) => setTimeout(resolve, 300))
    }
    await load.stop()
    assert.deepStrictEqual(refused, [])
    const [oldest = ""] = ids
    const id = createHash("sha256").update(first).digest("hex").slice(0, 16)
    assert.strictEqual((await post(a, "/v1/keys/revoke", { name: "busy", secret_id: id })).status, 200)
    assert.strictEqual((await ask(a, bearer(first))).status, 401)
    const judged = await post(b, "/v1/feedback", { decision_id: oldest, kind: "score", value: 1 }, bearer(secret))
    assert.deepStrictEqual([judged.status, judged.json?.status], [200, "recorded"])
    await eventually("all is counted", limitMs, async () =>
      (await requestsOf(b, bearer(secret))) === ids.length ? true : undefined
    )
  })

  it("are made, rotated and revoked by commands, which a running service obeys", async () => {
    const conduit = await replica("commands")
    const env = { DATABASE_URL: fixture.database.url, CONDUIT_ROUTER_ID: "commands" }
    const run = (...args: ReadonlyArray<string>) => runCommand(["keys", ...args], { env })
    const made = await run("create", "cli", "--scope", "route", "--scope", "read", "--usd-per-day", "5")
    assert.strictEqual(made.code, 0, made.stderr)
    const secret = made.stdout.trim()
    await becomes(conduit, bearer(secret), 200)
    const rotated = await run("rotate", "cli", "--others-valid", "0", "--json")
    assert.strictEqual(rotated.code, 0, rotated.stderr)
    await becomes(conduit, bearer(secret), 401)
    await becomes(conduit, bearer(JSON.parse(rotated.stdout).secret), 200)
    const listed = await run("list")
    assert.match(listed.stdout, /cli +route,read +valid .*usdPerDay 5/)
    assert.strictEqual((await run("revoke", "cli")).code, 0)
    await becomes(conduit, bearer(JSON.parse(rotated.stdout).secret), 401)
    const wrong = await run("create", "0123456789abcdef")
    assert.strictEqual(wrong.code, 1)
    assert.include(wrong.stderr, "must be a letter")
    const audit = (await get(conduit, "/v1/audit?limit=1")).json.data[0]
    assert.match(audit.actor, /^command line: /)
  })
})

describe("keys of settings and files", () => {
  it("have names that own what the key did before it had one", async () => {
    const env = { CONDUIT_API_KEYS: "plain-key-of-tests" }
    const before = await replica("naming", env)
    const headers = bearer("plain-key-of-tests")
    const old = decisionOf(await ask(before, headers))
    before.kill("SIGTERM")
    await before.ended()
    const named = { CONDUIT_API_KEYS: "team:plain-key-of-tests,team:second-key-of-tests" }
    const after = await replica("naming", named)
    const second = bearer("second-key-of-tests")
    for (const key of [headers, second]) {
      assert.strictEqual((await get(after, `/v1/decisions/${old}`, key)).status, 200)
      assert.strictEqual(await requestsOf(after, key), 1)
    }
    const feedback = { decision_id: old, kind: "thumbs", value: "up" }
    assert.strictEqual((await post(after, "/v1/feedback", feedback, second)).status, 200)
    const young = decisionOf(await ask(after, second))
    assert.strictEqual((await get(after, `/v1/decisions/${young}`, headers)).status, 200)
    // The whole text was a plain key before colons meant names.
    assert.strictEqual((await get(after, "/v1/models", bearer("team:second-key-of-tests"))).status, 200)
  })

  it("follow their file, and stay as they are while it is wrong", async () => {
    const file = Path.join(Fs.mkdtempSync("/tmp/conduit-keys-"), "keys.yaml")
    const write = (text: string) => Fs.writeFileSync(file, text)
    try {
      write("keys:\n  - { name: one, keys: [first-key-of-tests] }\n")
      const conduit = await replica("file", { CONDUIT_API_KEYS_FILE: file })
      await becomes(conduit, bearer("first-key-of-tests"), 200)
      write("keys:\n  - { name: one, keys: [second-key-of-tests], scopes: [route] }\n")
      await becomes(conduit, bearer("second-key-of-tests"), 200)
      await becomes(conduit, bearer("first-key-of-tests"), 401)
      assert.strictEqual((await get(conduit, "/v1/stats", bearer("second-key-of-tests"))).status, 403)
      write("keys:\n  - { name: one, key: third-key-of-tests }\n")
      const line = await conduit.logged("the keys of the file stay as they were")
      assert.match(String(line["message"]), /keys\[0\]\.key: is not a key here: did you mean keys\?/)
      assert.notInclude(JSON.stringify(conduit.lines), "third-key-of-tests")
      await becomes(conduit, bearer("second-key-of-tests"), 200)
    } finally {
      Fs.rmSync(Path.dirname(file), { recursive: true, force: true })
    }
  })
})

describe("a database that goes away", () => {
  let postgres: TestPostgres
  beforeAll(async () => {
    postgres = await startPostgres()
  })
  afterEach(killAll)
  afterAll(() => postgres.dispose())

  it("turns no key into a 401", async () => {
    const conduit = await replica("away", adminKeys, postgres.url)
    const secret = await create(conduit, "steady")
    await postgres.stop()
    await conduit.logged("keys are not read from the database")
    const answer = await ask(conduit, bearer(secret))
    assert.strictEqual(answer.status, 200, answer.text)
    assert.strictEqual((await ask(conduit, bearer("ck_nobody"))).status, 401)
    const made = await post(conduit, "/v1/keys", { name: "late" })
    assert.strictEqual(made.status, 503, made.text)
    await postgres.start()
    await conduit.logged("keys are read from the database again")
    assert.strictEqual((await ask(conduit, bearer(secret))).status, 200)
    await create(conduit, "late")
  })
})

describe("pages in production", () => {
  const pages = ["/", "/docs", "/openapi.json", "/metrics"]
  const production = (env: Record<string, string> = {}) =>
    replica("pages", { NODE_ENV: "production", ...adminKeys, CONDUIT_API_KEYS: "reader:reading-key-of-tests", ...env })
  const statusOf = async (conduit: ConduitProcess, path: string, headers: Record<string, string> = {}) =>
    (await get(conduit, path, headers)).status
  const basic = (key: string) => ({ authorization: `Basic ${Buffer.from(`:${key}`).toString("base64")}` })

  it("are closed to who has no key that reads them, and a browser may bring it as a password", async () => {
    const conduit = await production()
    const reader = bearer("reading-key-of-tests")
    for (const path of pages) {
      assert.strictEqual(await statusOf(conduit, path), 401, path)
      assert.strictEqual(await statusOf(conduit, path, admin), 200, path)
      assert.strictEqual(await statusOf(conduit, path, reader), path === "/metrics" ? 401 : 200, path)
    }
    const asked = await get(conduit, "/", {})
    assert.match(String(asked.headers["www-authenticate"]), /^Basic realm="Conduit"/)
    assert.strictEqual(await statusOf(conduit, "/", basic("reading-key-of-tests")), 200)
    assert.strictEqual(await statusOf(conduit, "/v1/stats", basic("reading-key-of-tests")), 200)
    // What a browser adds by itself changes nothing.
    assert.strictEqual((await ask(conduit, basic("reading-key-of-tests"))).status, 401)
    for (const path of ["/health", "/health/ready"]) assert.strictEqual(await statusOf(conduit, path), 200)
    for (const path of pages) {
      const page = await get(conduit, path)
      for (const secret of ["admin-secret-of-tests", "reading-key-of-tests"]) assert.notInclude(page.text, secret, path)
    }
  })

  it("are open as far as CONDUIT_PUBLIC_PAGES says", async () => {
    const conduit = await production({ CONDUIT_PUBLIC_PAGES: "metrics,docs" })
    const statuses = await Promise.all(pages.map((path) => statusOf(conduit, path)))
    assert.deepStrictEqual(statuses, [401, 200, 200, 200])
  })
})

describe("what a thousand keys did", () => {
  const count = 1_000
  const names = Array.from({ length: count }, (_, i) => `key-${i}`)
  const canaryOf = (i: number) => `canary-of-key-${i}-`
  const inFolder = Fs.mkdtempSync("/tmp/conduit-thousand-")
  afterAll(() => Fs.rmSync(inFolder, { recursive: true, force: true }))

  /** For each key, some at once. */
  const each = async (use: (i: number, headers: Record<string, string>) => Promise<void>, every = 1) => {
    let next = 0
    const worker = async () => {
      for (let i = next; i < count; i = next) {
        next += every
        await use(i, bearer(`secret-of-key-${i}`))
      }
    }
    await Promise.all(Array.from({ length: 32 }, worker))
  }

  it("is seen by nobody else: decisions, sessions, feedback, statistics and lists", async () => {
    const file = Path.join(inFolder, "keys.yaml")
    Fs.writeFileSync(
      file,
      `keys:\n${names.map((name) => `  - { name: ${name}, keys: [secret-of-${name}] }`).join("\n")}\n`
    )
    const conduit = await replica("thousand", {
      CONDUIT_API_KEYS_FILE: file,
      ...adminKeys,
      CONDUIT_OVERLOAD_DELAY: "0"
    })
    const ids: Array<string> = []
    // Everybody calls the session by the same name.
    await each(async (i, headers) => {
      const conduitFields = { session_id: "shared-name", user_id: canaryOf(i), task: canaryOf(i) }
      const answer = await ask(conduit, headers, { conduit: conduitFields })
      assert.strictEqual(answer.status, 200, answer.text)
      ids[i] = decisionOf(answer)
    })
    await eventually("all are stored", limitMs, async () =>
      (await requestsOf(conduit, admin)) === count ? true : undefined
    )
    await each(async (i, headers) => {
      const judged = { kind: "comment", value: canaryOf(i) }
      const own = await post(conduit, "/v1/feedback", { ...judged, session_id: "shared-name" }, headers)
      assert.deepStrictEqual([own.status, own.json.decision_ids], [200, [ids[i]]], own.text)
      // Of the rest some of the keys are enough.
      if (i % 10 !== 0) return
      const other = ids[(i + 1) % count]
      assert.strictEqual((await post(conduit, "/v1/feedback", { ...judged, decision_id: other }, headers)).status, 404)
      assert.strictEqual((await get(conduit, `/v1/decisions/${other}`, headers)).status, 404)
    })
    const seen = async (i: number, headers: Record<string, string>, path: string) => {
      const { status, text } = await get(conduit, path, headers)
      assert.strictEqual(status, 200, text)
      assert.deepStrictEqual([...new Set(text.match(/canary-of-key-\d+-/g))], [canaryOf(i)], path)
    }
    await each((i, headers) => seen(i, headers, "/v1/decisions"), 10)
    await each((i, headers) => seen(i, headers, "/v1/stats?savings=false"), 20)
  })
})
