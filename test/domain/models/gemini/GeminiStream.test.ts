import { assert, describe, it } from "@effect/vitest"
import { GeminiStream } from "../../../../src/domain/models/gemini/GeminiStream.ts"
import { upstreamProtocols } from "../../../../src/domain/models/Upstream.ts"
import { isAnswer } from "../../../../src/domain/models/WholeAnswer.ts"

const label = { id: "ours-1", model: "ours", createdSeconds: 1, withUsage: false }
const { gemini } = upstreamProtocols

const piece = (parts: string, more = "") =>
  `{"candidates": [{"content": {"parts": [${parts}],"role": "model"}${more},"index": 0}],"big":9007199254740993,"modelVersion": "gemini-x","responseId": "theirs"}`
const usage = `"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5},`
const last = piece('{"text": ""}', ',"finishReason": "STOP"').replace('"big"', `${usage}"big"`)
const pieces = [piece('{"text": "hel"}'), piece('{"text": "lo"}'), last]
const mended = (text: string) => text.replace('"gemini-x"', '"ours"').replace('"theirs"', '"ours-1"')

const reading = (payloads: ReadonlyArray<string>) => {
  const stream = new GeminiStream(label)
  for (const payload of payloads) stream.event(null, payload, 0)
  return stream
}

describe("GeminiStream", () => {
  it("passes every piece as it came, but for the answer's id and the model's name, the last behind the others", () => {
    const stream = reading(pieces)
    assert.isTrue(stream.isFinished)
    assert.strictEqual(stream.state, "open")
    stream.bodyEnd(null)
    assert.strictEqual(stream.state, "complete")
    assert.deepStrictEqual(stream.take(), pieces.slice(0, 2).map(mended))
    assert.strictEqual(stream.usageChunk, mended(last))
    assert.deepInclude(stream.said, { id: "theirs", finishReason: "STOP", servedModel: "gemini-x", characters: 5 })
    assert.deepInclude(stream.said.usage, { candidatesTokenCount: 2 })
  })

  it("is broken wherever it ends before its finish reason, and whole behind it", () => {
    for (let count = 0; count <= pieces.length; count++) {
      const stream = reading(pieces.slice(0, count))
      stream.bodyEnd(null)
      const { state } = stream
      assert.strictEqual(
        typeof state === "object" ? state.reason : state,
        count === 3 ? "complete" : count === 0 ? "bad_answer" : "cut"
      )
    }
  })

  it("is over a second behind its finish reason, though the body goes on, and what follows is told too", () => {
    const stream = reading([...pieces, last.replace('"STOP"', '"STOP","late":1')])
    assert.strictEqual(stream.graceUntilMs, 1000)
    stream.tick(1000)
    assert.strictEqual(stream.state, "complete")
    assert.lengthOf(stream.take(), 3)
    assert.include(stream.usageChunk, "late")
  })

  it("is whole and refused where the prompt was, and a filter's end is an answer", () => {
    const blocked = reading([`{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},"responseId":"x"}`])
    blocked.bodyEnd(null)
    assert.strictEqual(blocked.state, "complete")
    assert.deepInclude(blocked.said, { isRefusal: true, finishReason: "PROHIBITED_CONTENT" })
    const filtered = gemini.readAnswer(`{"candidates":[{"finishReason":"SAFETY"}]}`, label)
    assert.isTrue(isAnswer(filtered) && filtered.said.isRefusal)
  })

  it("is no answer where a call was malformed or nothing was said", () => {
    const malformed = `{"candidates":[{"content":{},"finishReason":"MALFORMED_FUNCTION_CALL","finishMessage":"bad call"}]}`
    const stream = reading([malformed])
    assert.deepInclude(stream.state, {
      reason: "bad_answer",
      detail: "the model ended by MALFORMED_FUNCTION_CALL: bad call"
    })
    const reasons = [malformed, `{"candidates":[{"finishReason":"STOP"}]}`, `{}`, `[]`].map((json) => {
      const read = gemini.readAnswer(json, label)
      return isAnswer(read) ? "answer" : read.reason
    })
    assert.deepStrictEqual(reasons, ["bad_answer", "empty", "bad_answer", "bad_answer"])
  })

  it("tells an error in the upstream's words", () => {
    const stream = reading([
      ...pieces.slice(0, 1),
      `{"error":{"code":503,"message":"overloaded","status":"UNAVAILABLE"}}`
    ])
    assert.deepInclude(stream.state, { reason: "reported", detail: "overloaded" })
  })

  it("reads a whole answer for a stream, a list of pieces, and a stream for a whole answer", () => {
    for (const json of [piece('{"text":"hello"}', ',"finishReason":"STOP"'), `[${pieces.join(",\r\n")}]`]) {
      const stream = new GeminiStream(label)
      assert.isTrue(gemini.streamWhole(json, stream, 0))
      assert.strictEqual(stream.state, "complete")
      assert.strictEqual(stream.said.characters, 5)
    }
    const whole = gemini.answerFromStream(
      pieces.map((data) => ({ name: null, data })),
      label,
      1
    )
    assert.isTrue(isAnswer(whole) && whole.said.characters === 5)
    assert.include(isAnswer(whole) ? whole.text : "", '"finishReason":"STOP"')
  })
})
