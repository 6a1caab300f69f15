import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as Net from "node:net"
import type { ScenarioName } from "../../src/domain/simulation/Scenario.ts"
import { type Answered, chat, request } from "../support/conduit.ts"
import { Completion, CompletionChunk } from "../support/openaiForm.ts"
import { startUpstream } from "../support/processMock.ts"
import { until } from "../support/traffic.ts"
import { sharedService } from "../support/sharedService.ts"

// What odd upstreams send, and what clients get: each line by the built service and `mock-llm` on real sockets.

const { conduit, upstream: mock } = sharedService(
  () => startUpstream(),
  (mock) => ({
    upstream: mock.url,
    models: [{ id: "odd" }, { id: "plain" }, { id: "hasty", firstByteTimeout: "1000ms", idleTimeout: "1.0 seconds" }],
    env: { CONDUIT_STREAM_KEEP_ALIVE: "300 millis" }
  })
)

const text = "one two three"
interface Asked {
  readonly stream?: boolean
  readonly fallback?: boolean
  readonly mock?: object
  readonly more?: object
  readonly seen?: (text: string) => void
}
/** Of model `odd`, which answers as the scenario says; with `fallback` the plain model may answer instead. */
const ask = (
  scenario: ScenarioName | null,
  { fallback = false, mock = {}, more = {}, seen, stream = true }: Asked = {}
) =>
  request(`${conduit.url}/v1/chat/completions`, {
    ...(seen === undefined ? {} : { seen }),
    body: chat("Say one two three", {
      model: "odd",
      ...(stream ? { stream, stream_options: { include_usage: true } } : {}),
      conduit: { fallback },
      mock: { text, only: "odd", ...(scenario === null ? {} : { scenario }), ...mock },
      ...more
    })
  })

const payloadsOf = ({ text }: Answered): ReadonlyArray<string> =>
  text.split("\n").flatMap((line) => (line.startsWith("data: ") ? [line.slice(6)] : []))
const chunksOf = (answer: Answered) =>
  payloadsOf(answer).flatMap((payload) => (payload === "[DONE]" ? [] : [JSON.parse(payload)]))
const contentOf = (answer: Answered) =>
  chunksOf(answer)
    .map((chunk) => chunk.choices?.[0]?.delta?.content ?? "")
    .join("")
const outcomeOf = async (answer: Answered) => {
  const id = String(answer.headers["x-conduit-decision-id"])
  const { json } = await request(`${conduit.url}/v1/decisions/${id}`)
  return json.outcome
}
const isWhole = (answer: Answered) => answer.complete && payloadsOf(answer).at(-1) === "[DONE]"

const assertGood = (answer: Answered, stream: boolean) => {
  assert.strictEqual(answer.status, 200, answer.text)
  if (stream) {
    assert.isTrue(isWhole(answer), answer.text)
    assert.strictEqual(contentOf(answer), text)
    for (const chunk of chunksOf(answer)) Schema.decodeUnknownSync(CompletionChunk)(chunk)
    assert.isTrue(chunksOf(answer).every(({ model }) => model === "odd"))
  } else {
    const { choices, model } = Schema.decodeUnknownSync(Completion)(answer.json)
    assert.deepStrictEqual([model, choices[0]?.message.content], ["odd", text])
  }
}
const assertBroken = (answer: Answered, message: string | RegExp) => {
  const lines = answer.text.split("\n")
  const at = lines.indexOf("event: error")
  assert.isAbove(at, 0, answer.text)
  const { error } = JSON.parse(lines[at - 1]?.slice(6) ?? "")
  assert.match(error.message, message instanceof RegExp ? message : new RegExp(message))
  assert.notInclude(answer.text, "[DONE]")
  assert.isFalse(answer.complete)
}

