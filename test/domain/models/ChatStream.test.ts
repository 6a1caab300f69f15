import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { ChatStream } from "../../../src/domain/models/ChatStream.ts"
import { graceMs } from "../../../src/domain/models/AnswerStream.ts"
import type { Label } from "../../../src/domain/models/Form.ts"
import { answerFromStream } from "../../../src/domain/models/WholeFromStream.ts"
import { SseParser } from "../../../src/layers/models/SseParser.ts"
import { Completion, CompletionChunk } from "../../support/openaiForm.ts"
import { recordedStreams } from "../../support/recordedStreams.ts"

const label: Label = { id: "chatcmpl-ours", model: "small", createdSeconds: 1770000000, withUsage: true }
const decodeChunk = Schema.decodeUnknownSync(CompletionChunk)

/** Everything that comes of these bytes, and of their end. */
const read = (bytes: Uint8Array, detail: string | null, step = bytes.length) => {
  const chat = new ChatStream(label, 1)
  const parser = new SseParser(1_000_000)
  const payloads: Array<string> = []
  for (let at = 0; at < bytes.length; at += step) {
    for (const { data, name } of parser.push(bytes.subarray(at, at + step)) ?? []) chat.event(name, data, 0)
    payloads.push(...chat.take())
  }
  const last = parser.end()
  if (last !== null) chat.event(last.name, last.data, 0)
  chat.bodyEnd(detail)
  payloads.push(...chat.take())
  return { chat, payloads }
}

/** Whether these bytes hold a whole answer: the end, or a finish reason, said in full. */
const isWhole = (text: string): boolean =>
  text.split(/\r\n|\n/).some((line) => {
    const data = line.startsWith("data: ") ? line.slice(6) : ""
    if (data === "[DONE]") return true
    try {
      return Boolean(JSON.parse(data).choices?.[0]?.finish_reason)
    } catch {
      return false
    }
  })

/** With the names that the client knows. */
const named = (text: string) => text.replace('"id":"x"', '"id":"chatcmpl-ours"').replace('"up"', '"small"')

const feed = (...payloads: ReadonlyArray<unknown>) => {
  const chat = new ChatStream(label, 1)
  for (const one of payloads) chat.event(null, typeof one === "string" ? one : JSON.stringify(one), 0)
  return chat
}
const delta = (content: string, finish: unknown = null) => ({
  choices: [{ delta: { content }, finish_reason: finish }]
})
const reasonOf = ({ state }: ChatStream) => (typeof state === "object" ? state.reason : state)

