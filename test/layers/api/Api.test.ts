import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import { Script } from "node:vm"
import { ModelId, type DecisionId } from "../../../src/domain/basics/Ids.ts"
import type { Feedback } from "../../../src/domain/learning/Feedback.ts"
import type { StoredDecision } from "../../../src/services/storage/Database.ts"
import { isServedBy, routeNames, routes as table } from "../../../src/services/api/Routes.ts"
import { ParkingFull, SessionNotFound } from "../../../src/services/routing/Router.ts"
import { serveApi } from "../../support/httpApi.ts"
import { decisionOf, freshDecisionId, recordingRouter } from "../../support/recordingRouter.ts"
import { unnamed } from "../../support/apiKeys.ts"

const chat = { messages: [{ role: "user", content: "hi" }] }
const errorOf = (body: string) => JSON.parse(body).error
/** Google's clients find it among the details. */
const codeOf = (body: string) => errorOf(body).details?.[0]?.reason ?? errorOf(body).code
const named = (pattern: string) => pattern.replace(/\{(?:id|model)\}/, "small")
const routes = routeNames
  .filter((name) => !isServedBy(name, "socket"))
  .map((name) => [table[name].method, table[name].path] as const)

const own = { GET: ["GET", "HEAD"], POST: ["POST"] }

describe("methods and paths", () => {
  for (const pattern of new Set(routes.map(([, path]) => path))) {
    const path = named(pattern)
    const served = routes.filter((route) => route[1] === pattern).flatMap(([method]) => own[method])
    it.live(`answers OPTIONS with 204 and other methods with 405 at ${pattern}`, () =>
      Effect.gen(function* () {
        const api = yield* serveApi(recordingRouter())
        const allow = [...served, "OPTIONS"].join(", ")
        const options = yield* api.ask("OPTIONS", path)
        assert.deepStrictEqual([options.status, options.headers["allow"], options.body], [204, allow, ""])
        assert.isUndefined(options.headers["access-control-allow-origin"])
        for (const one of ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "PROPFIND"]) {
          if (served.includes(one)) continue
          const answered = yield* api.ask(one, path)
          assert.deepStrictEqual([answered.status, answered.headers["allow"]], [405, allow])
          if (one !== "HEAD") assert.strictEqual(codeOf(answered.body), "method_not_allowed")
          assert.isDefined(answered.headers["x-request-id"])
        }
      }).pipe(Effect.scoped)
    )
  }

  it.live("answers HEAD as GET without the body", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(recordingRouter())
      for (const path of ["/v1/models", "/metrics", "/openapi.json", "/"]) {
        const get = yield* api.ask("GET", path)
        const head = yield* api.ask("HEAD", path)
        assert.deepStrictEqual([head.status, head.body], [200, ""])
        assert.strictEqual(head.headers["content-length"], String(Buffer.byteLength(get.body)))
        assert.strictEqual(head.headers["content-type"], get.headers["content-type"])
      }
    }).pipe(Effect.scoped)
  )

  it.live("answers 404 with the envelope to an unknown path, and counts it under one name", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(recordingRouter())
      for (const path of ["/nope", "/v1", "/v1/decisionsx", "/v2/models", "/v1/decisions/%zz"]) {
        const answered = yield* api.ask("GET", path)
        assert.deepStrictEqual([answered.status, errorOf(answered.body).code], [404, "not_found"])
      }
      assert.deepStrictEqual(new Set(api.ended.map((one) => one.route)), new Set(["unknown"]))
    }).pipe(Effect.scoped)
  )

  it.live("ignores a query", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(recordingRouter())
      assert.strictEqual((yield* api.ask("GET", "/v1/models?limit=5")).status, 200)
    }).pipe(Effect.scoped)
  )

  it.live("does not take a request id that is not sane", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(recordingRouter())
      for (const id of ["a b", "x".repeat(129), "<script>"]) {
        const { headers } = yield* api.ask("GET", "/v1/models", { headers: { "x-request-id": id } })
        assert.match(String(headers["x-request-id"]), /^[0-9a-f]{8}-[0-9a-f]{4}-7/)
      }
    }).pipe(Effect.scoped)
  )
})