describe("the end of a stream", () => {
  it.each([
    ["no_done", "without [DONE] after its finish reason"],
    ["late_done", "with a [DONE] that comes three seconds late"],
    ["open_end", "whose body does not end after its finish reason, comments or not"],
    ["cut_after_finish", "whose connection breaks after its finish reason"],
    ["no_finish_done", "with [DONE] and no finish reason"],
    ["empty_finish", "whose finish reasons are empty until the last"]
  ] as const)("is right where it is %s: %s", async (...[scenario]) => {
    const { aborted } = mock.requests()
    const answer = scenario === "no_done" ? await ask(null, { mock: { fault: "no_done" } }) : await ask(scenario)
    assertGood(answer, true)
    // What goes on behind the finish reason is left, not waited for.
    if (scenario === "late_done" || scenario === "open_end") {
      await until("the upstream is left", () => mock.requests().aborted > aborted)
    }
    assert.deepInclude(await outcomeOf(answer), { ok: true })
  })

  it("is a failure without finish reason and [DONE], and where the body is cut", async () => {
    const unfinished = await ask("no_finish")
    assertBroken(unfinished, /finish reason/)
    assert.deepInclude(await outcomeOf(unfinished), { ok: false, error: "cut" })
    for (const how of ["cut_after", "end_after"]) assertBroken(await ask(null, { mock: { [how]: 500 } }), /cut/)
  })

  it("ends well where the answer was whole, and never else, wherever the bytes are cut", async () => {
    const bytes = Number((await ask("slow_body")).text.length)
    for (let most = 0; most < bytes + 400; most += 61) {
      for (const how of ["cut_after", "end_after"]) {
        const answer = await ask(null, { mock: { [how]: most } })
        if (answer.status !== 200) continue
        const hasFinish = chunksOf(answer).some((chunk) => chunk.choices?.[0]?.finish_reason != null)
        assert.strictEqual(isWhole(answer), hasFinish, `${how} ${most}`)
        assert.strictEqual(answer.text.includes("event: error"), !hasFinish)
      }
    }
  })

  it("says tool_calls where calls were streamed, whatever the upstream says", async () => {
    const tools = [{ type: "function", function: { name: "get_weather", parameters: { type: "object" } } }]
    for (const stream of [true, false]) {
      const answer = await ask("stop_for_tools", {
        stream,
        mock: { text: undefined },
        more: { tools, tool_choice: "required" }
      })
      const choices = stream ? chunksOf(answer).flatMap((chunk) => chunk.choices) : answer.json.choices
      assert.strictEqual(choices.at(-1).finish_reason, "tool_calls")
    }
  })
})

