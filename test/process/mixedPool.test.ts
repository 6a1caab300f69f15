import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { type Answered, type ConduitProcess, killAll, request, startConduit } from "../support/conduit.ts"
import { createDatabase, type TestDatabase } from "../support/postgres.ts"
import {
  type Answering,
  answers,
  type Asked,
  error,
  refuses,
  type ScriptedUpstream,
  startScripted
} from "../support/scriptedUpstream.ts"

const has = (text: string) => (asked: Asked) => JSON.stringify(asked.body).includes(text)
const hasImage = has('"image_url"')
const hasTools = ({ body }: Asked) => Array.isArray(body.tools) && body.tools.length > 0
/** Counted by the upstream in its own way. */
const isLong = ({ body }: Asked) => JSON.stringify(body).length > 40_000

const refusing =
  (when: (asked: Asked) => boolean, refusal: Answering): Answering =>
  (response, asked) =>
    (when(asked) ? refusal : answers())(response, asked)

const pool = {
  blind: refusing(hasImage, refuses(400, error("image_url is only supported by certain models"))),
  toolless: refusing(hasTools, refuses(404, error("No endpoints found that support tool use", { code: 404 }))),
  short: refusing(
    isLong,
    refuses(400, error("This model's maximum context length is 8192 tokens", { code: "context_length_exceeded" }))
  )
}

let database: TestDatabase
let upstream: ScriptedUpstream
let folder: string
let files = 0

const starting = (models: ReadonlyArray<object>): Promise<ConduitProcess> => {
  const config = Path.join(folder, `${files++}.yaml`)
  const providers = { local: { kind: "openai-compatible", baseUrl: upstream.url } }
  Fs.writeFileSync(config, JSON.stringify({ providers, models }))
  return startConduit({ databaseUrl: database.url, env: { CONDUIT_CONFIG: config, CONDUIT_SIMULATE: "false" } })
}

beforeAll(async () => {
  database = await createDatabase()
  upstream = await startScripted({ ...pool, plain: answers(), able: answers() })
  folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-pool-"))
})
afterAll(async () => {
  await killAll()
  await upstream.close()
  await database.drop()
  Fs.rmSync(folder, { recursive: true, force: true })
})

const image = { type: "image_url", image_url: { url: "data:image/png;base64,AA==" } }
const tools = [{ type: "function", function: { name: "f", parameters: { type: "object" } } }]

/** Of eight kinds: with and without an image, with and without tools, short and long. */
const bodyOf = (i: number) => {
  const text = `question ${i} ${i % 8 >= 4 ? "有时候很长".repeat(9000) : ""}`
  return {
    model: "auto",
    stream: i % 3 === 0,
    messages: [{ role: "user", content: i % 2 === 1 ? [{ type: "text", text }, image] : text }],
    ...(i % 4 >= 2 ? { tools } : {})
  }
}
/** All three at once are what no model of the pool can. */
const isImpossible = (i: number) => i % 8 === 7

describe("a pool in which no model can do everything", () => {
  it.each([
    ["knows nothing of its models", 1000, [{}, {}, {}]],
    [
      "is told what they can do",
      200,
      [{ capabilities: { vision: false } }, { capabilities: { tools: false } }, { contextWindow: 8192 }]
    ]
  ])("answers each mixed request that one of them can, when it %s, of %i", async (_, count, said) => {
    const models = Object.keys(pool).map((id, k) => ({
      id,
      provider: "local",
      inputUsdPerMTok: 1,
      outputUsdPerMTok: 1,
      ...said[k]
    }))
    const conduit = await starting(models)
    const statuses = new Map<number, Answered>()
    for (let from = 0; from < count; from += 20) {
      const numbers = Array.from({ length: 20 }, (_, k) => from + k)
      const asked = numbers.map((i) => request(`${conduit.url}/v1/chat/completions`, { body: bodyOf(i) }))
      const answered = await Promise.all(asked)
      answered.forEach((answer, k) => statuses.set(from + k, answer))
    }
    const wrong = [...statuses].filter(([i, { status }]) => !isImpossible(i) && status !== 200)
    assert.deepStrictEqual(
      wrong.map(([i, { status, text }]) => [i, status, text]),
      []
    )
    for (const [i, { status }] of statuses) if (isImpossible(i)) assert.include([400, 422], status)
    // Refusals are nobody's failure.
    for (const { id } of models) {
      assert.strictEqual((await request(`${conduit.url}/v1/models/${id}`)).json.conduit.circuit, "closed", id)
    }
    await killAll()
  })
})

const user = (...parts: ReadonlyArray<object>) => ({ messages: [{ role: "user", content: parts }] })
const text = { type: "text", text: "What is this?" }
const schema = { name: "answer", schema: { type: "object", properties: {} } }
const byCapability = {
  vision: user(text, image),
  audio: user(text, { type: "input_audio", input_audio: { data: "AAAA", format: "wav" } }),
  files: user(text, { type: "file", file: { filename: "a.pdf", file_data: "data:application/pdf;base64,AAAA" } }),
  tools: { ...user(text), tools },
  json_schema: { ...user(text), response_format: { type: "json_schema", json_schema: schema } },
  reasoning: { ...user(text), reasoning_effort: "high" },
  logprobs: { ...user(text), logprobs: true }
}

describe("a model that lacks a capability", () => {
  it("is asked for nothing that needs it, and is said to lack it where no other is allowed", async () => {
    const price = { provider: "local", inputUsdPerMTok: 1, outputUsdPerMTok: 1 }
    const none = Object.fromEntries(Object.keys(byCapability).map((name) => [name, false]))
    const conduit = await starting([
      { id: "plain", ...price, capabilities: none },
      { id: "able", ...price }
    ])
    const ask = (body: object) => request(`${conduit.url}/v1/chat/completions`, { body })
    const seen = new Set<unknown>()
    for (let i = 0; i < 40 && seen.size < 2; i++) {
      seen.add((await ask({ model: "auto", ...user(text) })).headers["x-conduit-model"])
    }
    assert.strictEqual(seen.size, 2, "both are asked for what needs nothing")
    for (const [capability, body] of Object.entries(byCapability)) {
      for (let i = 0; i < 10; i++) {
        const { headers, status, text } = await ask({ model: "auto", ...body })
        assert.deepStrictEqual([status, headers["x-conduit-model"]], [200, "able"], `${capability}: ${text}`)
      }
      const alone = await ask({ model: "auto", ...body, conduit: { constraints: { allowed_models: ["plain"] } } })
      assert.strictEqual(alone.status, 422, capability)
      assert.deepInclude(alone.json.error.details.excluded, {
        model: "plain",
        excluded_by: `capability:${capability}`
      })
    }
    await killAll()
  })
})
