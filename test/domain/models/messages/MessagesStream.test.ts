import { assert, describe, it } from "@effect/vitest"
import { isAnswer } from "../../../../src/domain/models/WholeAnswer.ts"
import { MessagesStream } from "../../../../src/domain/models/messages/MessagesStream.ts"
import { upstreamProtocols } from "../../../../src/domain/models/Upstream.ts"

const label = { id: "msg_ours", model: "ours", createdSeconds: 1, withUsage: false }

const start = `{"type":"message_start","message":{"id":"msg_theirs","type":"message","role":"assistant","model":"claude","content":[],"usage":{"input_tokens":10,"cache_read_input_tokens":5,"output_tokens":1}}}`
const events = [
  start,
  `{"type": "content_block_start", "index":0,"content_block":{"type":"text","text":""}}`,
  `{"type":"ping"}`,
  `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hello"}}`,
  `{"type":"novelty","big":9007199254740993}`,
  `{"type":"content_block_stop","index":0}`,
  `{"type":"message_delta","delta":{"stop_reason":null},"usage":{"output_tokens":2}}`,
  `{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":3}}`,
  `{"type":"message_stop"}`
]

const reading = (payloads: ReadonlyArray<string>) => {
  const stream = new MessagesStream(label)
  for (const payload of payloads) stream.event(null, payload, 0)
  return stream
}

describe("MessagesStream", () => {
  it("passes every event as it came, but for its id, the model's name, heartbeats and the last counts, which follow", () => {
    const stream = reading(events)
    assert.strictEqual(stream.state, "complete")
    assert.deepStrictEqual(stream.take(), [
      start.replace('"model":"claude"', '"model":"ours"').replace("msg_theirs", "msg_ours"),
      ...events.slice(1, 2),
      ...events.slice(3, 7)
    ])
    assert.strictEqual(stream.usageChunk, events[7])
    assert.deepInclude(stream.said, {
      id: "msg_theirs",
      finishReason: "end_turn",
      servedModel: "claude",
      characters: 5
    })
    assert.deepInclude(stream.said.usage, { input_tokens: 10, cache_read_input_tokens: 5, output_tokens: 3 })
  })

  it("is broken wherever it ends before a stop reason, and whole behind it", () => {
    for (let count = 0; count <= events.length; count++) {
      const stream = reading(events.slice(0, count))
      stream.bodyEnd(null)
      const { state } = stream
      const isWhole = count >= 8
      assert.strictEqual(
        typeof state === "object" ? state.reason : state,
        isWhole ? "complete" : count === 0 ? "bad_answer" : "cut"
      )
    }
  })

  it("is over a second behind its stop reason, though the body goes on", () => {
    const stream = reading(events.slice(0, 8))
    assert.strictEqual(stream.graceUntilMs, 1000)
    stream.tick(999)
    assert.strictEqual(stream.state, "open")
    stream.tick(1000)
    assert.strictEqual(stream.state, "complete")
  })

  it("keeps everything back until there is something to say, and tells an error in the upstream's words", () => {
    const stream = reading(events.slice(0, 3))
    assert.isFalse(stream.isReady)
    stream.event("error", `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`, 0)
    assert.deepInclude(stream.state, { reason: "reported", detail: "Overloaded" })
  })

  it("is empty where it ends by itself without a word", () => {
    const silent = reading([
      `{"type":"message_start","message":{}}`,
      `{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":0}}`,
      `{"type":"message_stop"}`
    ])
    assert.deepInclude(silent.state, { reason: "empty" })
  })

  it("puts a message together where a stream came instead, and a stream where a message came", () => {
    const { messages } = upstreamProtocols
    const whole = messages.answerFromStream(
      events.map((data) => ({ name: null, data })),
      label,
      1
    )
    if (!isAnswer(whole)) return assert.fail(whole.detail)
    const message = JSON.parse(whole.text)
    assert.deepInclude(message, { id: "msg_ours", model: "ours", stop_reason: "end_turn" })
    assert.deepInclude(message.content[0], { type: "text", text: "hello" })
    assert.deepInclude(whole.said, { servedModel: "claude" })

    const stream = messages.stream(label, 1)
    assert.isTrue(messages.streamWhole(whole.text, stream, 0))
    assert.strictEqual(stream.state, "complete")
    const types = stream.take().map((payload) => JSON.parse(payload).type)
    assert.deepStrictEqual(types, ["message_start", "content_block_start", "content_block_delta", "content_block_stop"])
    assert.strictEqual(stream.said.characters, 5)
  })

  it("takes thoughts that nobody signed out of what an upstream would check", () => {
    const { requestText } = upstreamProtocols.messages
    const signed = { type: "thinking", thinking: "a", signature: "theirs" }
    const unsigned = { type: "thinking", thinking: "b", signature: "conduit-unsigned" }
    const text = { type: "text", text: "so" }
    const body = { model: "x", messages: [{ role: "assistant", content: [signed, unsigned, text] }] }
    const sent = JSON.parse(requestText(body, { upstream: "claude", stream: false, asksForUsage: true }))
    assert.deepStrictEqual(sent, { model: "claude", messages: [{ role: "assistant", content: [signed, text] }] })
  })
})