describe("keys", () => {
  const hash = createHash("sha256").update("sk-right").digest("hex")
  const apiKeys = unnamed("ab".repeat(32), hash)

  it.live("lets nobody without a key of ours to /v1, and everybody to the pages", () =>
    Effect.gen(function* () {
      const router = recordingRouter()
      const api = yield* serveApi(router, { apiKeys })
      const refused: ReadonlyArray<Record<string, string>> = [
        {},
        { authorization: "Bearer sk-wrong" },
        { authorization: "Basic sk-right" },
        { "x-api-key": "sk-right2" },
        { "x-api-key": "" }
      ]
      for (const headers of refused) {
        const answered = yield* api.post("/v1/chat/completions", chat, headers)
        assert.strictEqual(answered.status, 401)
        assert.strictEqual(errorOf(answered.body).type, "authentication_error")
        assert.strictEqual(answered.headers["www-authenticate"], "Bearer")
      }
      for (const [method, pattern] of routes) {
        const answered = yield* api.ask(method, named(pattern))
        assert.strictEqual(answered.status, pattern.startsWith("/v1") ? 401 : 200)
      }
      assert.strictEqual(router.asked.length, 0)
    }).pipe(Effect.scoped)
  )

  it.live("knows the caller by the key's hash, from every header in which clients send one", () =>
    Effect.gen(function* () {
      const router = recordingRouter()
      const api = yield* serveApi(router, { apiKeys })
      const sent: ReadonlyArray<Record<string, string>> = [
        { authorization: "Bearer sk-right" },
        { authorization: "bearer  sk-right " },
        { authorization: "sk-right" },
        { "x-api-key": "sk-right" },
        { "api-key": "sk-right" },
        { "x-goog-api-key": "sk-right" },
        { authorization: "Bearer unused", "api-key": "sk-right" }
      ]
      for (const headers of sent) {
        assert.strictEqual((yield* api.post("/v1/chat/completions", chat, headers)).status, 200)
      }
      assert.deepStrictEqual(
        router.asked.map((one) => one.caller.owner),
        sent.map(() => hash.slice(0, 16))
      )
    }).pipe(Effect.scoped)
  )

  it.live("keeps the idempotency keys of two callers apart", () =>
    Effect.gen(function* () {
      const router = recordingRouter()
      const api = yield* serveApi(router, { apiKeys })
      const given = { decision_id: freshDecisionId(), kind: "thumbs", value: "up" }
      yield* api.post("/v1/feedback", given, { "x-api-key": "sk-right", "idempotency-key": "k1" })
      assert.strictEqual(router.judged[0]?.idempotencyKey, `${hash.slice(0, 16)} k1`)
    }).pipe(Effect.scoped)
  )

  it.live("takes any key for nobody's when none is configured", () =>
    Effect.gen(function* () {
      const router = recordingRouter()
      const api = yield* serveApi(router)
      yield* api.post("/v1/chat/completions", chat, { authorization: "Bearer sk-anything" })
      assert.isNull(router.asked[0]?.caller.owner ?? null)
    }).pipe(Effect.scoped)
  )
})

