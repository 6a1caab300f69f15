import { assert, describe, it } from "@effect/vitest"
import { createHash } from "node:crypto"
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js"
import addFormats from "ajv-formats"
import * as Effect from "effect/Effect"
import { specification } from "../../../src/services/api/OpenApi.ts"
import { serveApi } from "../../support/httpApi.ts"
import { freshDecisionId, recordingRouter } from "../../support/recordingRouter.ts"
import { unnamed } from "../../support/apiKeys.ts"

// oxlint-disable-next-line typescript/no-explicit-any -- a document of its own form
const document: any = JSON.parse(JSON.stringify(specification()))
const operations = Object.entries<Record<string, any>>(document.paths).flatMap(([path, item]) =>
  Object.entries(item).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation }))
)

const ajv = new Ajv2020({ strict: false, allErrors: false, discriminator: false, validateSchema: true })
addFormats.default(ajv)
ajv.addSchema(document, "openapi")
const validators = new Map<string, ValidateFunction>()
const validatorOf = (schema: object): ValidateFunction => {
  const text = JSON.stringify(schema)
  const known = validators.get(text) ?? ajv.compile(rooted(schema))
  validators.set(text, known)
  return known
}
/** References of the document, from outside of it. */
const rooted = (schema: object): object => JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"openapi#/'))

const strings = (value: unknown, key: string): ReadonlyArray<string> => {
  if (typeof value !== "object" || value === null) return []
  return Object.entries(value).flatMap(([name, inner]) =>
    name === key && typeof inner === "string" ? [inner] : strings(inner, key)
  )
}

const bodySchema = (path: string) => document.paths[path].post.requestBody.content["application/json"].schema
const id = freshDecisionId()
const user = { role: "user", content: "hi" }

