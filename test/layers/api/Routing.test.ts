import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { ModelId } from "../../../src/domain/basics/Ids.ts"
import { needsOf } from "../../../src/domain/routing/Needs.ts"
import { NoEligibleModel } from "../../../src/services/learning/BanditState.ts"
import { DatabaseError } from "../../../src/services/storage/Database.ts"
import {
  AllModelsFailed,
  DecisionNotFound,
  IdempotencyConflict,
  OutcomeConflict,
  UnknownModel,
  UpstreamRejected,
  type RouterError
} from "../../../src/services/routing/Router.ts"
import { sourceOf } from "../../../src/domain/models/RequestText.ts"
import { serveApi } from "../../support/httpApi.ts"
import { answer, freshDecisionId, recordingRouter } from "../../support/recordingRouter.ts"

const user = { role: "user", content: "What is 17 * 23?" }
const chat = (over: Record<string, unknown> = {}) => ({ model: "auto", messages: [user], ...over })
const errorOf = (body: string) => JSON.parse(body).error

describe("POST /v1/chat/completions", () => {
  it.live("answers the model's object, with the headers of the decision", () =>
    Effect.gen(function* () {
      const head = answer()
      const api = yield* serveApi(recordingRouter({ complete: () => Effect.succeed(head) }))
      const answered = yield* api.post("/v1/chat/completions", chat())
      assert.strictEqual(answered.status, 200)
      assert.strictEqual(answered.body, head.text)
      const { headers } = answered
      assert.strictEqual(headers["content-type"], "application/json")
      assert.strictEqual(headers["x-conduit-decision-id"], head.decisionId)
      assert.strictEqual(headers["x-conduit-model"], "small")
      assert.strictEqual(headers["x-conduit-reason"], "best")
      assert.strictEqual(headers["x-conduit-propensity"], "0.66")
      assert.strictEqual(headers["x-conduit-overhead-ms"], "0.420")
      assert.strictEqual(headers["x-conduit-cost-usd"], "0.0000015")
      assert.strictEqual(headers["x-conduit-simulated"], undefined)
      assert.match(headers["x-request-id"] as string, /^[0-9a-f-]{36}$/)
      assert.deepStrictEqual(api.ended, [{ route: "/v1/chat/completions", method: "POST", status: 200 }])
    }).pipe(Effect.scoped)
  )

  it.live("labels a simulated answer, and leaves out a cost that nobody knows", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(
        recordingRouter({ complete: () => Effect.succeed(answer({ simulated: true, costUsd: null })) })
      )
      const { headers } = yield* api.post("/v1/chat/completions", chat())
      assert.strictEqual(headers["x-conduit-simulated"], "true")
      assert.strictEqual(headers["x-conduit-cost-usd"], undefined)
    }).pipe(Effect.scoped)
  )

  it.live("forwards the object as it came, unknown fields included", () =>
    Effect.gen(function* () {
      const router = recordingRouter()
      const api = yield* serveApi(router)
      const body = chat({
        temperature: 0.2,
        tools: [{ type: "function", function: { name: "f", parameters: { deep: [1] } } }],
        x_vendor: { any: "thing" },
        max_tokens: 5,
        conduit: { task: "math", user_id: "u1", session_id: "s1" },
        messages: [
          { role: "system", content: "Be brief.", name: "s" },
          {
            role: "user",
            content: [
              { type: "text", text: "Look:" },
              { type: "image_url", image_url: { url: "data:," } }
            ]
          },
          { role: "assistant", content: null, tool_calls: [{ id: "1" }] }
        ]
      })
      assert.strictEqual((yield* api.post("/v1/chat/completions", body)).status, 200)
      const [asked] = router.asked
      assert.deepStrictEqual(asked?.body, body)
      assert.strictEqual(asked?.request.text, "Be brief.\nLook:")
      assert.deepStrictEqual(asked?.request.needs, ["vision", "tools"])
      assert.strictEqual(asked?.request.inputTokens, needsOf(body).inputTokens)
      assert.strictEqual(asked?.request.maxTokens, 5)
      assert.strictEqual(asked?.request.task, "math")
      assert.strictEqual(asked?.request.userId, "u1")
      assert.strictEqual(asked?.request.sessionId, "s1")
      assert.strictEqual(asked?.request.preference, "balanced")
      assert.isNull(asked?.request.pinned ?? null)
    }).pipe(Effect.scoped)
  )

  it.live("hands the request on in the text that it came in, as a model in the path does too", () =>
    Effect.gen(function* () {
      const router = recordingRouter()
      const api = yield* serveApi(router)
      const text =
        '{ "n":1.0, "model":"auto","seed":9007199254740993,\n"messages":[{"role":"user","content":"\\u0041"}] }'
      yield* api.post("/v1/chat/completions", text)
      yield* api.post("/openai/deployments/small/chat/completions?api-version=1", text)
      assert.deepStrictEqual(
        router.asked.map(({ body }) => sourceOf(body)),
        [text, text]
      )
      assert.strictEqual(router.asked[1]?.request.pinned, "small")
    }).pipe(Effect.scoped)
  )

  it.live("pins a model, normalises weights, and lets the body win over the headers", () =>
    Effect.gen(function* () {
      const router = recordingRouter()
      const api = yield* serveApi(router)
      const body = chat({
        model: "vendor/large:1",
        conduit: { fallback: true, weights: { quality: 1, cost: 1 }, constraints: { max_cost_usd: 0.5 }, task: "body" }
      })
      yield* api.post("/v1/chat/completions", body, {
        "x-conduit-task": "header",
        "x-conduit-preference": "speed",
        "x-conduit-user-id": "u2",
        "x-conduit-session-id": "s2",
        "x-conduit-max-cost-usd": "0.1",
        "x-conduit-max-latency-ms": "1500",
        "x-conduit-min-quality": "0.5",
        "x-conduit-allowed-models": "small, large",
        "x-conduit-provider": "local"
      })
      const request = router.asked[0]?.request
      assert.strictEqual(request?.pinned, ModelId("vendor/large:1"))
      assert.isTrue(request?.fallback)
      assert.deepStrictEqual(request?.weights, { quality: 0.5, cost: 0.5, latency: 0 })
      assert.strictEqual(request?.task, "body")
      assert.strictEqual(request?.preference, "speed")
      assert.strictEqual(request?.userId, "u2")
      assert.strictEqual(request?.sessionId, "s2")
      assert.deepStrictEqual(request?.constraints, {
        max_cost_usd: 0.5,
        max_latency_ms: 1500,
        min_quality: 0.5,
        allowed_models: ["small", "large"],
        provider: "local"
      })
    }).pipe(Effect.scoped)
  )

  it.live("keeps the newest text of a long conversation, and counts all of it", () =>
    Effect.gen(function* () {
      const router = recordingRouter()
      const api = yield* serveApi(router)
      const messages = [
        { role: "user", content: "a".repeat(100_000) },
        { role: "user", content: "b".repeat(20_000) }
      ]
      yield* api.post("/v1/chat/completions", chat({ messages }))
      const request = router.asked[0]?.request
      // Letters without a space between them are dense.
      assert.approximately(request?.inputTokens ?? 0, 120_000 * 0.68, 100)
      assert.strictEqual(request?.text, `${"a".repeat(12_767)}\n${"b".repeat(20_000)}`)
    }).pipe(Effect.scoped)
  )

  const invalid: ReadonlyArray<readonly [over: Record<string, unknown>, param: string, message?: RegExp]> = [
    [{ messages: undefined }, "messages", /is missing/],
    [{ messages: [] }, "messages"],
    [{ messages: "hello" }, "messages"],
    [{ messages: [{ content: "x" }] }, "messages.0.role"],
    [{ messages: [{ role: "user", content: 5 }] }, "messages.0.content", /a string, a list of parts, or null/],
    [{ model: 5 }, "model", /must be a string/],
    [{ stream: "yes" }, "stream", /true or false/],
    [{ max_tokens: 0 }, "max_tokens", /whole number/],
    [{ max_tokens: 1.5 }, "max_tokens"],
    [{ max_completion_tokens: "9" }, "max_completion_tokens"],
    [{ conduit: "x" }, "conduit", /must be an object$/],
    [{ conduit: { weights: null } }, "conduit.weights", /must be an object$/],
    [{ conduit: { constraints: [] } }, "conduit.constraints", /must be an object$/],
    [{ conduit: { tusk: "x" } }, "conduit.tusk", /not a known key/],
    [{ conduit: { task: "" } }, "conduit.task"],
    [{ conduit: { task: "x".repeat(65) } }, "conduit.task", /1 to 64/],
    [{ conduit: { user_id: "a\0b" } }, "conduit.user_id", /NUL/],
    [{ conduit: { session_id: "\ud800" } }, "conduit.session_id", /surrogates/],
    [{ conduit: { preference: "cheap" } }, "conduit.preference", /balanced, quality, cost, speed/],
    [{ conduit: { fallback: 1 } }, "conduit.fallback"],
    [{ conduit: { weights: { quality: 2 } } }, "conduit.weights.quality"],
    [{ conduit: { weights: { quality: 0 } } }, "conduit.weights", /above 0/],
    [{ conduit: { weights: { speed: 1 } } }, "conduit.weights.speed", /not a known key/],
    [{ conduit: { constraints: { max_cost: 1 } } }, "conduit.constraints.max_cost", /not a known key/],
    [{ conduit: { constraints: { max_cost_usd: -1 } } }, "conduit.constraints.max_cost_usd"],
    [{ conduit: { constraints: { max_cost_usd: null } } }, "conduit.constraints.max_cost_usd"],
    [{ conduit: { constraints: { max_latency_ms: 0 } } }, "conduit.constraints.max_latency_ms"],
    [{ conduit: { constraints: { min_quality: 1.1 } } }, "conduit.constraints.min_quality"],
    [{ conduit: { constraints: { allowed_models: "small" } } }, "conduit.constraints.allowed_models"]
  ]
  for (const [over, param, message] of invalid) {
    it.live(`answers 400 naming ${param} to ${JSON.stringify(over).slice(0, 60)}`, () =>
      Effect.gen(function* () {
        const router = recordingRouter()
        const api = yield* serveApi(router)
        const answered = yield* api.post("/v1/chat/completions", chat(over))
        const error = errorOf(answered.body)
        assert.strictEqual(answered.status, 400)
        assert.deepStrictEqual(
          [error.type, error.code, error.param],
          ["invalid_request_error", "invalid_request", param]
        )
        if (message !== undefined) assert.match(error.message, message)
        assert.strictEqual(router.asked.length, 0)
      }).pipe(Effect.scoped)
    )
  }

  it.live("refuses a number beyond all numbers", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(recordingRouter())
      const body = `{"messages":[{"role":"user","content":"x"}],"conduit":{"constraints":{"max_cost_usd":1e999}}}`
      assert.strictEqual((yield* api.post("/v1/chat/completions", body)).status, 400)
    }).pipe(Effect.scoped)
  )

  it.live("does not quote a prompt in its error", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(recordingRouter())
      const answered = yield* api.post("/v1/chat/completions", { messages: "my secret ".repeat(10_000) })
      assert.strictEqual(answered.status, 400)
      assert.notInclude(answered.body, "secret")
    }).pipe(Effect.scoped)
  )

  const badHeaders: ReadonlyArray<readonly [string, string]> = [
    ["x-conduit-max-cost-usd", "cheap"],
    ["x-conduit-max-cost-usd", "-1"],
    ["x-conduit-max-latency-ms", "Infinity"],
    ["x-conduit-min-quality", "2"],
    ["x-conduit-preference", "cheap"],
    ["x-conduit-fallback", "perhaps"],
    ["x-conduit-max-cost", "0.1"],
    ["x-conduit-task", "x".repeat(65)]
  ]
  for (const [name, value] of badHeaders) {
    it.live(`answers 400 naming ${name} to ${value.slice(0, 10)}`, () =>
      Effect.gen(function* () {
        const api = yield* serveApi(recordingRouter())
        const answered = yield* api.post("/v1/chat/completions", chat(), { [name]: value })
        assert.strictEqual(answered.status, 400)
        assert.strictEqual(errorOf(answered.body).param, name)
      }).pipe(Effect.scoped)
    )
  }
})

