import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Net from "node:net"
import { chat, type ConduitProcess, killAll, request, startConduit } from "../support/conduit.ts"
import { createDatabase, query, type TestDatabase } from "../support/postgres.ts"
import { startUpstream, type Upstream } from "../support/processMock.ts"

let database: TestDatabase
let mock: Upstream
let conduit: ConduitProcess

beforeAll(async () => {
  database = await createDatabase()
  mock = await startUpstream()
  conduit = await startConduit({
    databaseUrl: database.url,
    upstream: mock.url,
    env: { CONDUIT_BODY_TIMEOUT: "2 seconds" }
  })
})
afterAll(async () => {
  // After everything below: alive, and the one good request is all that was stored.
  assert.strictEqual((await request(`${conduit.url}/health/ready`)).status, 200)
  conduit.kill("SIGTERM")
  assert.strictEqual((await conduit.ended()).code, 0)
  const counts =
    "SELECT (SELECT count(*)::int FROM decisions) AS decisions, (SELECT count(*)::int FROM feedback) AS feedback"
  assert.deepStrictEqual(await query(database.url, counts), [{ decisions: 1, feedback: 0 }])
  await killAll()
  await mock.close()
  await database.drop()
})

const unknownId = () => {
  const time = Date.now().toString(16).padStart(12, "0")
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-000000000000`
}

const feedback = (body: unknown) => ({ path: "/v1/feedback", body })
const completion = (body: unknown, headers: Record<string, string> = {}) => ({
  path: "/v1/chat/completions",
  body,
  headers
})

const cases: ReadonlyArray<{
  readonly name: string
  readonly status: number
  readonly path: string
  readonly method?: string
  readonly body?: unknown
  readonly headers?: Record<string, string>
}> = [
  { name: "malformed JSON", status: 400, ...completion('{"model": "auto", "messages": [') },
  { name: "an empty body", status: 400, ...completion("") },
  { name: "an array as the body", status: 400, ...completion([1]) },
  { name: "messages of the wrong type", status: 400, ...completion({ model: "auto", messages: "hello" }) },
  { name: "no messages", status: 400, ...completion({ model: "auto", messages: [] }) },
  { name: "stream of the wrong type", status: 400, ...completion(chat("x", { stream: "yes" })) },
  { name: "a NUL in a stored text", status: 400, ...completion(chat("x", { conduit: { user_id: "a\u0000b" } })) },
  {
    name: "a lone surrogate in a stored text",
    status: 400,
    ...completion('{"model":"auto","messages":[{"role":"user","content":"x"}],"conduit":{"session_id":"\\ud800"}}')
  },
  {
    name: "nesting 10,000 deep",
    status: 400,
    ...completion(
      `{"model":"auto","messages":[{"role":"user","content":"x"}],"x":${"[".repeat(10_000)}${"]".repeat(10_000)}}`
    )
  },
  { name: "an unknown key in conduit", status: 400, ...completion(chat("x", { conduit: { taks: "typo" } })) },
  {
    name: "an unknown key in constraints",
    status: 400,
    ...completion(chat("x", { conduit: { constraints: { max_cost: 1 } } }))
  },
  {
    name: "a negative constraint",
    status: 400,
    ...completion(chat("x", { conduit: { constraints: { max_cost_usd: -1 } } }))
  },
  {
    name: "weights that sum to nothing",
    status: 400,
    ...completion(chat("x", { conduit: { weights: { quality: 0, cost: 0, latency: 0 } } }))
  },
  {
    name: "constraints that nothing satisfies",
    status: 422,
    ...completion(chat("x", { conduit: { constraints: { allowed_models: ["none"] } } }))
  },
  { name: "an unknown model", status: 404, ...completion({ ...chat("x"), model: "no-such-model" }) },
  {
    name: "a wrong content type",
    status: 415,
    ...completion("model=auto", { "content-type": "application/x-www-form-urlencoded" })
  },
  { name: "a declared body of 50 MB", status: 413, ...completion(" ".repeat(50 * 1024 * 1024)) },
  {
    name: "feedback above the range",
    status: 400,
    ...feedback({ decision_id: unknownId(), kind: "score", value: 1.5 })
  },
  {
    name: "feedback that is NaN",
    status: 400,
    ...feedback(`{"decision_id":"${unknownId()}","kind":"score","value":NaN}`)
  },
  {
    name: "feedback that overflows to infinity",
    status: 400,
    ...feedback(`{"decision_id":"${unknownId()}","kind":"score","value":1e999}`)
  },
  {
    name: "a rating of the wrong type",
    status: 400,
    ...feedback({ decision_id: unknownId(), kind: "rating", value: "5" })
  },
  {
    name: "an unknown kind of feedback",
    status: 400,
    ...feedback({ decision_id: unknownId(), kind: "stars", value: 5 })
  },
  {
    name: "feedback on an id that is none",
    status: 404,
    ...feedback({ decision_id: "nonsense", kind: "score", value: 1 })
  },
  { name: "a decision that is none", status: 404, path: "/v1/decisions/nonsense" },
  { name: "an unknown decision", status: 404, path: `/v1/decisions/${unknownId()}` },
  {
    name: "an outcome of an unknown decision",
    status: 404,
    path: "/v1/outcomes",
    body: { decision_id: unknownId(), ok: true }
  },
  { name: "an unknown route", status: 404, path: "/v2/nothing" },
  { name: "a wrong method", status: 405, path: "/v1/chat/completions", method: "DELETE" }
]

describe("bad input", () => {
  it.each(cases)("gets $status and the envelope: $name", async ({ body, headers, method, path, status }) => {
    const answer = await request(`${conduit.url}${path}`, {
      ...(body === undefined ? {} : { body }),
      ...(headers === undefined ? {} : { headers }),
      ...(method === undefined ? {} : { method })
    })
    assert.strictEqual(answer.status, status, answer.text)
    assert.hasAllKeys({ details: 0, ...answer.json.error }, [
      "message",
      "type",
      "code",
      "param",
      "request_id",
      "details"
    ])
    assert.strictEqual(answer.json.error.request_id, answer.headers["x-request-id"])
    if (status === 405) assert.include(answer.headers.allow, "POST")
  })

  it("is not NUL or a lone surrogate in the text of a prompt: the model gets it as it came", async () => {
    const answer = await request(`${conduit.url}/v1/chat/completions`, {
      body: '{"model":"auto","messages":[{"role":"user","content":"a\\u0000b\\ud800c"}]}'
    })
    assert.strictEqual(answer.status, 200, answer.text)
    const last = mock.requests().last.at(-1)?.body
    assert.include(JSON.stringify(last), "a\\u0000b\\ud800c")
  })

  it("answers HEAD like GET without a body, and OPTIONS with what is allowed", async () => {
    const head = await request(`${conduit.url}/v1/models`, { method: "HEAD" })
    assert.strictEqual(head.status, 200)
    assert.strictEqual(head.text, "")
    const options = await request(`${conduit.url}/v1/chat/completions`, { method: "OPTIONS" })
    assert.strictEqual(options.status, 204)
    assert.include(options.headers.allow, "POST")
  })

  it("ends a client that sends a byte a second by the body's time limit", async () => {
    const { hostname, port } = new URL(conduit.url)
    const socket = Net.connect(Number(port), hostname)
    const head =
      "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n"
    socket.write(head)
    const drip = setInterval(() => socket.writable && socket.write(" "), 1_000)
    const text = await new Promise<string>((resolve) => {
      let seen = ""
      socket.on("data", (chunk) => {
        seen += String(chunk)
        if (seen.includes("\r\n\r\n")) resolve(seen)
      })
      socket.on("error", () => resolve(seen))
      socket.on("close", () => resolve(seen))
    })
    clearInterval(drip)
    socket.destroy()
    assert.match(text, /^HTTP\/1.1 408 /)
    assert.include(text, '"code":"body_timeout"')
  })

  for (const head of ["CONNECT x:1 HTTP/1.1", "OPTIONS * HTTP/1.1", "POST /v1/feedback HTTP/1.1", "nonsense"]) {
    it(`outlives who resets the connection after "${head}"`, async () => {
      for (let i = 0; i < 50; i++) {
        await new Promise<void>((resolve) => {
          const socket = Net.connect(Number(new URL(conduit.url).port), "127.0.0.1", () => {
            socket.write(`${head}\r\nhost: x\r\n\r\n`)
            setTimeout(() => socket.resetAndDestroy(), i % 5)
          })
          socket.on("error", () => {}).on("close", () => resolve())
        })
      }
      assert.strictEqual((await request(`${conduit.url}/health/ready`)).status, 200)
    })
  }

  it("answers what is no HTTP with 400 and the envelope", async () => {
    const { hostname, port } = new URL(conduit.url)
    const socket = Net.connect(Number(port), hostname)
    socket.write("this is not HTTP\r\n\r\n")
    const text = await new Promise<string>((resolve) => {
      let seen = ""
      socket.on("data", (chunk) => (seen += String(chunk)))
      socket.on("close", () => resolve(seen))
    })
    assert.match(text, /^HTTP\/1.1 400 /)
    assert.include(text, '"code":"malformed_http"')
  })
})