describe("ChatStream", () => {
  it.each(Object.entries(recordedStreams))(
    "ends well where the answer was whole, and never else, wherever the stream of %s is cut",
    (_, { stream, text }) => {
      const bytes = new TextEncoder().encode(stream)
      const whole = read(bytes, null).payloads
      const contents = whole.map((payload) => JSON.parse(payload).choices[0]?.delta.content ?? "")
      assert.strictEqual(contents.join(""), text)
      for (let end = 0; end <= bytes.length; end++) {
        const cut = bytes.subarray(0, end)
        const expected = isWhole(new TextDecoder().decode(cut))
        for (const detail of [null, "ECONNRESET"]) {
          const { chat, payloads } = read(cut, detail)
          assert.strictEqual(chat.state === "complete", expected, `${end} ${reasonOf(chat)}`)
          assert.deepStrictEqual(payloads, whole.slice(0, payloads.length))
        }
      }
    }
  )

  it.each(Object.entries(recordedStreams))(
    "brings the chunks of %s into OpenAI's form, counts last",
    (_, { stream }) => {
      const { chat, payloads } = read(new TextEncoder().encode(stream), null, 7)
      const chunks = payloads.map((payload) => decodeChunk(JSON.parse(payload)))
      assert.isTrue(chunks.every((chunk) => chunk.model === "small" && !chunk.usage))
      const counts = chat.usageChunk
      if (stream.includes("prompt_tokens")) {
        assert.deepInclude(decodeChunk(JSON.parse(counts ?? "")).usage, { prompt_tokens: 9, completion_tokens: 3 })
      } else assert.isNull(counts)
    }
  )

  it.each(Object.entries(recordedStreams))("makes a whole answer of the stream of %s", (_, { stream, text }) => {
    const parser = new SseParser(1_000_000)
    const read = answerFromStream(parser.push(new TextEncoder().encode(stream)) ?? [], label, 1)
    const answer = Schema.decodeUnknownSync(Completion)(JSON.parse("text" in read ? read.text : read.detail))
    const [choice] = answer.choices
    assert.strictEqual(choice?.message.content ?? "", text)
    if (text === "") {
      assert.strictEqual(choice?.finish_reason, "tool_calls")
      for (const call of choice?.message.tool_calls ?? []) JSON.parse(call.function?.arguments ?? "")
    }
  })

  it("passes chunks in OpenAI's form byte by byte, but for the id and the model", () => {
    const odd =
      '{ "id":"x","object":"chat.completion.chunk", "created":1,"model":"up","choices":[ {"index":0,"delta":{"role":"assistant","content":"A\\u00e9\\/"},"logprobs":{"n":9007199254740993},"finish_reason":null}],"z":1.0,"e":1e400 }'
    const again = odd.replace('"role":"assistant",', "").replace("A\\u00e9\\/", 'quote \\" here')
    const third = again.replace("quote", "third")
    const chat = feed(odd, again, third)
    assert.deepStrictEqual(
      chat.take(),
      [odd, again, third].map((text) => named(text))
    )
    assert.strictEqual(chat.said.characters, 3 + 12 + 12)
  })

  it("passes chunks byte by byte that differ in their text and OpenAI's noise only", () => {
    const chunk = (text: string, noise: string) =>
      `{"id":"x","object":"chat.completion.chunk","created":1,"model":"up","choices":[{"index":0,"delta":{"content":"${text}"},"finish_reason":null}],"n":1.0,"obfuscation":"${noise}"}`
    const first = chunk("", "a").replace('{"content":""}', '{"role":"assistant","content":""}')
    const all = [first, chunk("one", "b"), chunk("two", "cd"), chunk("\\n\\u00e9", ""), chunk("three", "e")]
    const chat = feed(...all)
    assert.deepStrictEqual(
      chat.take(),
      all.map((text) => named(text))
    )
    assert.strictEqual(chat.said.characters, 3 + 3 + 2 + 5)
    // Not JSON, though it begins and ends alike.
    const broken = feed(...all, chunk("a\n", "f"), chunk("\\x", "g"))
    assert.strictEqual(broken.take().length, all.length)
  })

  it("counts the characters of text, of reasoning and of the arguments of every call", () => {
    const chunk = (delta: object) =>
      JSON.stringify({
        id: "x",
        object: "chat.completion.chunk",
        created: 1,
        model: "up",
        choices: [{ index: 0, delta }]
      })
    const call = (index: number, called: object) => ({ index, function: called })
    const chat = feed(
      chunk({ role: "assistant", reasoning_content: "so" }),
      chunk({ content: "Yes" }),
      chunk({ tool_calls: [call(0, { name: "f", arguments: "" }), call(1, { name: "g", arguments: '{"a":' })] }),
      chunk({ tool_calls: [call(0, { arguments: "{}" }), call(1, { arguments: "1}" })] })
    )
    assert.strictEqual(chat.said.characters, 2 + 3 + 5 + 2 + 2)
  })

  it("is over a second after the last finish reason, when nothing but comments comes", () => {
    const chat = new ChatStream(label, 2)
    const finish = (index: number) =>
      JSON.stringify({ choices: [{ index, delta: { content: "a" }, finish_reason: "stop" }] })
    chat.event(null, finish(0), 500)
    assert.isNull(chat.graceUntilMs)
    chat.event(null, finish(1), 900)
    chat.event(null, JSON.stringify({ choices: [], usage: { prompt_tokens: 1, completion_tokens: 1 } }), 1500)
    assert.strictEqual(chat.graceUntilMs, 900 + graceMs)
    chat.tick(899 + graceMs)
    assert.strictEqual(chat.state, "open")
    chat.tick(900 + graceMs)
    assert.strictEqual(chat.state, "complete")
    assert.include(chat.usageChunk, '"total_tokens":2')
  })

  it("takes an empty finish reason for none", () => {
    const chat = feed(delta("a", ""), delta("b", "stop"), delta("", ""))
    assert.strictEqual(chat.said.finishReason, "stop")
    chat.bodyEnd(null)
    assert.strictEqual(chat.state, "complete")
    const cut = feed(delta("a", ""))
    cut.bodyEnd(null)
    assert.strictEqual(reasonOf(cut), "cut")
  })

  it("says tool_calls where calls were streamed and the upstream said stop", () => {
    const call = { choices: [{ delta: { tool_calls: [{ function: { name: "f", arguments: { a: 1.0 } } }] } }] }
    const chat = feed(call, delta("", "stop"), "[DONE]")
    const [first, last] = chat.take().map((payload) => decodeChunk(JSON.parse(payload)))
    assert.strictEqual(last?.choices[0]?.finish_reason, "tool_calls")
    assert.deepInclude(first?.choices[0]?.delta.tool_calls?.[0], { index: 0, type: "function" })
    assert.strictEqual(first?.choices[0]?.delta.tool_calls?.[0]?.function?.arguments, '{"a":1}')
    assert.strictEqual(chat.said.finishReason, "stop")
  })

  it("hands out one call a chunk where the upstream sends several, in order, with the finish reason behind the last", () => {
    const call = (id: string) => ({ id, type: "function", function: { name: "f", arguments: "{}" } })
    const whole = { role: "assistant", content: "Two", tool_calls: [call("a"), call("b")] }
    const chat = feed({ choices: [{ index: 0, delta: whole, finish_reason: "tool_calls" }] }, "[DONE]")
    const chunks = chat.take().map((payload) => decodeChunk(JSON.parse(payload)).choices[0])
    assert.deepStrictEqual(
      chunks.map((choice) => choice?.delta.tool_calls?.map(({ id, index }) => [index, id])),
      [[[0, "a"]], [[1, "b"]]]
    )
    assert.deepStrictEqual(
      chunks.map((choice) => choice?.finish_reason),
      [null, "tool_calls"]
    )
    assert.deepStrictEqual(
      chunks.map((choice) => choice?.delta.content),
      ["Two", undefined]
    )
    assert.strictEqual(chat.state, "complete")
  })

  it("adds the finish reason where [DONE] comes before one", () => {
    const chat = feed(delta("a"), "[DONE]")
    assert.strictEqual(JSON.parse(chat.take()[1] ?? "").choices[0].finish_reason, "stop")
  })

  it.each(["", "ping", "[]", "1", '{"type":"ping"}', "null"])("drops an event that is no chunk: %s", (heartbeat) => {
    const chat = feed(heartbeat, delta("a"), heartbeat, delta("b", "stop"), heartbeat, "[DONE]")
    assert.strictEqual(chat.take().length, 2)
    assert.strictEqual(chat.state, "complete")
  })

  it("drops an event of another name that is neither chunk nor error", () => {
    const chat = feed(delta("a"))
    chat.event("metadata", '{"detail":"of what","cost":1}', 0)
    chat.event("ping", "", 0)
    assert.strictEqual(chat.take().length, 1)
    assert.strictEqual(chat.state, "open")
  })

  const errors: ReadonlyArray<readonly [string | null, unknown]> = [
    [null, { error: { message: "overloaded" } }],
    [null, '  {\n "error": {"message":"overloaded"}}'],
    [null, { ...delta("b"), error: { message: "overloaded", code: 503 } }],
    [null, { choices: [{ delta: { content: "" }, finish_reason: "error", error: { message: "overloaded" } }] }],
    [null, { error: "overloaded" }],
    [null, [{ error: { message: "overloaded" } }]],
    [null, { object: "error", message: "overloaded", code: 500 }],
    [null, { ...delta("", "stop"), x_groq: { error: "overloaded" } }],
    ["error", { message: "overloaded" }],
    ["error", { detail: "overloaded" }],
    ["error", "overloaded"],
    ["error", { error: { message: "overloaded" } }]
  ]
  it.each(errors)(
    "hears of an error in any spelling, first or later, in the upstream's words: %s %j",
    (name, payload) => {
      for (const before of [[], [delta("a")]]) {
        const chat = feed(...before)
        chat.event(name, typeof payload === "string" ? payload : JSON.stringify(payload), 0)
        assert.strictEqual(reasonOf(chat), "reported")
        assert.strictEqual(typeof chat.state === "object" ? chat.state.error?.message : "", "overloaded")
        assert.strictEqual(chat.isOpened, before.length > 0)
      }
    }
  )

  it("hears of an answer that ends by an error which nobody explains", () => {
    assert.strictEqual(reasonOf(feed(delta("", "error"))), "reported")
  })

  it("leaves an error that is null out", () => {
    const chat = feed({ ...delta("a"), error: null })
    assert.notInclude(chat.take()[0], "error")
  })

  it("holds an answer back until it says something, and calls one empty that never does", () => {
    const role = { choices: [{ delta: { role: "assistant", content: "" } }] }
    const chat = feed(role)
    assert.isFalse(chat.isOpened)
    assert.deepStrictEqual(chat.take(), [])
    chat.event(null, JSON.stringify(delta("a")), 0)
    assert.strictEqual(chat.take().length, 2)
    assert.strictEqual(reasonOf(feed(role, delta("", "stop"), "[DONE]")), "empty")
    for (const word of ["length", "content_filter"]) {
      assert.strictEqual(reasonOf(feed(role, delta("", word), "[DONE]")), "complete")
    }
    const counted = { choices: [], usage: { prompt_tokens: 3, completion_tokens: 5 } }
    assert.strictEqual(reasonOf(feed(role, delta("", "stop"), counted, "[DONE]")), "complete")
  })

  it.each([
    { choices: [{ delta: { refusal: "I cannot" }, finish_reason: "stop" }] },
    { choices: [{ delta: {}, finish_reason: "content_filter" }] },
    { choices: [{ delta: { content: "a" }, finish_reason: "stop", stop_reason: "refusal" }] },
    { choices: [{ delta: { content: "a" }, finish_reason: "refusal" }] }
  ])("tells a refusal from an answer: %j", (chunk) => {
    const chat = feed(chunk, "[DONE]")
    assert.strictEqual(chat.state, "complete")
    assert.isTrue(chat.said.isRefusal)
    assert.isFalse(feed(delta("a", "stop"), "[DONE]").said.isRefusal)
  })

  it("says nothing of counts to a client that did not ask", () => {
    const chat = new ChatStream({ ...label, withUsage: false }, 1)
    chat.event(null, JSON.stringify({ ...delta("a"), usage: null }), 0)
    chat.event(null, JSON.stringify({ ...delta("", "stop"), usage: { prompt_tokens: 1, completion_tokens: 1 } }), 0)
    chat.event(null, JSON.stringify({ choices: [], usage: { prompt_tokens: 1, completion_tokens: 2 } }), 0)
    chat.event(null, "[DONE]", 0)
    assert.isTrue(chat.take().every((payload) => !payload.includes("usage")))
    assert.isNull(chat.usageChunk)
    assert.deepStrictEqual(chat.said.usage, { prompt_tokens: 1, completion_tokens: 2 })
  })
})