describe("an answer", () => {
  const forms: ReadonlyArray<ScenarioName> = [
    "heartbeats",
    "lean",
    "thinking_parts",
    "service_flex",
    "ill_typed",
    "eos",
    "error_null",
    "gzip",
    "deflate",
    "deflate_raw",
    "br",
    "bom",
    "text_plain",
    "capitals",
    "carriage_returns",
    "byte_by_byte",
    "slow_body",
    "other_form",
    "header_flood",
    "usage_null",
    "usage_running",
    "usage_on_finish",
    "usage_groq",
    "usage_cached",
    "big_numbers",
    "thinking"
  ]
  const wholeToo = (scenario: ScenarioName) => !["carriage_returns", "heartbeats", "thinking"].includes(scenario)
  it.each(forms)("is in OpenAI's form whatever the upstream sends: %s", async (scenario) => {
    assertGood(await ask(scenario), true)
    if (wholeToo(scenario)) assertGood(await ask(scenario, { stream: false }), false)
  })

  it("has the thoughts that came among the parts of its content beside it", async () => {
    const streamed = await ask("thinking_parts")
    assertGood(streamed, true)
    const thoughts = chunksOf(streamed).map((chunk) => chunk.choices?.[0]?.delta?.reasoning_content ?? "")
    assert.strictEqual(thoughts.join("").replaceAll("hm ", ""), "")
    assert.include(thoughts, "hm ")
    const whole = await ask("thinking_parts", { stream: false })
    assertGood(whole, false)
    assert.strictEqual(whole.json.choices[0].message.reasoning_content, "hm ")
  })

  it("names the tier in which it was served, and says where that has no price of its own", async () => {
    for (const stream of [true, false]) {
      const flex = await ask("service_flex", { stream })
      assertGood(flex, stream)
      assert.deepInclude(await outcomeOf(flex), { service_tier: "flex", service_tier_price_assumed: true })
      const plain = await ask(null, { stream })
      assert.deepInclude(await outcomeOf(plain), { service_tier: null, service_tier_price_assumed: false })
    }
  })

  it("says once that another model answers, and keeps its name in the decision", async () => {
    const answers = [await ask("served_other"), await ask("served_other", { stream: false })]
    for (const answer of answers) assert.strictEqual((await outcomeOf(answer)).served_model, "retired-model-2024")
    await conduit.logged("model odd is asked, and retired-model-2024 answers")
    const lines = conduit.lines.filter(({ message }) => String(message).includes("retired-model-2024"))
    assert.strictEqual(lines.length, 1)
    const metrics = await request(`${conduit.url}/metrics`)
    assert.match(metrics.text, /^conduit_served_by_other_total\{model="odd"\} 2$/m)
  })

  it("names the call as its upstream knows it", async () => {
    for (const stream of [true, false]) {
      const { headers } = await ask("request_id", { stream })
      assert.strictEqual(headers["x-conduit-upstream-request-id"], "req-upstream-1")
    }
  })

  it("keeps numbers, white space and escapes as they came", async () => {
    const odd = '"seed" : 9007199254740993, "x":[1.0, 1e400],"object"'
    for (const stream of [true, false]) assert.include((await ask("big_numbers", { stream })).text, odd)
  })

  it("may hold an event of 8 Mi characters", async () => {
    const answer = await ask("huge_event")
    assert.isTrue(isWhole(answer))
    assert.isAbove(contentOf(answer).length, 8 * 1024 * 1024)
  })

  it.each(["usage_running", "usage_on_finish", "usage_groq", "usage_null"] as const)(
    "tells its counts once, in the last chunk, and only to who asked: %s",
    async (scenario) => {
      const withCounts = chunksOf(await ask(scenario)).filter(({ usage }) => usage)
      assert.strictEqual(withCounts.length, 1)
      assert.deepStrictEqual(withCounts[0].choices, [])
      assert.isNumber(withCounts[0].conduit.cost_usd)
      const silent = await ask(scenario, { more: { stream_options: undefined } })
      assert.isTrue(chunksOf(silent).every((chunk) => !("usage" in chunk)))
    }
  )

  it("is a refusal where the model or a filter declines, passed on as it is", async () => {
    const refused = await ask("refusal", { stream: false })
    assert.strictEqual(refused.json.choices[0].message.refusal, "I cannot")
    const filtered = await ask("content_filter")
    assert.strictEqual(
      chunksOf(filtered).findLast(({ choices }) => choices.length > 0).choices[0].finish_reason,
      "content_filter"
    )
  })
})

const failures: ReadonlyArray<readonly [ScenarioName, string]> = [
  ["error", "the simulated upstream gave up"],
  ["error_text", "the simulated upstream gave up"],
  ["error_list", "the simulated upstream gave up"],
  ["error_flat", "the simulated upstream gave up"],
  ["error_detail", "the simulated upstream gave up"],
  ["error_groq", "the simulated upstream gave up"],
  ["error_spaced", "the simulated upstream gave up"],
  ["error_event", "the simulated upstream gave up"],
  ["error_beside", "the simulated upstream gave up"],
  ["error_finish", "the simulated upstream gave up"]
]

