import { assert, describe, it } from "@effect/vitest"
import { type Answered, chat, request } from "../support/conduit.ts"
import { answers, error, refuses, startScripted } from "../support/scriptedUpstream.ts"
import { eventually } from "../support/traffic.ts"
import { sharedService } from "../support/sharedService.ts"

const key = "sk-operators-0123456789"

/** The first of the static order fails as each test says; the second answers. */
const { conduit, upstream } = sharedService(
  () =>
    startScripted({
      payment: refuses(402, error(`no money for ${key}`, { type: "billing", code: "no_money" })),
      forbidden: refuses(403, error("not for you")),
      missing: refuses(404, { object: "error", message: "no such model", type: "NotFoundError", code: 404 }),
      conflict: refuses(409, { detail: "busy with another one" }),
      quota: refuses(429, error("You exceeded your current quota", { code: "insufficient_quota" })),
      long: refuses(400, error("prompt is too long: 9000 tokens > 8192 maximum")),
      field: refuses(
        422,
        error("must be below 2", { type: "invalid_request_error", code: "bad_range", param: "top_p" })
      ),
      badkey: refuses(400, [
        { error: { code: 400, message: `API key not valid: ${key}`, status: "INVALID_ARGUMENT" } }
      ]),
      within: refuses(200, error("slow down", { code: "rate_limit_exceeded" })),
      busy: refuses(503, error("overloaded"), { "retry-after": "7" }),
      broken: refuses(500, error("oops")),
      retried: refuses(500, error("oops")),
      unable: refuses(400, error("image_url is not supported")),
      idle: answers(),
      unused: answers(),
      blind: (response, asked) =>
        (JSON.stringify(asked.body).includes("image_url")
          ? refuses(400, error("image_url is only supported by certain models"))
          : answers())(response, asked),
      toolless: answers(),
      cool: answers(),
      declines: answers({}, { content: null, refusal: "I will not." }),
      silent: answers({}, { content: "" }),
      renamed: (response, asked) =>
        ("max_tokens" in asked.body
          ? refuses(
              400,
              error("Unsupported parameter: 'max_tokens' is not supported with this model.", {
                param: "max_tokens",
                code: "unsupported_parameter"
              })
            )
          : answers())(response, asked),
      "told-streams": answers(),
      "plain-streams": (response, asked) =>
        ("stream_options" in asked.body
          ? refuses(422, {
              detail: [
                { type: "extra_forbidden", loc: ["body", "stream_options"], msg: "Extra inputs are not permitted" }
              ]
            })
          : answers())(response, asked)
    }),
  (upstream) => {
    const ids = [...new Set(["first", "blind", "toolless", "second", ...Object.keys(upstream.scripts)])]
    return {
      configuration: JSON.stringify({
        providers: {
          local: { kind: "openai-compatible", baseUrl: upstream.url, apiKey: key },
          plain: { kind: "openai-compatible", baseUrl: upstream.url },
          told: { kind: "openai-compatible", baseUrl: upstream.url, streamUsage: false }
        },
        models: ids.map((id) => ({
          id,
          provider: id === "plain-streams" ? "plain" : id === "told-streams" ? "told" : "local",
          inputUsdPerMTok: 1,
          outputUsdPerMTok: 1,
          ...(id === "first" ? { contextWindow: 8192, maxOutputTokens: 1000 } : {}),
          ...(id === "second" ? { contextWindow: 200_000, maxOutputTokens: 4000 } : {}),
          ...(id === "toolless" ? { capabilities: { tools: false } } : {}),
          ...(id === "cool" ? { dialect: { temperature: null } } : {})
        })),
        policy: { algorithm: "static" }
      })
    }
  }
)

let texts = 0
const ask = (body: Record<string, unknown>, headers: Record<string, string> = {}) =>
  request(`${conduit.url}/v1/chat/completions`, { body: { ...chat(`text ${texts++}`), ...body }, headers })
