import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Http from "node:http"
import * as Zlib from "node:zlib"
import { chat, type ConduitProcess, killAll, request, startConduit } from "../support/conduit.ts"
import { createDatabase, type TestDatabase } from "../support/postgres.ts"

let database: TestDatabase
let conduit: ConduitProcess

beforeAll(async () => {
  database = await createDatabase()
  conduit = await startConduit({ databaseUrl: database.url })
})
afterAll(async () => {
  await killAll()
  await database.drop()
})

/** A request whose line has that target as it is. */
const asking = (method: string, target: string, headers: Http.OutgoingHttpHeaders = {}, body?: Buffer) =>
  new Promise<{ readonly status: number | undefined; readonly text: string }>((resolve, reject) => {
    const { hostname, port } = new URL(conduit.url)
    const asked = Http.request({ hostname, port, method, path: target, headers, agent: false }, (response) => {
      let text = ""
      response.on("data", (chunk: Buffer) => (text += chunk.toString("utf8")))
      response.on("end", () => resolve({ status: response.statusCode, text }))
    })
    asked.on("error", reject)
    asked.end(body)
  })

const question = Buffer.from(JSON.stringify(chat("What is 17 * 23?")))
const json = (body: Buffer) => ({ "content-type": "application/json", "content-length": body.length })

describe("a request", () => {
  it("may name its target by a whole URL, as proxies do, probes too", async () => {
    const whole = "http://gateway.example"
    const answer = await asking("POST", `${whole}/v1/chat/completions`, json(question), question)
    assert.strictEqual(answer.status, 200, answer.text)
    assert.strictEqual(JSON.parse(answer.text).object, "chat.completion")
    for (const path of ["/health", "/health/live", "/health/ready", "/v1/models", "/metrics"]) {
      assert.strictEqual((await asking("GET", `${whole}${path}`)).status, 200, path)
    }
    assert.strictEqual((await asking("GET", `${whole}/nothing`)).status, 404)
  })

  it("may have a compressed body, which a limit bounds as it is read", async () => {
    const answer = async (body: Buffer) =>
      asking("POST", "/v1/chat/completions", { ...json(body), "content-encoding": "gzip" }, body)
    assert.strictEqual((await answer(Zlib.gzipSync(question))).status, 200)
    const large = await answer(Zlib.gzipSync(Buffer.alloc(64 * 1024 * 1024, " ")))
    assert.deepStrictEqual([large.status, JSON.parse(large.text).error.code], [413, "body_too_large"])
    const broken = await answer(Zlib.gzipSync(question).subarray(0, 20))
    assert.deepStrictEqual([broken.status, JSON.parse(broken.text).error.code], [400, "malformed_body"])
  })

  it("may have 32 KB of headers, and is told of more than 64 by 431", async () => {
    const fillers = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`x-filler-${i}`, "y".repeat(1024)]))
    const headers = { ...json(question), ...fillers(32) }
    assert.strictEqual((await asking("POST", "/v1/chat/completions", headers, question)).status, 200)
    const large = await asking("POST", "/v1/chat/completions", { ...json(question), ...fillers(80) }, question)
    assert.deepStrictEqual([large.status, JSON.parse(large.text).error.code], [431, "headers_too_large"])
  })

  it("may have any object where a word is expected, and is told so by 400", async () => {
    const { headers } = await request(`${conduit.url}/v1/chat/completions`, { body: chat("judged") })
    const decisionId = headers["x-conduit-decision-id"]
    for (const kind of [{}, { score: 1 }, ["score"], { toString: "score" }, null, 7]) {
      const answer = await request(`${conduit.url}/v1/feedback`, { body: { decision_id: decisionId, kind, value: 1 } })
      const { code, param } = answer.json.error
      assert.deepStrictEqual([answer.status, code, param], [400, "invalid_request", "kind"], JSON.stringify(kind))
    }
    assert.lengthOf(
      conduit.lines.filter(({ level }) => level === "ERROR"),
      0
    )
  })
})