describe("the OpenAPI document", () => {
  it("has only schemas that resolve, without what strict resolvers stop at", () => {
    assert.lengthOf(strings(document, "$id"), 0)
    for (const reference of strings(document, "$ref")) {
      const name = reference.replace("#/components/schemas/", "")
      assert.isDefined(document.components.schemas[name], reference)
    }
    for (const schema of Object.values<object>(document.components.schemas))
      assert.doesNotThrow(() => validatorOf(schema))
    for (const { operation } of operations) {
      for (const { schema } of operation.parameters) assert.doesNotThrow(() => validatorOf(schema))
      for (const response of Object.values<any>(operation.responses)) {
        for (const { schema } of Object.values<any>(response.content)) assert.doesNotThrow(() => validatorOf(schema))
      }
    }
  })

  it("names every operation, and each status that any route may answer", () => {
    assert.strictEqual(new Set(operations.map(({ operation }) => operation.operationId)).size, operations.length)
    for (const { operation } of operations) {
      for (const status of [200, 400, 405, 431, 500, 503]) assert.isDefined(operation.responses[status])
    }
  })

  it("has OpenAI's answer, open to what else a model says, and feedback by its kind", () => {
    const { ChatCompletion, ChatCompletionChunk, FeedbackRequest, FeedbackScore } = document.components.schemas
    assert.includeMembers(ChatCompletion.required, ["id", "object", "created", "model", "choices"])
    assert.isTrue(ChatCompletion.additionalProperties)
    assert.isDefined(ChatCompletion.properties.choices.items.properties.message.properties.content)
    assert.isDefined(ChatCompletionChunk.properties.choices.items.properties.delta)
    assert.strictEqual(FeedbackRequest.discriminator.propertyName, "kind")
    assert.strictEqual(FeedbackRequest.discriminator.mapping.score, "#/components/schemas/FeedbackScore")
    assert.lengthOf(FeedbackRequest.oneOf, 6)
    assert.deepStrictEqual(FeedbackScore.properties.kind.enum, ["score"])
  })

  it("has no object that a generator would take for a union, whatever rules there are of its members", () => {
    for (const [name, schema] of Object.entries<object>(document.components.schemas)) {
      if (!("properties" in schema)) continue
      assert.notInclude(
        ["anyOf", "oneOf", "allOf"].map((word) => word in schema),
        true,
        name
      )
    }
  })

  it.live("has examples that its schemas allow and that the service answers as described", () =>
    Effect.gen(function* () {
      const hash = createHash("sha256").update("admin").digest("hex")
      const adminKeys = unnamed(hash).map((key) => ({ ...key, scopes: ["admin"] as const }))
      const api = yield* serveApi(recordingRouter(), { adminKeys })
      const posts = operations.filter(({ method }) => method === "POST")
      for (const { operation, path } of posts) {
        const { examples, schema } = operation.requestBody.content["application/json"]
        assert.isNotEmpty(Object.keys(examples), path)
        for (const { value } of Object.values<{ value: any }>(examples)) {
          assert.isTrue(validatorOf(schema)(value), `${path} ${JSON.stringify(value)}`)
          const answered = yield* api.post(path.replace("{model}", "auto"), value, { authorization: "Bearer admin" })
          assert.strictEqual(answered.status, 200, answered.body)
          if (value.stream === true || path.includes(":stream")) continue
          const answer = validatorOf(operation.responses[200].content["application/json"].schema)
          assert.isTrue(answer(JSON.parse(answered.body)), JSON.stringify([path, answer.errors]))
        }
      }
    }).pipe(Effect.scoped)
  )

  const feedback = { decision_id: id, kind: "score", value: 0.5 }
  const wrong: ReadonlyArray<readonly [path: string, body: unknown]> = [
    ["/v1/chat/completions", {}],
    ["/v1/chat/completions", []],
    ["/v1/chat/completions", { messages: [] }],
    ["/v1/chat/completions", { messages: [{ content: "x" }] }],
    ["/v1/chat/completions", { messages: [user], max_tokens: 0 }],
    ["/v1/chat/completions", { messages: [user], stream: "yes" }],
    ["/v1/chat/completions", { messages: [user], conduit: { task: "" } }],
    ["/v1/chat/completions", { messages: [user], conduit: { task: "a\0b" } }],
    ["/v1/chat/completions", { messages: [user], conduit: { task: "x".repeat(65) } }],
    ["/v1/chat/completions", { messages: [user], conduit: { weights: {} } }],
    ["/v1/chat/completions", { messages: [user], conduit: { weights: { quality: 0, cost: 0 } } }],
    ["/v1/chat/completions", { messages: [user], conduit: { constraints: { allowed_models: [] } } }],
    ["/v1/chat/completions", { messages: [user], conduit: { constraints: { max_cost: 1 } } }],
    ["/v1/chat/completions", { messages: [user], conduit: { unknown: 1 } }],
    ["/v1/complete", { prompt: "" }],
    ["/v1/route", { task: "neither messages nor prompt" }],
    ["/v1/outcomes", { ok: true }],
    ["/v1/outcomes", { decision_id: id, ok: true, error: "" }],
    ["/v1/feedback", { kind: "score", value: 0.5 }],
    ["/v1/feedback", { ...feedback, session_id: "s" }],
    ["/v1/feedback", { ...feedback, value: 2 }],
    ["/v1/feedback", { ...feedback, kind: "stars" }],
    ["/v1/feedback", { ...feedback, kind: "thumbs" }],
    ["/v1/feedback", { ...feedback, comment: "a\0b" }],
    ["/v1/feedback", { ...feedback, confidence: 0 }]
  ]
  const right: ReadonlyArray<readonly [path: string, body: unknown]> = [
    ["/v1/chat/completions", { messages: [user], max_tokens: -1, model: null, anything: { at: "all" } }],
    ["/v1/chat/completions", { messages: [user], conduit: { task: "\u{1f600}".repeat(64) } }],
    ["/v1/chat/completions", { messages: [user], conduit: { weights: { latency: 0.1, cost: 0 } } }],
    ["/v1/route", { messages: [user] }],
    ["/v1/feedback", { session_id: "s", kind: "task_success", value: false, more: 1 }]
  ]
  it.live("refuses what the service refuses, and allows what it takes", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(recordingRouter())
      for (const [isRight, cases] of [
        [false, wrong],
        [true, right]
      ] as const) {
        for (const [path, body] of cases) {
          const text = `${path} ${JSON.stringify(body).slice(0, 200)}`
          assert.strictEqual(validatorOf(bodySchema(path))(body), isRight, text)
          assert.strictEqual((yield* api.post(path, body)).status, isRight ? 200 : 400, text)
        }
      }
    }).pipe(Effect.scoped)
  )

  const parameters: ReadonlyArray<readonly [path: string, name: string, value: string, isRight: boolean]> = [
    ["/v1/decisions", "cursor", "", false],
    ["/v1/decisions", "cursor", id, true],
    ["/v1/decisions", "limit", "0", false],
    ["/v1/decisions", "limit", "200", true],
    ["/v1/decisions", "from", "yesterday", false],
    ["/v1/decisions", "from", "2026-02-30T00:00:00Z", false],
    ["/v1/decisions", "from", "2026-02-28T00:00:00+99:00", false],
    ["/v1/decisions", "until", "2026-02-28T00:00:00.5z", true],
    ["/v1/decisions", "task", "a\0b", false],
    ["/v1/stats", "window", "0h", false],
    ["/v1/stats", "window", "30m", true]
  ]
  it.live("says of parameters what the service says", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(recordingRouter())
      for (const [path, name, value, isRight] of parameters) {
        const { schema } = document.paths[path].get.parameters.find((one: { name: string }) => one.name === name)
        const given = schema.type === "integer" ? Number(value) : value
        assert.strictEqual(validatorOf(schema)(given), isRight, `${name}=${value}`)
        const answered = yield* api.ask("GET", `${path}?${name}=${encodeURIComponent(value)}`)
        assert.strictEqual(answered.status, isRight ? 200 : 400, `${name}=${value} ${answered.body}`)
      }
      const headers = document.paths["/v1/chat/completions"].post.parameters
      for (const [name, value, isRight] of [
        ["x-conduit-max-cost-usd", "-1", false],
        ["x-conduit-max-cost-usd", "0.5", true],
        ["x-conduit-min-quality", "1.1", false],
        ["x-conduit-max-latency-ms", "0", false]
      ] as const) {
        const { schema } = headers.find((one: { name: string }) => one.name === name)
        assert.strictEqual(validatorOf(schema)(Number(value)), isRight)
        const { status } = yield* api.post("/v1/chat/completions", { messages: [user] }, { [name]: value })
        assert.strictEqual(status, isRight ? 200 : 400)
      }
    }).pipe(Effect.scoped)
  )
})