const circuitOf = async (model: string) => (await request(`${conduit.url}/v1/models/${model}`)).json.conduit.circuit
const among = (...ids: ReadonlyArray<string>) => ({ conduit: { constraints: { allowed_models: ids } } })

describe("a model that the client named", () => {
  it.each([
    ["payment", 402, { message: "no money for [redacted]", type: "billing", code: "no_money", param: null }],
    ["forbidden", 403, { message: "not for you", type: "permission_error", code: "permission_denied", param: null }],
    ["missing", 404, { message: "no such model", type: "NotFoundError", code: "model_not_found", param: null }],
    [
      "quota",
      429,
      {
        message: "You exceeded your current quota",
        type: "insufficient_quota",
        code: "insufficient_quota",
        param: null
      }
    ],
    ["field", 422, { message: "must be below 2", type: "invalid_request_error", code: "bad_range", param: "top_p" }],
    [
      "long",
      400,
      {
        message: "prompt is too long: 9000 tokens > 8192 maximum",
        type: "invalid_request_error",
        code: "context_length_exceeded",
        param: null
      }
    ]
  ])(
    "speaks for itself, and a client that could only repeat itself is told not to: %s",
    async (model, status, words) => {
      for (const stream of [false, true]) {
        const answer = await ask({ model, stream })
        assert.strictEqual(answer.status, status, answer.text)
        assert.deepInclude(answer.json.error, words)
        assert.strictEqual(answer.headers["x-should-retry"], "false")
        assert.strictEqual(answer.json.error.details.attempts[0].status, status)
      }
    }
  )

  it("is told by a conflict that may pass, and by an overload that says when", async () => {
    const conflict = await ask({ model: "conflict" })
    assert.strictEqual(conflict.status, 409)
    assert.strictEqual(conflict.json.error.message, "busy with another one")
    assert.isUndefined(conflict.headers["x-should-retry"])
    const busy = await ask({ model: "busy" })
    assert.strictEqual(busy.status, 503)
    assert.strictEqual(busy.headers["retry-after"], "7")
  })

  it("is a rate limit too where the body of an answer of 200 says so", async () => {
    const answer = await ask({ model: "within" })
    assert.strictEqual(answer.status, 429, answer.text)
    assert.strictEqual(answer.json.error.message, "slow down")
    assert.isDefined(answer.headers["retry-after"])
  })

  it("keeps the operator's key to the operator, whichever status refuses it", async () => {
    const answer = await ask({ model: "badkey" })
    assert.strictEqual(answer.status, 502)
    assert.notInclude(answer.text, key)
    assert.strictEqual(answer.json.error.details.attempts[0].reason, "unauthorized")
    assert.strictEqual(answer.headers["x-should-retry"], "false")
  })

  it("is not taken from others by one caller's refusals, six in a row", async () => {
    for (const model of ["payment", "forbidden", "missing", "conflict"]) {
      for (let i = 0; i < 6; i++) await ask({ model })
      assert.strictEqual(await circuitOf(model), "closed", model)
    }
  })
})

describe("a client that retries by itself", () => {
  it("counts once against the circuit", async () => {
    const body = { ...chat("the same each time"), model: "retried" }
    for (let i = 0; i < 9; i++) {
      const headers = { "x-stainless-retry-count": String(i % 3) }
      await request(`${conduit.url}/v1/chat/completions`, { body, headers })
    }
    assert.strictEqual(await circuitOf("retried"), "closed")
    for (let i = 0; i < 4; i++) await ask({ model: "retried" })
    assert.strictEqual(await circuitOf("retried"), "open")
  })
})