describe("POST /v1/feedback", () => {
  const feedback = (over: Record<string, unknown>) => ({
    decision_id: freshDecisionId(),
    kind: "score",
    value: 0.9,
    ...over
  })

  it.live("passes each kind on, and answers what was stored", () =>
    Effect.gen(function* () {
      const router = recordingRouter()
      const api = yield* serveApi(router)
      const given = [
        ["score", 0],
        ["thumbs", "up"],
        ["rating", 5],
        ["task_success", false],
        ["regeneration", true],
        ["comment", "good"]
      ] as const
      for (const [kind, value] of given) {
        const answered = yield* api.post(
          "/v1/feedback",
          feedback({ kind, value, confidence: 0.5, comment: "why", source: "ui" })
        )
        assert.strictEqual(answered.status, 200)
        const sent = router.judged.at(-1)
        assert.deepStrictEqual(JSON.parse(answered.body), {
          id: sent?.id,
          decision_id: sent?.decisionId,
          status: "recorded"
        })
        assert.deepStrictEqual(
          [sent?.kind, sent?.value, sent?.confidence, sent?.comment, sent?.source, sent?.idempotencyKey],
          [kind, value, 0.5, "why", "ui", sent?.id]
        )
      }
      yield* api.post("/v1/feedback", feedback({}), { "idempotency-key": "key-1" })
      const last = router.judged.at(-1)
      assert.deepStrictEqual(
        [last?.idempotencyKey, last?.confidence, last?.comment, last?.source],
        ["key-1", 1, null, "api"]
      )
    }).pipe(Effect.scoped)
  )

  const invalid: ReadonlyArray<readonly [over: Record<string, unknown>, param: string | null]> = [
    [{ kind: "stars" }, "kind"],
    [{ kind: undefined }, "kind"],
    [{ kind: {} }, "kind"],
    [{ kind: { toString: 1 } }, "kind"],
    [{ kind: ["score"] }, "kind"],
    [{ kind: "constructor" }, "kind"],
    [{ kind: null }, "kind"],
    [{ decision_id: 5 }, "decision_id"],
    [{ decision_id: undefined }, "decision_id"],
    [{ session_id: "s" }, "decision_id"],
    [{ decision_id: undefined, session_id: "" }, "session_id"],
    [{ decision_id: undefined, session_id: "a\0b" }, "session_id"],
    [{ decision_id: undefined, session_id: 5 }, "session_id"],
    [{ value: 1.01 }, "value"],
    [{ value: -0.1 }, "value"],
    [{ value: "0.5" }, "value"],
    [{ value: Number.NaN }, "value"],
    [{ value: undefined }, "value"],
    [{ kind: "thumbs", value: "sideways" }, "value"],
    [{ kind: "thumbs", value: true }, "value"],
    [{ kind: "rating", value: 0 }, "value"],
    [{ kind: "rating", value: 6 }, "value"],
    [{ kind: "task_success", value: 1 }, "value"],
    [{ kind: "regeneration", value: "true" }, "value"],
    [{ kind: "comment", value: "" }, "value"],
    [{ kind: "comment", value: "x".repeat(4001) }, "value"],
    [{ confidence: 0 }, "confidence"],
    [{ confidence: 1.1 }, "confidence"],
    [{ comment: "a\0b" }, "comment"],
    [{ comment: "\udc00" }, "comment"],
    [{ comment: "x".repeat(4001) }, "comment"],
    [{ source: "x".repeat(65) }, "source"]
  ]
  for (const [over, param] of invalid) {
    it.live(`answers 400 naming ${param} to ${JSON.stringify(over).slice(0, 50)}`, () =>
      Effect.gen(function* () {
        const router = recordingRouter()
        const api = yield* serveApi(router)
        const answered = yield* api.post("/v1/feedback", feedback(over))
        assert.deepStrictEqual([answered.status, errorOf(answered.body).param], [400, param])
        assert.strictEqual(router.judged.length, 0)
      }).pipe(Effect.scoped)
    )
  }

  it.live("passes a session's judgement on, and answers to whom it was credited", () =>
    Effect.gen(function* () {
      const router = recordingRouter()
      const api = yield* serveApi(router)
      const body = { session_id: "s-1", kind: "thumbs", value: "down" }
      const answered = yield* api.post("/v1/feedback", body)
      assert.strictEqual(answered.status, 200, answered.body)
      const shown = JSON.parse(answered.body)
      assert.deepInclude(shown, { id: "f-1", session_id: "s-1", status: "recorded" })
      assert.lengthOf(shown.decision_ids, 2)
      const more = { confidence: 0.5, comment: "why", source: "ui" }
      yield* api.post("/v1/feedback", { ...body, ...more }, { "idempotency-key": "key-1" })
      assert.deepStrictEqual(
        router.judgedSessions.map((given) => ({ ...given, createdAtMillis: 0 })),
        [
          {
            sessionId: "s-1",
            kind: "thumbs",
            value: "down",
            confidence: 1,
            comment: null,
            source: null,
            idempotencyKey: null,
            createdAtMillis: 0,
            owner: null
          },
          {
            sessionId: "s-1",
            kind: "thumbs",
            value: "down",
            ...more,
            idempotencyKey: "key-1",
            createdAtMillis: 0,
            owner: null
          }
        ]
      )
      assert.lengthOf(router.judged, 0)
    }).pipe(Effect.scoped)
  )

  it.live("answers 503 with Retry-After when too much is parked already", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(recordingRouter({ feedback: () => new ParkingFull() }))
      const answered = yield* api.post("/v1/feedback", feedback({}))
      assert.deepStrictEqual([answered.status, errorOf(answered.body).code], [503, "parking_full"])
      assert.match(String(answered.headers["retry-after"]), /^[1-9]\d*$/)
    }).pipe(Effect.scoped)
  )

  it.live("answers 404 to a session that is not there", () =>
    Effect.gen(function* () {
      const sessionFeedback = () => new SessionNotFound({ sessionId: "nobody's" })
      const api = yield* serveApi(recordingRouter({ sessionFeedback }))
      const answered = yield* api.post("/v1/feedback", { session_id: "nobody's", kind: "score", value: 1 })
      const { code, param } = errorOf(answered.body)
      assert.deepStrictEqual([answered.status, code, param], [404, "session_not_found", "session_id"])
    }).pipe(Effect.scoped)
  )

  it.live("refuses an idempotency key that is not 1 to 255 visible ASCII characters", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(recordingRouter())
      for (const key of ["", "a b", "é", "x".repeat(256)]) {
        const answered = yield* api.post("/v1/feedback", feedback({}), { "idempotency-key": key })
        assert.deepStrictEqual([answered.status, errorOf(answered.body).param], [400, "idempotency-key"])
      }
    }).pipe(Effect.scoped)
  )

  it.live("answers 404 to an id that is malformed", () =>
    Effect.gen(function* () {
      const router = recordingRouter()
      const api = yield* serveApi(router)
      for (const id of ["nope", "", freshDecisionId().toUpperCase() + "x"]) {
        const answered = yield* api.post("/v1/feedback", feedback({ decision_id: id }))
        assert.deepStrictEqual([answered.status, errorOf(answered.body).code], [404, "decision_not_found"])
      }
      assert.strictEqual(router.judged.length, 0)
    }).pipe(Effect.scoped)
  )
})