describe("what the router says", () => {
  const excluded = (excludedBy: string) => new NoEligibleModel({ excluded: [{ model: "small", excludedBy }] })
  const decisionId = freshDecisionId()
  const failed = { decisionId, attempts: [{ model: "small", reason: "server_error", status: 500 }] }
  const table: ReadonlyArray<readonly [RouterError, status: number, code: string, type: string, retryAfter: boolean]> =
    [
      [excluded("max_cost_usd"), 422, "no_eligible_model", "invalid_request_error", false],
      [excluded("circuit"), 503, "circuits_open", "server_error", true],
      [new UnknownModel({ model: "x" }), 404, "model_not_found", "invalid_request_error", false],
      [
        new AllModelsFailed({ ...failed, timedOut: false, retryAfterSeconds: null }),
        502,
        "all_models_failed",
        "server_error",
        false
      ],
      [
        new AllModelsFailed({ ...failed, timedOut: true, retryAfterSeconds: null }),
        504,
        "upstream_timeout",
        "server_error",
        false
      ],
      [
        new AllModelsFailed({ ...failed, timedOut: false, retryAfterSeconds: 7 }),
        429,
        "rate_limit_exceeded",
        "rate_limit_error",
        true
      ],
      [
        new UpstreamRejected({ decisionId, model: "small", status: 404, detail: "no" }),
        400,
        "upstream_rejected",
        "invalid_request_error",
        false
      ],
      [
        new UpstreamRejected({ decisionId, model: "small", status: 413, detail: "no" }),
        413,
        "upstream_rejected",
        "invalid_request_error",
        false
      ],
      [
        new UpstreamRejected({ decisionId, model: "small", status: 422, detail: "no" }),
        422,
        "upstream_rejected",
        "invalid_request_error",
        false
      ],
      [new DecisionNotFound({ decisionId: "x" }), 404, "decision_not_found", "invalid_request_error", false],
      [new IdempotencyConflict(), 409, "idempotency_conflict", "invalid_request_error", false],
      [new OutcomeConflict({ decisionId: "x" }), 409, "outcome_conflict", "invalid_request_error", false],
      [
        new DatabaseError({ operation: "commit", reason: "connection", detail: "10.0.0.7 refused" }),
        503,
        "database_unavailable",
        "server_error",
        true
      ],
      [
        new DatabaseError({ operation: "commit", reason: "constraint", detail: "SQLSTATE 22P05" }),
        422,
        "not_storable",
        "invalid_request_error",
        false
      ],
      [
        new DatabaseError({ operation: "decision", reason: "unexpected", detail: "SQLSTATE 42P01" }),
        500,
        "database_error",
        "server_error",
        false
      ]
    ]
  for (const [error, status, code, type, retries] of table) {
    it.live(`${error._tag} is ${status} ${code}, on a stream that has not begun too`, () =>
      Effect.gen(function* () {
        const fail = () => Effect.fail(error)
        const api = yield* serveApi(recordingRouter({ complete: fail, stream: fail }))
        for (const stream of [false, true]) {
          const answered = yield* api.post("/v1/chat/completions", chat({ stream }), { "x-request-id": "mine-1" })
          assert.strictEqual(answered.status, status)
          const shown = errorOf(answered.body)
          assert.deepStrictEqual([shown.code, shown.type, shown.request_id], [code, type, "mine-1"])
          assert.strictEqual(answered.headers["x-request-id"], "mine-1")
          assert.strictEqual(answered.headers["retry-after"] !== undefined, retries)
          // Where models were asked, what they said can be looked up.
          const wasAsked = error._tag === "AllModelsFailed" || error._tag === "UpstreamRejected"
          assert.strictEqual(answered.headers["x-conduit-decision-id"], wasAsked ? decisionId : undefined)
          assert.notInclude(answered.body, "10.0.0.7")
        }
      }).pipe(Effect.scoped)
    )
  }

  it.live("names what excludes each model", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(recordingRouter({ complete: () => Effect.fail(excluded("price_unknown")) }))
      const { body } = yield* api.post("/v1/chat/completions", chat())
      assert.deepStrictEqual(errorOf(body).details, { excluded: [{ model: "small", excluded_by: "price_unknown" }] })
    }).pipe(Effect.scoped)
  )

  it.live("hides a defect behind 500, logs it, and goes on", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(recordingRouter({ complete: () => Effect.die(new Error("secret detail")) }))
      const answered = yield* api.post("/v1/chat/completions", chat())
      assert.strictEqual(answered.status, 500)
      assert.strictEqual(errorOf(answered.body).code, "internal_error")
      assert.notInclude(answered.body, "secret")
      assert.match(api.logged[0] ?? "", /secret detail/)
      assert.strictEqual((yield* api.ask("GET", "/v1/models")).status, 200)
    }).pipe(Effect.scoped)
  )
})

