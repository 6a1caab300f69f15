import { assert, describe, it } from "@effect/vitest"
import * as Http from "node:http"
import { chat, request } from "../support/conduit.ts"
import { query } from "../support/postgres.ts"
import { type Answering, error, refuses, startScripted } from "../support/scriptedUpstream.ts"
import { eventually } from "../support/traffic.ts"
import { sharedService } from "../support/sharedService.ts"

const price = { input: 3, cached: 0.3, written: 3.75, written1h: 6, output: 15, reasoning: 20 }
const tier = { above: 5000, input: 6, output: 22.5 }
/** What is served in it, whatever its length. */
const flex = { input: 1.5, cached: 0.15, written: 1.875, written1h: 3, output: 7.5, reasoning: 10 }

interface Counts {
  readonly fresh: number
  readonly cached: number
  readonly written: number
  readonly written1h: number
  readonly output: number
  readonly reasoning: number
  readonly isFlex: boolean
}

/** The upstream's own arithmetic. */
const bill = ({ cached, fresh, isFlex, output, reasoning, written, written1h }: Counts): number => {
  const isLong = fresh + cached + written + written1h > tier.above
  const rate = isFlex
    ? flex
    : isLong
      ? { ...price, ...tier, cached: tier.input, written: tier.input, written1h: tier.input, reasoning: tier.output }
      : price
  return (
    (fresh * rate.input +
      cached * rate.cached +
      written * rate.written +
      written1h * rate.written1h +
      (output - reasoning) * rate.output +
      reasoning * rate.reasoning) /
    1e6
  )
}

/** Each request has counts of its own, told in another form. */
const countsOf = (i: number): Counts => ({
  fresh: 100 + (i % 7) * 1300,
  cached: (i % 3) * 400,
  written: (i % 5) * 10,
  written1h: (i % 4) * 5,
  output: 50 + (i % 11),
  reasoning: i % 13,
  isFlex: i % 9 === 0
})
const forms: ReadonlyArray<(counts: Counts) => object> = [
  ({ cached, fresh, output, reasoning, written, written1h }) => ({
    prompt_tokens: fresh + cached + written + written1h,
    completion_tokens: output,
    total_tokens: fresh + cached + written + written1h + output,
    prompt_tokens_details: {
      cached_tokens: cached,
      cache_write_tokens: written + written1h,
      cache_write_tokens_details: { ephemeral_1h_tokens: written1h }
    },
    completion_tokens_details: { reasoning_tokens: reasoning }
  }),
  ({ cached, fresh, output, reasoning, written, written1h }) => ({
    input_tokens: fresh,
    cache_read_input_tokens: cached,
    cache_creation_input_tokens: written + written1h,
    cache_creation: { ephemeral_5m_input_tokens: written, ephemeral_1h_input_tokens: written1h },
    output_tokens: output,
    output_tokens_details: { thinking_tokens: reasoning }
  })
]

/** Of `ask`, twelve at a time. */
const requests = 1008
const kinds = ["whole", "stream", "cut", "left", "fallback", "refused"] as const

/** What was billed, by the number of the request. */
const billed = new Map<number, number>()

const answering: Answering = (response, { body, model }) => {
  const { i, kind } = JSON.parse(body.messages[0].content)
  const counts = countsOf(i)
  const isInside = i % 2 === 0
  const tiered = counts.isFlex ? { service_tier: "flex" } : {}
  const usage = { ...forms[i % forms.length]!(counts), ...(isInside ? tiered : {}) }
  const beside = isInside ? {} : tiered
  if (kind === "fallback" && model === "first")
    return refuses(503, error("overloaded"))(response, { body, model, headers: {} })
  if (kind === "refused") {
    billed.set(i, 0)
    return refuses(400, error("must be below 2", { param: "top_p" }))(response, { body, model, headers: {} })
  }
  billed.set(i, bill(counts))
  const head = { id: "c", created: 1, model, ...beside }
  if (body.stream !== true) {
    response.writeHead(200, { "content-type": "application/json" })
    const choices = [{ index: 0, message: { role: "assistant", content: "hello" }, finish_reason: "stop" }]
    response.end(JSON.stringify({ ...head, object: "chat.completion", choices, usage }))
    return
  }
  response.writeHead(200, { "content-type": "text/event-stream" })
  const chunk = (choices: ReadonlyArray<object>, more: object) =>
    response.write(`data: ${JSON.stringify({ ...head, object: "chat.completion.chunk", choices, ...more })}\n\n`)
  // Counted up to here, as some providers do in each chunk.
  chunk([{ index: 0, delta: { role: "assistant", content: "hello" }, finish_reason: null }], { usage })
  if (kind === "left") return
  if (kind === "cut") {
    response.socket?.destroySoon()
    return
  }
  chunk([{ index: 0, delta: {}, finish_reason: "stop" }], {})
  chunk([], { usage })
  response.end("data: [DONE]\n\n")
}