describe("an error inside an answer of 200", () => {
  it.each(failures)("breaks a stream in the upstream's own words, data line first: %s", async (scenario, message) => {
    const answer = await ask(scenario)
    assert.include(contentOf(answer), "one")
    assertBroken(answer, message)
    assert.deepInclude(await outcomeOf(answer), { ok: false })
  })

  it.each(failures)("is the next model's chance in a whole answer: %s", async (scenario) => {
    const answer = await ask(scenario, { stream: false, fallback: true })
    assert.strictEqual(answer.headers["x-conduit-model"], "plain")
    assert.strictEqual((await ask(scenario, { stream: false })).status >= 500, true)
  })
})

describe("an answer that says nothing", () => {
  it.each([true, false])("is the next model's chance, and 502 after the last (stream: %s)", async (stream) => {
    const answer = await ask("empty", { stream, fallback: true })
    assert.strictEqual(answer.headers["x-conduit-model"], "plain")
    assert.strictEqual((await ask("empty", { stream })).status, 502)
  })
})

describe("life in a stream", () => {
  it("is shown while an upstream is silent, before its first event and after, and falls back inside the stream", async () => {
    const thinking = await ask("thinking")
    assertGood(thinking, true)
    assert.match(thinking.text, /^(: keep-alive\n){2,}data: /)
    const answer = await ask(null, {
      mock: { gate: "life", gate_after: 3 },
      seen: (text) => {
        if (text.includes("\n\n: keep-alive\n")) mock.openGate("life")
      }
    })
    assertGood(answer, true)
    assert.match(answer.text, /\n\n(: keep-alive\n)+data: /)
    assert.notInclude(answer.text, ": keep-alive\n\n")
  })

  it("is not shown behind the last finish reason", async () => {
    const answer = await ask("open_end")
    assert.notMatch(answer.text, /"finish_reason":"stop"[^]*keep-alive/)
  })

  it("does not keep a client's place for ever: the connection of an HTTP/1.0 peer is reset when a stream breaks", async () => {
    const body = JSON.stringify(chat("x", { model: "odd", stream: true, mock: { text, scenario: "error" } }))
    const { hostname, port } = new URL(conduit.url)
    const end = await new Promise<string>((resolve) => {
      const socket = Net.connect(Number(port), hostname, () =>
        socket.write(
          `POST /v1/chat/completions HTTP/1.0\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
        )
      )
      socket.on("data", () => undefined)
      socket.on("end", () => resolve("FIN"))
      socket.on("error", (error: NodeJS.ErrnoException) => resolve(String(error.code)))
    })
    assert.strictEqual(end, "ECONNRESET")
  })
})

describe("an upstream that is silent", () => {
  const silent = (mock: object, more: object = {}) =>
    request(`${conduit.url}/v1/chat/completions`, {
      body: chat("hello", { model: "hasty", mock: { text, only: "hasty", ...mock }, ...more })
    })

  it("is given up after its firstByteTimeout, streamed or not, and the next model answers", async () => {
    for (const stream of [true, false]) {
      const late = await silent({ fault: "hang" }, { stream })
      // The stream has begun by then, to show that it lives.
      assert.strictEqual(late.status, stream ? 200 : 504)
      assert.include(late.text, "firstByteTimeout")
      const answer = await silent({ fault: "hang" }, { stream, conduit: { fallback: true } })
      assert.notStrictEqual(answer.headers["x-conduit-model"], "hasty")
      assert.strictEqual(answer.status, 200)
    }
  })

  it("is given up after its idleTimeout before the first token, and the next model answers", async () => {
    const late = await silent({ scenario: "silent_after_headers" }, { stream: true })
    assert.include(late.text, "idleTimeout")
    const answer = await silent({ scenario: "silent_after_headers" }, { stream: true, conduit: { fallback: true } })
    assert.isTrue(isWhole(answer))
  })

  it("breaks a stream after its idleTimeout, by name", async () => {
    assertBroken(await silent({ scenario: "silent_after_first" }, { stream: true }), "idleTimeout")
  })

  it("is not silent while it sends comments", async () => {
    assert.isTrue(isWhole(await silent({ scenario: "thinking" }, { stream: true })))
  })
})
