import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import * as Path from "node:path"
import OpenAI from "openai"
import { chat, type ConduitProcess, killAll, request, startConduit } from "../support/conduit.ts"
import { createDatabase, type TestDatabase } from "../support/postgres.ts"
import { answers } from "../support/scriptedUpstream.ts"
import { eventually } from "../support/traffic.ts"
import { failureOf } from "../support/openaiAnswers.ts"

// What a float32 has exactly.
const vector = [0.5, -1.25, 3]

let database: TestDatabase
let conduit: ConduitProcess
let client: OpenAI
const asked: Array<{ readonly path: string; readonly body: any }> = []
/** `failing` fails; `stubborn` answers numbers whatever was asked; the others honour the format. */
const upstream = Http.createServer((incoming, response) => {
  if (incoming.method === "GET") return void response.writeHead(404).end()
  const chunks: Array<Buffer> = []
  incoming.on("data", (chunk: Buffer) => chunks.push(chunk))
  incoming.on("end", () => {
    const body = JSON.parse(Buffer.concat(chunks).toString("utf8"))
    asked.push({ path: String(incoming.url), body })
    if (body.messages !== undefined) return answers()(response, { model: body.model, body, headers: {} })
    const isFailing = body.model === "failing"
    response.writeHead(isFailing ? 500 : 200, { "content-type": "application/json" })
    if (isFailing) return void response.end(JSON.stringify({ error: { message: "not now" } }))
    const bytes = Buffer.from(new Float32Array(vector).buffer)
    const embedding = body.encoding_format === "base64" && body.model !== "stubborn" ? bytes.toString("base64") : vector
    const data = [body.input].flat().map((_: unknown, index: number) => ({ object: "embedding", index, embedding }))
    response.end(
      JSON.stringify({ object: "list", model: body.model, data, usage: { prompt_tokens: 8, total_tokens: 8 } })
    )
  })
})