const { conduit, database } = sharedService(
  () => startScripted({ first: answering, second: answering }),
  (upstream) => {
    const rates = {
      inputUsdPerMTok: price.input,
      cachedInputUsdPerMTok: price.cached,
      cacheWriteUsdPerMTok: price.written,
      cacheWrite1hUsdPerMTok: price.written1h,
      outputUsdPerMTok: price.output,
      reasoningUsdPerMTok: price.reasoning,
      tiers: [{ aboveInputTokens: tier.above, inputUsdPerMTok: tier.input, outputUsdPerMTok: tier.output }],
      serviceTiers: {
        flex: {
          inputUsdPerMTok: flex.input,
          cachedInputUsdPerMTok: flex.cached,
          cacheWriteUsdPerMTok: flex.written,
          cacheWrite1hUsdPerMTok: flex.written1h,
          outputUsdPerMTok: flex.output,
          reasoningUsdPerMTok: flex.reasoning
        }
      }
    }
    return {
      configuration: JSON.stringify({
        providers: { local: { kind: "openai-compatible", baseUrl: upstream.url } },
        models: ["first", "second"].map((id) => ({ id, provider: "local", ...rates })),
        policy: { algorithm: "static" }
      })
    }
  }
)

const bodyOf = (i: number, kind: (typeof kinds)[number]) => ({
  ...chat(JSON.stringify({ i, kind })),
  stream: kind === "stream" || kind === "cut" || kind === "left",
  ...(kind === "fallback" ? {} : { conduit: { constraints: { allowed_models: ["second"] } } })
})

/** Reads until something has come, and leaves. */
const leave = (i: number): Promise<string> =>
  new Promise((resolve, reject) => {
    const body = JSON.stringify(bodyOf(i, "left"))
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) }
    const asking = Http.request(
      `${conduit.url}/v1/chat/completions`,
      { method: "POST", headers, agent: false },
      (response) => {
        response.on("error", () => {})
        response.once("data", () => {
          response.destroy()
          resolve(String(response.headers["x-conduit-decision-id"]))
        })
      }
    )
    asking.on("error", reject)
    asking.end(body)
  })

const ask = async (i: number): Promise<string> => {
  const kind = kinds[i % kinds.length]!
  if (kind === "left") return leave(i)
  const answer = await request(`${conduit.url}/v1/chat/completions`, { body: bodyOf(i, kind) }).catch(() => null)
  return String(answer?.headers["x-conduit-decision-id"] ?? "")
}

describe("what requests cost", () => {
  it("is to the last digit what the upstream billed: caches, tiers of both kinds, cuts, fallbacks, refusals, clients that leave", async () => {
    const ids = new Map<string, number>()
    for (let from = 0; from < requests; from += 12) {
      const numbers = Array.from({ length: 12 }, (_, k) => from + k)
      const made = await Promise.all(numbers.map(ask))
      made.forEach((id, k) => id !== "" && ids.set(id, from + k))
    }
    // A stream that is cut breaks the client's connection too: its decision is found by the others' absence.
    const rows = await eventually("all outcomes are stored", 60_000, async () => {
      const stored = await query<{ id: string; cost_usd: number | null; error: string | null }>(
        database.url,
        "SELECT id::text, cost_usd, error FROM decisions WHERE ok IS NOT NULL"
      )
      return stored.length === requests ? stored : undefined
    })
    const total = [...billed.values()].reduce((sum, usd) => sum + usd, 0)
    assert.strictEqual(billed.size, requests)
    for (const row of rows) {
      const i = ids.get(row.id)
      if (i !== undefined) assert.closeTo(row.cost_usd ?? 0, billed.get(i) ?? Number.NaN, 1e-12, `${i} ${row.error}`)
    }
    assert.isAbove(ids.size, requests * 0.8)
    assert.closeTo(
      rows.reduce((sum, { cost_usd }) => sum + (cost_usd ?? 0), 0),
      total,
      1e-9
    )
    const kept = await query<{ details: string }>(
      database.url,
      "SELECT details FROM decisions WHERE details LIKE '%cachedTokens%'"
    )
    assert.isAbove(kept.length, 100)
  })
})