describe("POST /v1/outcomes", () => {
  it.live("passes the report on", () =>
    Effect.gen(function* () {
      const router = recordingRouter()
      const api = yield* serveApi(router)
      const decision_id = freshDecisionId()
      const answered = yield* api.post("/v1/outcomes", {
        decision_id,
        ok: true,
        input_tokens: 3,
        latency_ms: 12.5,
        error: null
      })
      assert.deepStrictEqual(JSON.parse(answered.body), { decision_id, status: "recorded" })
      assert.deepStrictEqual(router.reported, [
        {
          decisionId: decision_id,
          ok: true,
          inputTokens: 3,
          outputTokens: null,
          latencyMs: 12.5,
          error: null,
          owner: null
        }
      ])
    }).pipe(Effect.scoped)
  )

  for (const [over, status] of [
    [{ ok: "yes" }, 400],
    [{ output_tokens: -1 }, 400],
    [{ output_tokens: 1.5 }, 400],
    [{ latency_ms: "1" }, 400],
    [{ error: "a\0" }, 400],
    [{ decision_id: "nope" }, 404]
  ] as const) {
    it.live(`answers ${status} to ${JSON.stringify(over)}`, () =>
      Effect.gen(function* () {
        const router = recordingRouter()
        const api = yield* serveApi(router)
        const body = { decision_id: freshDecisionId(), ok: true, ...over }
        assert.strictEqual((yield* api.post("/v1/outcomes", body)).status, status)
        assert.strictEqual(router.reported.length, 0)
      }).pipe(Effect.scoped)
    )
  }
})

describe("GET /v1/decisions/{id}", () => {
  it.live("shows the model that answered after a fallback, the feedback, and the reward", () =>
    Effect.gen(function* () {
      const large = ModelId("large")
      const stored = (id: DecisionId): StoredDecision => {
        const decision = decisionOf({
          text: "",
          inputTokens: 3,
          needs: [],
          maxTokens: null,
          stream: false,
          task: null,
          preference: "balanced",
          weights: { quality: 1, cost: 0, latency: 0 },
          constraints: { min_quality: 0.2 },
          userId: null,
          sessionId: null,
          pinned: null,
          fallback: false,
          isPreferenceStated: true,
          askedModel: null,
          isRetry: false
        })
        const given = (over: Partial<Feedback>): Feedback => ({
          id: "f1",
          decisionId: id,
          kind: "score",
          value: 0.25,
          confidence: 1,
          comment: null,
          source: "api",
          idempotencyKey: "k",
          createdAtMillis: 1_767_225_600_000,
          owner: "0123456789abcdef",
          supersededBy: null,
          parked: false,
          ...over
        })
        return {
          record: {
            decision: { ...decision, id, owner: "0123456789abcdef" },
            attempts: [
              { model: decision.chosen, ok: false, status: 500, latencyMs: 10, error: "server_error" },
              { model: large, ok: true, status: 200, latencyMs: 20, error: null }
            ],
            outcome: {
              model: large,
              ok: true,
              aborted: false,
              finishReason: "stop",
              inputTokens: 3,
              outputTokens: 4,
              costUsd: 0.3,
              latencyMs: 30,
              firstTokenMs: null,
              error: null,
              details: null
            },
            prompt: null
          },
          feedback: [given({ supersededBy: "f2" }), given({ id: "f2", value: 0.75 })]
        }
      }
      const api = yield* serveApi(recordingRouter({ decision: (id) => Effect.succeed(stored(id)) }))
      const id = freshDecisionId()
      const answered = yield* api.ask("GET", `/v1/decisions/${id}`)
      const shown = JSON.parse(answered.body)
      assert.strictEqual(shown.id, id)
      assert.deepStrictEqual([shown.chosen, shown.reason, shown.attempts[0].model], ["large", "fallback", "small"])
      assert.strictEqual(shown.outcome.cost_usd, 0.3)
      assert.strictEqual(shown.reward, 0.75)
      assert.deepStrictEqual(shown.feedback[0], {
        id: "f1",
        kind: "score",
        value: 0.25,
        confidence: 1,
        comment: null,
        source: "api",
        created_at: "2026-01-01T00:00:00.000Z",
        superseded_by: "f2"
      })
      assert.deepStrictEqual(shown.request.constraints, { min_quality: 0.2 })
      assert.notInclude(answered.body, "0123456789abcdef")
    }).pipe(Effect.scoped)
  )
})