describe("a choice of Conduit's", () => {
  it.each([
    ["cannot take images", refuses(400, error("image_url is only supported by certain models")), "unsupported"],
    ["has no tools", refuses(404, error("No endpoints found that support tool use", { code: 404 })), "unsupported"],
    [
      "does not know a parameter",
      refuses(400, error("Unrecognized request argument supplied: verbosity")),
      "unsupported"
    ],
    ["has a smaller window", refuses(400, error("no", { code: "context_length_exceeded" })), "context_length"],
    [
      "refuses the key by 400",
      refuses(400, error("Incorrect API key provided", { code: "invalid_api_key" })),
      "unauthorized"
    ],
    ["is gone", refuses(404, "<html>404</html>"), "not_found"]
  ])("goes to the next model when the first %s", async (_, script, reason) => {
    upstream.scripts["first"] = script
    for (const stream of [false, true]) {
      const answer = await ask({ stream, ...among("first", "second") })
      assert.strictEqual(answer.status, 200, answer.text)
      assert.strictEqual(answer.headers["x-conduit-model"], "second")
      const { attempts } = await eventually("the outcome", 10_000, async () => {
        const { json, status } = await request(
          `${conduit.url}/v1/decisions/${String(answer.headers["x-conduit-decision-id"])}`
        )
        return status === 200 && json.outcome !== null ? json : undefined
      })
      assert.deepInclude(attempts[0], { model: "first", error: reason })
    }
  })

  it("is the client's fault only when all models refuse alike", async () => {
    upstream.scripts["first"] = refuses(400, error("image_url is not supported", { code: "no_images" }))
    const answer = await ask(among("first", "field"))
    assert.strictEqual(answer.status, 400)
    assert.strictEqual(answer.json.error.code, "no_images")
    assert.lengthOf(answer.json.error.details.attempts, 2)
    assert.strictEqual((await ask(among("first", "broken"))).status, 502)
  })

  it("learns nothing of a model that refused one request", async () => {
    const rate = async (model: string) => (await request(`${conduit.url}/v1/models/${model}`)).json.conduit.success_rate
    assert.strictEqual((await ask(among("unable", "idle"))).headers["x-conduit-model"], "idle")
    // Learned in order: what is learned of the answer comes after what would have been learned of the refusal.
    await eventually("the answer is learned", 10_000, async () =>
      (await rate("idle")) === (await rate("unused")) ? undefined : true
    )
    assert.strictEqual(await rate("unable"), await rate("unused"))
  })

  it("leaves a model that asks for time alone at once", async () => {
    upstream.scripts["first"] = refuses(429, error("slow down"), { "retry-after": "60" })
    const before = upstream.callsOf("first")
    for (let i = 0; i < 4; i++) {
      const answer = await ask(among("first", "second"))
      assert.strictEqual(answer.headers["x-conduit-model"], "second")
    }
    assert.strictEqual(upstream.callsOf("first"), before + 1)
    const only = await ask(among("first"))
    assert.strictEqual(only.status, 429, only.text)
    assert.isAbove(Number(only.headers["retry-after"]), 30)
    assert.deepStrictEqual(
      only.json.error.details.excluded.find(({ model }: { model: string }) => model === "first"),
      {
        model: "first",
        excluded_by: "rate_limit"
      }
    )
  })
})

