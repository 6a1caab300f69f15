import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Http from "node:http"
import * as Net from "node:net"
import { type Answered, chat, request } from "../support/conduit.ts"
import { type Answering, error, refuses, startScripted } from "../support/scriptedUpstream.ts"
import { eventually } from "../support/traffic.ts"
import { sharedService } from "../support/sharedService.ts"

const price = { inputUsdPerMTok: 10, cachedInputUsdPerMTok: 1, outputUsdPerMTok: 40 }

/** An answer with these counts, whole or streamed; `place` is where a provider puts them. */
const counting =
  (usage: object | null, place: (usage: object) => object = (usage) => ({ usage }), message: object = {}): Answering =>
  (response, { body, model }) => {
    const told = { role: "assistant", content: "hello", ...message }
    const head = { id: "chatcmpl-1", created: 1_760_000_000, model }
    const counts = usage === null ? {} : place(usage)
    if (body.stream !== true) {
      response.writeHead(200, { "content-type": "application/json" })
      const choices = [{ index: 0, message: told, finish_reason: "stop" }]
      response.end(JSON.stringify({ ...head, object: "chat.completion", choices, ...counts }))
      return
    }
    response.writeHead(200, { "content-type": "text/event-stream" })
    const chunk = (delta: object, finish: string | null, more: object = {}) =>
      response.write(
        `data: ${JSON.stringify({ ...head, object: "chat.completion.chunk", choices: [{ index: 0, delta, finish_reason: finish }], ...more })}\n\n`
      )
    chunk(told, null)
    chunk({}, "stop", counts)
    response.end("data: [DONE]\n\n")
  }

const thought = "h".repeat(763)
const endless: Answering = (response) => {
  response.writeHead(503, { "content-type": "application/json" })
  response.write('{"error":')
}
const gone: Array<() => void> = []

const forms: ReadonlyArray<readonly [string, Answering, number]> = [
  [
    "openai",
    counting({
      prompt_tokens: 10_000,
      completion_tokens: 100,
      total_tokens: 10_100,
      prompt_tokens_details: { cached_tokens: 9000 }
    }),
    1000 * 10 + 9000 * 1 + 100 * 40
  ],
  [
    "deepseek",
    counting({
      prompt_tokens: 10_000,
      completion_tokens: 100,
      total_tokens: 10_100,
      prompt_cache_hit_tokens: 9000,
      prompt_cache_miss_tokens: 1000
    }),
    1000 * 10 + 9000 * 1 + 100 * 40
  ],
  [
    "mistral",
    counting({ prompt_tokens: 10_000, completion_tokens: 100, total_tokens: 10_100, num_cached_tokens: 9000 }),
    1000 * 10 + 9000 * 1 + 100 * 40
  ],
  [
    "xai",
    counting({
      prompt_tokens: 100,
      completion_tokens: 10,
      total_tokens: 410,
      completion_tokens_details: { reasoning_tokens: 300 }
    }),
    100 * 10 + 310 * 40
  ],
  [
    "groq",
    counting({ prompt_tokens: 100, completion_tokens: 10, total_tokens: 110 }, (usage) => ({ x_groq: { usage } })),
    100 * 10 + 10 * 40
  ]
]