describe("GET /v1/models", () => {
  it.live("lists auto first, then the models with what was learned", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(recordingRouter())
      const list = JSON.parse((yield* api.ask("GET", "/v1/models")).body)
      assert.strictEqual(list.object, "list")
      assert.deepStrictEqual(
        list.data.map((one: { id: string }) => one.id),
        ["auto", "small"]
      )
      assert.isTrue(list.data[0].conduit.available)
      const [, small] = list.data
      assert.strictEqual(small.owned_by, "local")
      assert.deepStrictEqual(small.conduit.quality, { mean: 0.71, low: 0.62, high: 0.79, observations: 412 })
      assert.deepStrictEqual(small.conduit.output_tokens, { mean: 180.2 })
      assert.deepStrictEqual([small.conduit.share, small.conduit.circuit], [0.42, "closed"])
      const one = yield* api.ask("GET", "/v1/models/small")
      assert.deepStrictEqual(JSON.parse(one.body), small)
      assert.strictEqual((yield* api.ask("GET", "/v1/models/auto")).status, 200)
      const unknown = yield* api.ask("GET", "/v1/models/vendor%2Fother")
      assert.deepStrictEqual([unknown.status, errorOf(unknown.body).code], [404, "model_not_found"])
    }).pipe(Effect.scoped)
  )
})