describe("POST /v1/complete", () => {
  it.live("sends the context as a system message and answers in the simple form", () =>
    Effect.gen(function* () {
      const router = recordingRouter()
      const api = yield* serveApi(router)
      const answered = yield* api.post("/v1/complete", {
        prompt: "What is 17 * 23?",
        context: { unit: "apples" },
        constraints: { max_cost_usd: 1 },
        preference: "cost",
        user_id: "u1",
        conduit: { task: "sums", preference: "speed" },
        max_tokens: 7,
        temperature: 0
      })
      assert.strictEqual(answered.status, 200)
      const shown = JSON.parse(answered.body)
      assert.deepStrictEqual(
        [shown.id, shown.model, shown.content, shown.cost_usd, shown.latency_ms],
        ["chatcmpl-1", "small", "391", 0.0000015, 812]
      )
      assert.deepStrictEqual(shown.usage, { prompt_tokens: 12, completion_tokens: 3, total_tokens: 15 })
      assert.strictEqual(shown.decision_id, answered.headers["x-conduit-decision-id"])
      assert.strictEqual(Number(answered.headers["x-conduit-cost-usd"]), shown.cost_usd)
      const [asked] = router.asked
      assert.deepStrictEqual(asked?.body, {
        messages: [
          { role: "system", content: 'Context:\n{"unit":"apples"}' },
          { role: "user", content: "What is 17 * 23?" }
        ],
        max_tokens: 7,
        temperature: 0,
        stream: false
      })
      assert.deepStrictEqual(
        [asked?.request.preference, asked?.request.userId, asked?.request.maxTokens, asked?.request.constraints],
        ["cost", "u1", 7, { max_cost_usd: 1 }]
      )
      assert.strictEqual(asked?.request.task, "sums")
      assert.deepStrictEqual([asked?.request.sessionId, asked?.request.fallback], [null, false])
    }).pipe(Effect.scoped)
  )

  for (const [body, param] of [
    [{}, "prompt"],
    [{ prompt: "" }, "prompt"],
    [{ prompt: "x", context: 5 }, "context"],
    [{ prompt: "x", constraints: { max: 1 } }, "constraints.max"],
    [{ prompt: "x", preference: "best" }, "preference"]
  ] as const) {
    it.live(`answers 400 naming ${param} to ${JSON.stringify(body)}`, () =>
      Effect.gen(function* () {
        const api = yield* serveApi(recordingRouter())
        const answered = yield* api.post("/v1/complete", body)
        assert.deepStrictEqual([answered.status, errorOf(answered.body).param], [400, param])
      }).pipe(Effect.scoped)
    )
  }
})