beforeAll(async () => {
  database = await createDatabase()
  upstream.listen(0, "127.0.0.1")
  await once(upstream, "listening")
  const folder = Fs.mkdtempSync("/tmp/conduit-embeddings-")
  const config = Path.join(folder, "conduit.yaml")
  const priced = { provider: "local", inputUsdPerMTok: 0.5 }
  Fs.writeFileSync(
    config,
    JSON.stringify({
      providers: {
        local: { kind: "openai-compatible", baseUrl: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}/v1` }
      },
      models: [
        { id: "talks", provider: "local", inputUsdPerMTok: 1, outputUsdPerMTok: 1 },
        { id: "failing", ...priced, embeddings: { space: "twins" } },
        { id: "twin", ...priced, embeddings: { space: "twins" } },
        { id: "stubborn", ...priced, embeddings: { space: "other" } }
      ],
      aliases: { "text-embedding-ada-002": "stubborn", any: { models: ["twin", "stubborn"] } }
    })
  )
  conduit = await startConduit({
    databaseUrl: database.url,
    env: { CONDUIT_CONFIG: config, CONDUIT_SIMULATE: "", CONDUIT_FLUSH_INTERVAL: "50 millis" }
  })
  Fs.rmSync(folder, { recursive: true })
  client = new OpenAI({ baseURL: `${conduit.url}/v1`, apiKey: "unused", maxRetries: 0 })
})
afterAll(async () => {
  await killAll()
  upstream.closeAllConnections()
  upstream.close()
  await database.drop()
})

describe("POST /v1/embeddings", () => {
  it("answers the openai client at its default, which is base64, by models that honour it and by those that do not", async () => {
    for (const model of ["twin", "stubborn"]) {
      const { data, response } = await client.embeddings.create({ model, input: ["one", "two"] }).withResponse()
      assert.strictEqual(data.model, model)
      assert.strictEqual(data.data.length, 2)
      assert.deepStrictEqual([...(data.data[1]?.embedding ?? [])], vector)
      assert.strictEqual(data.usage.prompt_tokens, 8)
      assert.strictEqual(response.headers.get("x-conduit-model"), model)
      assert.strictEqual(Number(response.headers.get("x-conduit-cost-usd")), 0.000004)
    }
    assert.strictEqual(asked.at(-1)?.path, "/v1/embeddings")
    assert.strictEqual(asked.at(-1)?.body.encoding_format, "base64")
  })

  it("answers numbers where they are asked for or nothing is, with an id, and passes dimensions on", async () => {
    const answer = await request(`${conduit.url}/v1/embeddings`, {
      body: { model: "twin", input: "one", dimensions: 3, user: "u", conduit: { task: "search" } }
    })
    assert.strictEqual(answer.status, 200)
    assert.strictEqual(answer.json.id, `embd-${answer.headers["x-conduit-decision-id"]}`)
    assert.deepStrictEqual(answer.json.data[0].embedding, vector)
    assert.deepStrictEqual(asked.at(-1)?.body, { model: "twin", input: "one", dimensions: 3, user: "u" })
    const base64 = await request(`${conduit.url}/v1/embeddings`, {
      body: { model: "stubborn", input: [1, 2, 3], encoding_format: "base64" }
    })
    assert.deepStrictEqual(
      [...new Float32Array(new Uint8Array(Buffer.from(base64.json.data[0].embedding, "base64")).buffer)],
      vector
    )
  })

  it("falls back within a space, and never mixes two", async () => {
    const { response } = await client.embeddings.create({ model: "twins", input: "one" }).withResponse()
    assert.strictEqual(response.headers.get("x-conduit-model"), "twin")
    const unclear = await failureOf(client.embeddings.create({ model: "auto", input: "one" }))
    assert.instanceOf(unclear, OpenAI.BadRequestError)
    assert.strictEqual(unclear.param, "model")
    assert.include(unclear.message, "never mixed: name one of twins, other, or a model")
    assert.instanceOf(await failureOf(client.embeddings.create({ model: "any", input: "one" })), OpenAI.BadRequestError)
    const pinned = await request(`${conduit.url}/v1/embeddings`, {
      body: { model: "failing", input: "one", conduit: { fallback: true } }
    })
    assert.strictEqual(pinned.headers["x-conduit-model"], "twin")
  })

  it("is asked by an alias, and keeps a decision like any other", async () => {
    const { data, response } = await client.embeddings
      .create({ model: "text-embedding-ada-002", input: "one" })
      .withResponse()
    assert.strictEqual(data.model, "stubborn")
    const id = response.headers.get("x-conduit-decision-id")
    const decision = await eventually("the decision is stored", 20_000, async () => {
      const found = await request(`${conduit.url}/v1/decisions/${id}`)
      return found.status === 404 ? undefined : found
    })
    assert.strictEqual(decision.json.request.asked_model, "text-embedding-ada-002")
    assert.deepInclude(
      decision.json.candidates.find(({ model }: any) => model === "talks"),
      { eligible: false, excluded_by: "operation" }
    )
    assert.strictEqual(decision.json.outcome.kind, "ok")
  })

  it("keeps chats and embeddings apart", async () => {
    for (let i = 0; i < 5; i++) {
      const { headers } = await request(`${conduit.url}/v1/chat/completions`, { body: chat(`hello ${i}`) })
      assert.strictEqual(headers["x-conduit-model"], "talks")
    }
    const talking = await request(`${conduit.url}/v1/embeddings`, { body: { model: "talks", input: "one" } })
    assert.strictEqual(talking.status, 422)
    assert.deepInclude(talking.json.error.details.excluded, { model: "talks", excluded_by: "operation" })
    const embedding = await request(`${conduit.url}/v1/chat/completions`, { body: chat("hello", { model: "twin" }) })
    assert.strictEqual(embedding.status, 422)
  })

  it("says what is wrong with a request", async () => {
    for (const body of [{}, { input: [] }, { input: "one", encoding_format: "int8" }, { input: [{}] }]) {
      const { json, status } = await request(`${conduit.url}/v1/embeddings`, { body: { model: "twin", ...body } })
      assert.deepStrictEqual([status, json.error.code], [400, "invalid_request"], JSON.stringify(body))
    }
  })
})