describe("what a model cannot do", () => {
  const image = {
    messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "data:image/png;base64,AA==" } }] }]
  }
  const conduitOf = async (model: string) => (await request(`${conduit.url}/v1/models/${model}`)).json.conduit

  /** What the protocol of chat completions has no place for. */
  const byProtocol = { native_tools: { can: false, source: "protocol" } }

  it("is remembered when another model answered the request, shown, and kept from it", async () => {
    const asked = { ...image, ...among("blind", "second") }
    assert.strictEqual((await ask(asked)).headers["x-conduit-model"], "second")
    assert.strictEqual((await ask(asked)).headers["x-conduit-model"], "second")
    assert.strictEqual(upstream.callsOf("blind"), 1)
    assert.deepStrictEqual((await conduitOf("blind")).capabilities, {
      ...byProtocol,
      vision: { can: false, source: "refusal" }
    })
    const alone = await ask({ ...image, ...among("blind") })
    assert.strictEqual(alone.status, 422)
    assert.deepInclude(alone.json.error.details.excluded, { model: "blind", excluded_by: "capability:vision" })
    // Text goes on.
    assert.strictEqual((await ask(among("blind"))).status, 200)
  })

  it("is not remembered of a request that nobody could answer", async () => {
    assert.strictEqual((await ask({ ...image, ...among("unable") })).status, 400)
    assert.deepStrictEqual((await conduitOf("unable")).capabilities, byProtocol)
  })

  it("is configured, and masks also who names the model", async () => {
    const tools = { tools: [{ type: "function", function: { name: "f", parameters: {} } }] }
    assert.strictEqual((await ask({ ...tools, ...among("toolless", "second") })).headers["x-conduit-model"], "second")
    const pinned = await ask({ ...tools, model: "toolless" })
    assert.deepStrictEqual(
      [pinned.status, pinned.json.error.details.excluded],
      [422, [{ model: "toolless", excluded_by: "capability:tools" }]]
    )
    assert.strictEqual((await ask({ tools: [], model: "toolless" })).status, 200)
    assert.strictEqual(upstream.callsOf("toolless"), 1)
  })
})

describe("an answer that is none", () => {
  const outcomeOf = (answer: Answered) =>
    eventually("the outcome", 10_000, async () => {
      const id = String(answer.headers["x-conduit-decision-id"])
      const { json, status } = await request(`${conduit.url}/v1/decisions/${id}`)
      return status === 200 && json.outcome !== null ? json.outcome : undefined
    })
  const listed = async (outcome: string) =>
    (await request(`${conduit.url}/v1/decisions?outcome=${outcome}`)).json.data.map(
      ({ chosen }: { chosen: string }) => chosen
    )

  it.each([false, true])(
    "is refused where the model declines: neither success nor failure (stream: %s)",
    async (stream) => {
      const answer = await ask({ model: "declines", stream })
      assert.strictEqual(answer.status, 200)
      assert.deepInclude(await outcomeOf(answer), { kind: "refused", ok: true, error: "refused" })
      await eventually("it is listed", 10_000, async () => (await listed("refused")).includes("declines") || undefined)
      const metrics = (await request(`${conduit.url}/metrics`)).text
      assert.include(metrics, 'conduit_provider_attempts_total{model="declines",outcome="refused"}')
    }
  )

  it("is empty where the last model says nothing", async () => {
    const answer = await ask({ model: "silent" })
    assert.strictEqual(answer.status, 502)
    assert.deepInclude(await outcomeOf(answer), { kind: "empty", ok: false, error: "empty" })
    await eventually("it is listed", 10_000, async () => (await listed("empty")).includes("silent") || undefined)
    assert.notInclude(await listed("failed"), "silent")
  })

  it("is added up by its kind", async () => {
    const { by_model, totals } = await eventually("both are stored", 10_000, async () => {
      const { json } = await request(`${conduit.url}/v1/stats`)
      return json.totals.refused === 2 && json.totals.empty === 1 ? json : undefined
    })
    const kinds = totals.answered + totals.failed + totals.aborted + totals.refused + totals.empty + totals.pending
    assert.strictEqual(kinds, totals.requests)
    const of = (model: string) => by_model.find((one: { model: string }) => one.model === model)
    assert.deepInclude(of("declines"), { answered: 0, failed: 0, refused: 2, empty: 0 })
    assert.deepInclude(of("silent"), { answered: 0, failed: 0, refused: 0, empty: 1 })
  })
})