describe("POST /v1/route", () => {
  for (const body of [
    { prompt: "hello", task: "greet", constraints: { min_quality: 0.1 } },
    { messages: [{ role: "user", content: "hello" }], conduit: { task: "greet", constraints: { min_quality: 0.1 } } }
  ]) {
    it.live(`answers the decision for ${JSON.stringify(Object.keys(body))}`, () =>
      Effect.gen(function* () {
        const router = recordingRouter()
        const api = yield* serveApi(router)
        const answered = yield* api.post("/v1/route", body)
        const shown = JSON.parse(answered.body)
        assert.strictEqual(answered.status, 200)
        assert.strictEqual(answered.headers["x-conduit-decision-id"], shown.id)
        assert.deepStrictEqual(
          [shown.chosen, shown.reason, shown.outcome, shown.reward],
          ["small", "only_eligible", null, null]
        )
        assert.deepStrictEqual(shown.attempts, [])
        assert.strictEqual(shown.candidates[0].excluded_by, null)
        assert.deepStrictEqual(router.asked[0]?.request.constraints, { min_quality: 0.1 })
        assert.strictEqual(router.asked[0]?.request.task, "greet")
        assert.strictEqual(router.asked[0]?.request.text, "hello")
      }).pipe(Effect.scoped)
    )
  }

  it.live("needs messages or a prompt", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(recordingRouter())
      const answered = yield* api.post("/v1/route", { task: "x" })
      assert.deepStrictEqual([answered.status, errorOf(answered.body).param], [400, "messages"])
    }).pipe(Effect.scoped)
  )

  it.live("takes a model's id that cannot be one for unknown", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(recordingRouter())
      const answered = yield* api.post("/v1/route", { prompt: "x", model: "no such model!" })
      assert.deepStrictEqual([answered.status, errorOf(answered.body).code], [404, "model_not_found"])
    }).pipe(Effect.scoped)
  )
})

describe("GET /v1/decisions/{id}", () => {
  it.live("answers 404 to an id that is none, and to one that no row has", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(recordingRouter())
      for (const id of ["nope", freshDecisionId(), "%zz", "a%00b"]) {
        assert.strictEqual((yield* api.ask("GET", `/v1/decisions/${id}`)).status, 404)
      }
    }).pipe(Effect.scoped)
  )
})
