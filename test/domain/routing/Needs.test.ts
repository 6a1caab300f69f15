import { assert, describe, it } from "@effect/vitest"
import type { Capability } from "../../../src/domain/routing/Capability.ts"
import { needsOf } from "../../../src/domain/routing/Needs.ts"
import { textTokens } from "../../../src/domain/routing/Tokens.ts"

const user = (content: unknown) => ({ messages: [{ role: "user", content }] })
const needs = (body: object) => needsOf({ ...user("hello"), ...body }).capabilities

describe("what a request needs", () => {
  it.each([
    ["an image anywhere in the history", user([{ type: "image_url", image_url: { url: "data:," } }]), ["vision"]],
    ["audio", user([{ type: "input_audio", input_audio: { data: "", format: "wav" } }]), ["audio"]],
    ["a file", user([{ type: "file", file: { file_data: "" } }]), ["files"]],
    ["tools", { tools: [{ type: "function", function: { name: "f" } }] }, ["tools"]],
    [
      "a history with calls, without tools",
      {
        messages: [
          { role: "assistant", tool_calls: [{ id: "c" }] },
          { role: "tool", content: "x" }
        ]
      },
      ["tools"]
    ],
    ["a schema", { response_format: { type: "json_schema", json_schema: { name: "x", schema: {} } } }, ["json_schema"]],
    ["reasoning", { reasoning_effort: "low" }, ["reasoning"]],
    ["logprobs", { logprobs: true }, ["logprobs"]],
    ["several answers", { n: 2 }, ["choices"]],
    ["one answer", { n: 1 }, []],
    ["an empty list of tools", { tools: [] }, []],
    [
      "nothing",
      { response_format: { type: "json_object" }, logprobs: false, reasoning_effort: "none", tools: null },
      []
    ],
    ["nothing that makes no sense", { messages: "x", tools: 1, modalities: 2 }, []]
  ] as ReadonlyArray<readonly [string, object, ReadonlyArray<Capability>]>)(
    "is read from the body: %s",
    (_, body, expected) => {
      assert.deepStrictEqual(needs(body), expected)
    }
  )

  // Counted by gpt-tokenizer's o200k_base.
  it.each([
    ["English", "The quick brown fox jumps over the lazy dog and then it sleeps for a while in the sun. ", 50, 1001],
    [
      "German",
      "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft begabt. ",
      20,
      461
    ],
    [
      "Russian",
      "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему. ",
      20,
      501
    ],
    ["Arabic", "كل البشر يولدون أحرارا ومتساوين في الكرامة والحقوق ", 20, 341],
    ["Hindi", "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता ", 20, 362],
    ["Chinese", "今天天气很好我们去公园散步吧人工智能正在改变世界各国的经济", 30, 600],
    ["Japanese", "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。", 30, 960],
    ["Korean", "대한민국의 모든 권력은 국민으로부터 나온다 주권은 국민에게 있고", 30, 540],
    ["digits", "3141592653589793238462643383279502884197 ", 20, 300],
    ["emoji", "😀🎉🚀", 100, 500]
  ])("counts %s within a fifth", (_, text, times, counted) => {
    assert.approximately(textTokens(text.repeat(times)), counted, counted / 5)
  })

  it("counts base64, which has a token for one and a half characters, within a fifth", () => {
    const bytes = Buffer.from(Array.from({ length: 6000 }, (_, i) => (i * 7919 + ((i * i) % 251)) % 256))
    assert.approximately(textTokens(bytes.toString("base64")), 5429, 5429 / 5)
  })

  it("measures a long text at a few places, near to what it would count in all of it", () => {
    const mixed = 'plain words, 12345 and {"json": [1, 2]} '
    const short = textTokens(mixed.repeat(300))
    assert.approximately(textTokens(mixed.repeat(30_000)) / 100, short, short * 0.05)
  })

  it("counts all that is sent: earlier calls, tools, parts", () => {
    const of = (body: object) => needsOf(body as Record<string, unknown>).inputTokens
    const bare = of(user("hello"))
    const calls = [{ id: "c", type: "function", function: { name: "f", arguments: "x ".repeat(40_000) } }]
    assert.isAbove(of({ messages: [...user("hello").messages, { role: "assistant", tool_calls: calls }] }), 10_000)
    assert.isAbove(
      of({ ...user("hello"), tools: [{ type: "function", function: { description: "x ".repeat(1000) } }] }),
      bare + 300
    )
    assert.isAbove(
      of(user([{ type: "image_url", image_url: { url: `data:image/png;base64,${"A".repeat(100_000)}` } }])),
      bare + 500
    )
    assert.isBelow(
      of(user([{ type: "image_url", image_url: { url: `data:image/png;base64,${"A".repeat(100_000)}` } }])),
      2000
    )
  })
})