describe("how a model is asked", () => {
  it("is learned from its refusal, said in a header, and done at once the next time", async () => {
    for (const calls of [2, 3]) {
      const answer = await ask({ model: "renamed", max_tokens: 9 })
      assert.strictEqual(answer.status, 200, answer.text)
      assert.strictEqual(answer.headers["x-conduit-adjusted"], "max_tokens->max_completion_tokens")
      assert.strictEqual(upstream.callsOf("renamed"), calls)
    }
    const { body } = upstream.asked.filter(({ model }) => model === "renamed").at(-1)!
    assert.deepInclude(body, { max_completion_tokens: 9 })
    assert.notProperty(body, "max_tokens")
    assert.deepStrictEqual((await request(`${conduit.url}/v1/models/renamed`)).json.conduit.dialect, {
      max_tokens: "max_completion_tokens"
    })
  })

  it("is configured too", async () => {
    const answer = await ask({ model: "cool", temperature: 0.5, parallel_tool_calls: true })
    assert.strictEqual(answer.headers["x-conduit-adjusted"], "temperature->none")
    const { body } = upstream.asked.filter(({ model }) => model === "cool").at(-1)!
    assert.notProperty(body, "temperature")
    assert.propertyVal(body, "parallel_tool_calls", true)
  })

  it("is without stream_options once its provider refused them, which the client never sent", async () => {
    for (const calls of [2, 3]) {
      const answer = await ask({ model: "plain-streams", stream: true })
      assert.strictEqual(answer.status, 200, answer.text)
      assert.include(answer.text, "[DONE]")
      assert.strictEqual(upstream.callsOf("plain-streams"), calls)
    }
  })

  it("is without stream_options where the configuration says so, and what nobody counted is estimated", async () => {
    const answer = await ask({ model: "told-streams", stream: true })
    assert.strictEqual(answer.status, 200, answer.text)
    assert.notProperty(upstream.asked.at(-1)?.body, "stream_options")
    const outcome = await eventually("the outcome", 10_000, async () => {
      const id = String(answer.headers["x-conduit-decision-id"])
      const { json, status } = await request(`${conduit.url}/v1/decisions/${id}`)
      return status === 200 && json.outcome !== null ? json.outcome : undefined
    })
    assert.deepInclude(outcome, { usage_estimated: true, input_tokens: null, kind: "ok" })
    assert.isAbove(outcome.output_tokens, 0)
    assert.isAbove(outcome.cost_usd, 0)
  })

  it("shows clients how long a request may be, of auto the longest and the shortest", async () => {
    const entry = async (id: string) => (await request(`${conduit.url}/v1/models/${id}`)).json
    assert.deepInclude(await entry("second"), { context_length: 200_000, max_output_tokens: 4000 })
    const auto = await entry("auto")
    assert.deepInclude(auto, { context_length: 200_000, max_output_tokens: 4000 })
    assert.deepInclude(auto.conduit, { context_window: 200_000, smallest_context_window: 8192 })
  })

  it("knows no limit of -1, no name of null, and says what an empty list of messages is", async () => {
    assert.strictEqual((await ask({ model: null, max_tokens: -1, ...among("second") })).status, 200)
    assert.notProperty(upstream.asked.at(-1)?.body, "max_tokens")
    const empty = await ask({ messages: [] })
    assert.deepStrictEqual([empty.status, empty.json.error.message], [400, "messages: must not be empty"])
  })

  it("means by a prefixed name what it says, and by an empty header nothing", async () => {
    for (const model of ["openai/second", "local/second", "second"]) {
      assert.strictEqual((await ask({ model })).headers["x-conduit-model"], "second")
    }
    for (const model of ["AUTO", "openai/auto"]) {
      assert.strictEqual((await ask({ model, ...among("second") }, { "x-conduit-allowed-models": "" })).status, 200)
    }
  })

  it("finds a decision by an id in capitals", async () => {
    const id = String((await ask(among("second"))).headers["x-conduit-decision-id"])
    assert.strictEqual((await request(`${conduit.url}/v1/decisions/${id.toUpperCase()}`)).json.id, id)
  })
})