const { conduit, upstream } = sharedService(
  () =>
    startScripted({
      ...Object.fromEntries(forms.map(([name, answering]) => [name, answering])),
      thinks: counting(null, undefined, { content: "", reasoning_content: thought }),
      renamed: (response, asked) =>
        counting({ prompt_tokens: 1000, completion_tokens: 100, total_tokens: 1100 })(response, {
          ...asked,
          model: "dear"
        }),
      late: (response) => {
        response.writeHead(200, { "content-type": "text/event-stream" })
        response.flushHeaders()
        gone.push(() => response.end())
      },
      endless,
      hurried: refuses(503, error("busy"), { "retry-after": "9", "retry-after-ms": "2500" }),
      odd: counting({ prompt_tokens: 10, completion_tokens: 2, total_tokens: 12 }, (usage) => ({
        usage,
        service_tier: "turbo-x"
      })),
      wordy: counting({ prompt_tokens: 9000, completion_tokens: 2, total_tokens: 9002 }),
      torrent: (response) => {
        response.writeHead(200, { "content-type": "text/event-stream" })
        const chunk = { choices: [{ index: 0, delta: { content: "x".repeat(64 * 1024) }, finish_reason: null }] }
        const text = `data: ${JSON.stringify(chunk)}\n\n`
        const more = () => {
          while (!response.destroyed && response.write(text));
          if (!response.destroyed) response.once("drain", more)
        }
        more()
      }
    }),
  (upstream) => {
    const models = [...forms.map(([name]) => name), "thinks", "renamed", "late", "endless", "hurried", "odd", "torrent"]
    return {
      configuration: JSON.stringify({
        providers: { local: { kind: "openai-compatible", baseUrl: upstream.url } },
        models: [
          ...models.map((id) => ({ id, provider: "local", ...price })),
          { id: "dear", provider: "local", inputUsdPerMTok: 50, outputUsdPerMTok: 200 },
          { id: "plain", provider: "local", ...price, capabilities: { tools: false, logprobs: false } },
          { id: "wordy", provider: "local", ...price, contextWindow: 10_000 },
          { id: "roomy", provider: "local", ...price, contextWindow: 100_000 },
          { id: "unpriced", provider: "local" }
        ],
        policy: { algorithm: "static" }
      }),
      env: { CONDUIT_REQUEST_TIMEOUT: "4 seconds" }
    }
  }
)
afterAll(() => {
  for (const end of gone) end()
})

const ask = (body: Record<string, unknown>) =>
  request(`${conduit.url}/v1/chat/completions`, { body: { ...chat("hello"), ...body } })
const among = (...ids: ReadonlyArray<string>) => ({ conduit: { constraints: { allowed_models: ids } } })
const outcomeOf = (id: unknown) =>
  eventually("the outcome", 15_000, async () => {
    const { json, status } = await request(`${conduit.url}/v1/decisions/${String(id)}`)
    return status === 200 && json.outcome !== null ? json.outcome : undefined
  })
const outcome = ({ headers }: Answered) => outcomeOf(headers["x-conduit-decision-id"])

