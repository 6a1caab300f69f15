import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import { ChatStream } from "../../../src/domain/models/ChatStream.ts"
import { type Label, mendAnswer, mendedAnswer } from "../../../src/domain/models/Form.ts"
import { isAnswer, readAnswer } from "../../../src/domain/models/WholeAnswer.ts"
import { jsonTexts } from "../../support/jsonTexts.ts"
import { Completion, CompletionChunk } from "../../support/openaiForm.ts"

const label: Label = { id: "chatcmpl-ours", model: "small", createdSeconds: 1770000000, withUsage: true }

const answerOf = (text: string) => {
  const read = readAnswer(text, label)
  if (!isAnswer(read)) throw new Error(`${read.reason}: ${text}`)
  return read.text
}

/** A member that is right, wrong in a way that upstreams are, or not there. */
const member = (name: string, right: string, ...wrong: ReadonlyArray<string>) =>
  FastCheck.constantFrom(right, right, ...wrong, null).map((json) => (json === null ? [] : [`"${name}":${json}`]))
const object = (...members: ReadonlyArray<FastCheck.Arbitrary<ReadonlyArray<string>>>) =>
  FastCheck.tuple(...members).map((all) => `{${all.flat().join(",")}}`)
const holding = (name: string, value: FastCheck.Arbitrary<string>) => value.map((json) => [`"${name}":${json}`])
const unknownMember = jsonTexts.map(({ text }) => [`"x_vendor":${text}`])

const call = (isChunk: boolean) =>
  object(
    member("index", "0", ...(isChunk ? ['"0"', "null"] : [])),
    member("id", '"call_1"', "null", '""', "7"),
    member("type", '"function"', "null"),
    holding("function", object(member("name", '"f"', "null"), member("arguments", '"{}"', '{"a": 1.0}', "null")))
  )
const calls = (isChunk: boolean) =>
  FastCheck.oneof(
    FastCheck.constant<ReadonlyArray<string>>([]),
    FastCheck.constantFrom(['"tool_calls":null'], ['"tool_calls":[]']),
    FastCheck.array(call(isChunk), { maxLength: 3 }).map((all) => [`"tool_calls":[${all.join(",")}]`])
  )
const message = (isChunk: boolean) =>
  object(
    member("role", '"assistant"', "null", '""', '"model"'),
    member("content", '"Hello"', "5", '[{"type":"text","text":"Hello"}]', "null"),
    calls(isChunk),
    holding("kept", FastCheck.constant('"something"'))
  )
const head = (kind: string) => [
  member("id", '"chatcmpl-1"', "12345678901234567890", "null", '""'),
  member("object", `"${kind}"`, '"other"', "null"),
  member("created", "1760000000", "1760000000.25", '"1760000000"', "null"),
  member("model", '"upstream"', "null"),
  member("service_tier", '"default"', '"on_demand"', "null"),
  member("error", "null"),
  member(
    "usage",
    '{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}',
    '{"prompt_tokens":1,"completion_tokens":"2"}',
    '{"prompt_tokens":1,"completion_tokens":2,"total_tokens":7.5}',
    "{}",
    "null"
  ),
  unknownMember
]
const finish = member("finish_reason", '"stop"', '"eos"', '""', "null", '"tool_use"')
const choicesOf = (choice: FastCheck.Arbitrary<string>) =>
  FastCheck.array(choice, { minLength: 1, maxLength: 3 }).map((all) => [`"choices":[${all.join(", ")}]`])

const answers = object(
  ...head("chat.completion"),
  choicesOf(object(member("index", "0", '"1"', "null"), holding("message", message(false)), finish))
)
const chunks = object(
  ...head("chat.completion.chunk"),
  choicesOf(object(member("index", "0", '"0"', "null"), holding("delta", message(true)), finish))
)

const right = {
  id: "chatcmpl-1",
  object: "chat.completion",
  created: 1760000000,
  model: "upstream",
  choices: [{ index: 0, message: { role: "assistant", content: "Hello" }, finish_reason: "stop" }],
  usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 }
}

/** With the names that the client knows. */
const named = (text: string) => text.replace('"chatcmpl-1"', '"chatcmpl-ours"').replace('"upstream"', '"small"')