describe("pages", () => {
  it.live("opens metrics by keys of their own, which open nothing else", () =>
    Effect.gen(function* () {
      const sha256 = (key: string) => createHash("sha256").update(key).digest("hex")
      const api = yield* serveApi(recordingRouter(), {
        apiKeys: unnamed(sha256("sk-api")),
        metricsKeyHashes: [sha256("sk-other"), sha256("sk-metrics")]
      })
      const ask = (path: string, headers: Record<string, string>) => api.ask("GET", path, { headers })
      for (const headers of [{ authorization: "Bearer sk-metrics" }, { "x-api-key": "sk-metrics" }]) {
        assert.strictEqual((yield* ask("/metrics", headers)).status, 200)
        assert.strictEqual((yield* ask("/v1/models", headers)).status, 401)
      }
      for (const headers of [{}, { authorization: "Bearer sk-api" }, { "x-api-key": "sk-metrics2" }]) {
        const refused = yield* ask("/metrics", headers)
        const { code, message } = errorOf(refused.body)
        assert.deepStrictEqual([refused.status, code], [401, "invalid_api_key"])
        assert.include(message, "metrics key")
        assert.notInclude(refused.body, "conduit_requests_active")
      }
      assert.strictEqual((yield* api.ask("HEAD", "/metrics")).status, 401)
      assert.strictEqual((yield* ask("/v1/models", { authorization: "Bearer sk-api" })).status, 200)
    }).pipe(Effect.scoped)
  )

  it.live("leaves metrics open where only the API has keys", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(recordingRouter(), { apiKeys: unnamed("00".repeat(32)) })
      assert.strictEqual((yield* api.ask("GET", "/metrics")).status, 200)
    }).pipe(Effect.scoped)
  )

  it.live("serves metrics that do not count themselves", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(recordingRouter())
      const answered = yield* api.ask("GET", "/metrics")
      assert.strictEqual(answered.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
      assert.include(answered.body, "conduit_requests_active 0")
      assert.deepStrictEqual(api.ended, [])
    }).pipe(Effect.scoped)
  )

  it.live("describes every route, its statuses and headers in OpenAPI 3.1, with references that resolve", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(recordingRouter())
      const answered = yield* api.ask("GET", "/openapi.json")
      assert.strictEqual(answered.headers["content-type"], "application/json")
      const document = JSON.parse(answered.body)
      assert.strictEqual(document.openapi, "3.1.0")
      for (const [method, pattern] of routes) {
        const operation = document.paths[pattern]?.[method.toLowerCase()]
        assert.isDefined(operation, pattern)
        assert.isString(operation.summary)
        for (const status of [200, 405, 500]) {
          assert.isDefined(operation.responses[status]?.headers["x-request-id"], `${pattern} ${status}`)
        }
      }
      for (const path of ["/health", "/health/live", "/health/ready", "/health/startup"])
        assert.isDefined(document.paths[path])
      const references = [...answered.body.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)].map((m) => m[1])
      for (const name of references) assert.isDefined(document.components.schemas[String(name)], name)
      assert.isNotEmpty(document.paths["/metrics"].get.security)
      assert.isDefined(document.paths["/metrics"].get.responses[401])
      const chatOperation = document.paths["/v1/chat/completions"].post
      assert.sameMembers(Object.keys(chatOperation.responses), [
        "200",
        "400",
        "401",
        "402",
        "403",
        "404",
        "405",
        "408",
        "409",
        "413",
        "415",
        "422",
        "429",
        "431",
        "500",
        "502",
        "503",
        "504"
      ])
      assert.isDefined(chatOperation.responses[200].content["text/event-stream"])
      assert.isDefined(chatOperation.responses[200].headers["x-conduit-decision-id"])
      assert.isDefined(chatOperation.responses[503].headers["retry-after"])
      const naming = (path: string) =>
        Object.entries<{ headers: object }>(document.paths[path].post.responses)
          .filter(([, { headers }]) => "x-conduit-decision-id" in headers)
          .map(([status]) => Number(status))
      for (const path of ["/v1/chat/completions", "/v1/complete"]) {
        assert.deepStrictEqual(naming(path), [200, 400, 402, 403, 404, 409, 413, 422, 429, 502, 503, 504])
      }
      assert.deepStrictEqual(naming("/v1/route"), [200])
      assert.include(
        chatOperation.parameters.map((p: { name: string }) => p.name),
        "x-conduit-max-cost-usd"
      )
      const { ChatRequest, ConduitOptions, Constraints } = document.components.schemas
      assert.deepStrictEqual(ChatRequest.required, ["messages"])
      assert.strictEqual(ConduitOptions.additionalProperties, false)
      assert.strictEqual(Constraints.additionalProperties, false)
    }).pipe(Effect.scoped)
  )

  it.live("serves pages that load nothing from elsewhere", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(recordingRouter())
      const docs = yield* api.ask("GET", "/docs")
      assert.strictEqual(docs.headers["content-type"], "text/html; charset=utf-8")
      assert.include(docs.body, "/v1/chat/completions")
      const index = yield* api.ask("GET", "/")
      for (const page of [docs.body, index.body]) {
        assert.notMatch(page, /<(script|img|iframe)[^>]+src=["']?(https?:)?\/\//)
        assert.notMatch(page, /<link[^>]+href=["']?(https?:)?\/\//)
      }
      for (const page of [docs, index]) {
        const policy = String(page.headers["content-security-policy"])
        assert.include(policy, "default-src 'none'")
        assert.include(policy, "frame-ancestors 'none'")
        const scripts = [...page.body.matchAll(/<script>([^]*?)<\/script>/g)].map(([, text]) => String(text))
        assert.isNotEmpty(scripts)
        for (const text of scripts) {
          assert.include(policy, `'sha256-${createHash("sha256").update(text).digest("base64")}'`)
        }
        assert.notMatch(page.body.replace(/<script>[^]*?<\/script>/g, ""), /\son\w+=/i)
        assert.strictEqual(page.headers["x-content-type-options"], "nosniff")
        assert.strictEqual(page.headers["x-frame-options"], "DENY")
      }
      assert.strictEqual((yield* api.ask("GET", "/metrics")).headers["x-content-type-options"], "nosniff")
      const script = /<script>([^]*)<\/script>/.exec(index.body)?.[1]
      assert.doesNotThrow(() => new Script(String(script)))
      for (const link of ["/docs", "/v1/events", "/v1/stats", "/v1/models", "/v1/feedback"])
        assert.include(index.body, link)
    }).pipe(Effect.scoped)
  )
})