describe("what an answer used", () => {
  it.each(forms)("costs what its provider bills, in the form of %s, whole and streamed", async (model, _, microUsd) => {
    for (const stream of [false, true]) {
      const { cost_usd } = await outcome(await ask({ model, stream }))
      assert.closeTo(cost_usd, microUsd / 1e6, 1e-12)
    }
  })

  it("counts thoughts that nobody counted", async () => {
    const streamed = await outcome(await ask({ model: "thinks", stream: true }))
    assert.deepInclude(streamed, { usage_estimated: true })
    assert.isAbove(streamed.output_tokens, 150)
  })

  it("costs what the model costs that answered, where another was asked", async () => {
    const told = await outcome(await ask({ model: "renamed" }))
    assert.deepInclude(told, { served_model: "dear" })
    assert.closeTo(told.cost_usd, (1000 * 50 + 100 * 200) / 1e6, 1e-12)
  })

  it("is estimated where its client left before the first token", async () => {
    const body = JSON.stringify({ ...chat("a question of some words"), model: "late", stream: true })
    const asking = Http.request(`${conduit.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", "content-length": Buffer.byteLength(body) },
      agent: false
    })
    asking.on("error", () => {})
    asking.end(body)
    await eventually("it is called", 10_000, () => (upstream.callsOf("late") > 0 ? true : undefined))
    asking.destroy()
    const { data } = await eventually("it is listed", 15_000, async () => {
      const { json } = await request(`${conduit.url}/v1/decisions?outcome=aborted&model=late`)
      return json.data.length > 0 ? json : undefined
    })
    assert.deepInclude(data[0].outcome, { kind: "aborted", usage_estimated: true })
    assert.isAbove(data[0].outcome.cost_usd, 0)
  })

  it("has no price that a limit of cost could be held against, where nobody states one", async () => {
    const limit = { conduit: { constraints: { max_cost_usd: 1, allowed_models: ["unpriced", "openai"] } } }
    assert.strictEqual((await ask(limit)).headers["x-conduit-model"], "openai")
    const alone = await ask({ conduit: { constraints: { max_cost_usd: 1, allowed_models: ["unpriced"] } } })
    assert.strictEqual(alone.status, 422)
    assert.deepInclude(alone.json.error.details.excluded, { model: "unpriced", excluded_by: "price_unknown" })
    assert.isNull((await outcome(await ask({ model: "unpriced" }))).cost_usd)
  })

  it("has a tier of service in OpenAI's words or none, for the client", async () => {
    for (const stream of [false, true]) assert.notInclude((await ask({ model: "odd", stream })).text, "turbo-x")
  })
})

describe("what a request is", () => {
  it("is measured as each model counts it", async () => {
    const long = { messages: [{ role: "user", content: "some words ".repeat(800) }], ...among("wordy", "roomy") }
    // By the estimate it fits; this model counts several times as much.
    assert.strictEqual((await ask({ ...long, max_tokens: 4000 })).headers["x-conduit-model"], "wordy")
    await eventually("its counts are known", 10_000, async () =>
      (await ask({ ...long, max_tokens: 4000 })).headers["x-conduit-model"] === "roomy" ? true : undefined
    )
  })

  it("needs tools for calls in its history, and none for an empty list; log probabilities by their name", async () => {
    assert.strictEqual((await ask({ ...among("plain", "roomy"), tools: [] })).headers["x-conduit-model"], "plain")
    const call = { id: "call_1", type: "function", function: { name: "f", arguments: "{}" } }
    const history = [
      { role: "user", content: "x" },
      { role: "assistant", content: null, tool_calls: [call] },
      { role: "tool", tool_call_id: "call_1", content: "7" }
    ]
    for (const needing of [{ messages: history }, { logprobs: true }]) {
      assert.strictEqual((await ask({ ...among("plain", "roomy"), ...needing })).headers["x-conduit-model"], "roomy")
    }
    const alone = await ask({ ...among("plain"), logprobs: true })
    assert.deepInclude(alone.json.error.details.excluded, { model: "plain", excluded_by: "capability:logprobs" })
  })
})

describe("an upstream's wait", () => {
  it("is read in milliseconds first, and told in whole seconds", async () => {
    const answer = await ask({ model: "hurried" })
    assert.deepStrictEqual([answer.status, answer.headers["retry-after"]], [503, "3"])
  })

  it("does not last as long as the body of its error", async () => {
    const answer = await ask(among("endless", "roomy"))
    assert.strictEqual(answer.headers["x-conduit-model"], "roomy")
    assert.strictEqual(upstream.callsOf("endless"), 1)
  })
})

describe("a client that never reads", () => {
  it("is cut some time after the deadline, and is in flight no longer", async () => {
    const body = JSON.stringify({ ...chat("x"), model: "torrent", stream: true })
    const { hostname, port } = new URL(conduit.url)
    const socket = Net.connect(Number(port), hostname, () => {
      socket.write(
        `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
      )
      socket.pause()
    })
    socket.on("error", () => {})
    const active = async () =>
      Number(/^conduit_requests_active (\d+)/m.exec((await request(`${conduit.url}/metrics`)).text)?.[1])
    await eventually("it is in flight", 10_000, async () => ((await active()) > 0 ? true : undefined))
    await eventually("it is not in flight", 30_000, async () => ((await active()) === 0 ? true : undefined), 200)
    socket.destroy()
  })
})