describe("Form", () => {
  it("makes OpenAI's form of any lean or ill-typed answer, and keeps what it does not know", () => {
    const decode = Schema.decodeUnknownSync(Completion)
    FastCheck.assert(
      FastCheck.property(answers, (text) => {
        const mended = answerOf(text)
        assert.strictEqual(decode(JSON.parse(mended)).model, "small")
        const vendor = /"x_vendor":[^]*?(?=,"choices")/.exec(text)?.[0]
        assert.include(mended, vendor ?? "x_vendor")
      }),
      { numRuns: 500 }
    )
  })

  it("writes in one cut what the rules would, also where a member stands twice or under an escape", () => {
    const twice = FastCheck.constantFrom(
      "",
      '"id":"other",',
      '"model":"other",',
      '"mod\\u0065l":"other",',
      '"x":{"model":1},'
    )
    let cuts = 0
    FastCheck.assert(
      FastCheck.property(FastCheck.oneof(answers, FastCheck.constant(JSON.stringify(right))), twice, (answer, more) => {
        const text = answer.replace("{", () => ` { ${more}`)
        const body = JSON.parse(text)
        const mended = mendAnswer(text, body, label)
        assert.strictEqual(mended, mendedAnswer(text, 1, body, label))
        if (mended === named(text)) cuts++
      }),
      { numRuns: 2000 }
    )
    assert.isAbove(cuts, 100)
  })

  it("makes OpenAI's form of any lean or ill-typed chunk", () => {
    const decode = Schema.decodeUnknownSync(CompletionChunk)
    FastCheck.assert(
      FastCheck.property(FastCheck.array(chunks, { minLength: 1, maxLength: 4 }), (all) => {
        const chat = new ChatStream(label, 1)
        for (const text of all) chat.event(null, text, 0)
        const payloads = chat.take()
        assert.isAtLeast(payloads.length, all.length)
        for (const payload of payloads) {
          const { choices, model } = decode(JSON.parse(payload))
          assert.strictEqual(model, "small")
          for (const { delta } of choices) assert.isAtMost(delta.tool_calls?.length ?? 0, 1)
        }
      }),
      { numRuns: 500 }
    )
  })

  it("passes an answer in the form byte by byte but for its id and its model, whatever else it holds", () => {
    FastCheck.assert(
      FastCheck.property(jsonTexts, jsonTexts, ({ text: one }, { text: two }) => {
        const text = JSON.stringify(right)
          .replace('"index":0', () => `"logprobs":${one}, "index" : 0`)
          .replace('"model"', () => `"x_vendor":\n${two},"model"`)
        assert.strictEqual(answerOf(text), named(text))
      })
    )
  })

  it("puts thoughts among the parts of the content beside it, where clients look for them", () => {
    const thinking = {
      type: "thinking",
      thinking: [
        { type: "text", text: "Let me" },
        { type: "text", text: " see" }
      ]
    }
    const parts = [thinking, { type: "reference", reference_ids: [1] }, { type: "text", text: "Hello" }]
    const whole = { ...right, choices: [{ ...right.choices[0], message: { role: "assistant", content: parts } }] }
    const { message } = JSON.parse(answerOf(JSON.stringify(whole))).choices[0]
    assert.deepStrictEqual(message, { role: "assistant", content: "Hello", reasoning_content: "Let me see" })

    const chat = new ChatStream(label, 1)
    const delta = (content: unknown, more: object = {}) =>
      chat.event(null, JSON.stringify({ choices: [{ index: 0, delta: { content, ...more }, finish_reason: null }] }), 0)
    delta([thinking])
    delta([{ type: "text", text: "Hello" }])
    delta([{ type: "thinking", thinking: "again" }], { reasoning_content: "its own" })
    delta("!")
    const deltas = chat.take().map((payload) => JSON.parse(payload).choices[0].delta)
    assert.deepStrictEqual(deltas, [
      { role: "assistant", content: "", reasoning_content: "Let me see" },
      { content: "Hello" },
      { content: "", reasoning_content: "its own" },
      { content: "!" }
    ])
    assert.strictEqual(chat.said.characters, "Let me seeHelloagainits own!".length)
  })

  it("is not confused by names with escapes, or by names that are there twice", () => {
    const text = JSON.stringify(right).replace('"model"', '"model":"first","mod\\u0065l"')
    const mended = answerOf(text)
    assert.strictEqual(JSON.parse(mended).model, "small")
    assert.notInclude(mended, "first")
  })
})
