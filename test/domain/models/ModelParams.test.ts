import { assert, describe, it } from "@effect/vitest"
import { answerLimit, type ModelParams, parametrised, paramsText } from "../../../src/domain/models/ModelParams.ts"
import { rememberSource, sourceOf } from "../../../src/domain/models/RequestText.ts"
import type { ProtocolName } from "../../../src/domain/models/canonical/Conversation.ts"

const claude = (upstream: string) => ({ upstream, abilities: {}, maxOutputTokens: 64_000 })
const plain = claude("some-model")
const all: ModelParams = { reasoning_effort: "high", max_tokens: 500, temperature: 0.2, verbosity: "low" }

const asked = (protocol: ProtocolName, body: object, params: ModelParams = all, toward = plain) => {
  const json = JSON.stringify(body)
  const parsed = JSON.parse(json)
  rememberSource(parsed, json)
  return parametrised(parsed, protocol, params, toward)
}

describe("ModelParams", () => {
  it("asks what the caller left open, in the caller's protocol", () => {
    assert.deepStrictEqual(asked("chat", { messages: [] }).body, { messages: [], ...all })
    assert.deepStrictEqual(asked("responses", { input: "hi", text: { format: { type: "text" } } }).body, {
      input: "hi",
      text: { format: { type: "text" }, verbosity: "low" },
      reasoning: { effort: "high" },
      max_output_tokens: 500,
      temperature: 0.2
    })
    assert.deepStrictEqual(asked("messages", { messages: [] }, { max_tokens: 500, temperature: 0.2 }).body, {
      messages: [],
      max_tokens: 500,
      temperature: 0.2
    })
  })

  it("leaves what the caller says, whatever it calls it, and says what it added", () => {
    for (const [protocol, body] of [
      ["chat", { reasoning_effort: "low", max_completion_tokens: 9, temperature: 0, verbosity: "high" }],
      ["chat", { reasoning: { effort: "low" }, max_tokens: 9, temperature: 0, verbosity: "high" }],
      ["responses", { reasoning: { effort: "low" }, max_output_tokens: 9, temperature: 0, text: { verbosity: "low" } }],
      ["messages", { thinking: { type: "disabled" }, max_tokens: 9, temperature: 0 }],
      ["messages", { output_config: { effort: "low" }, max_tokens: 9, top_p: 0.5 }]
    ] as const) {
      const { added, body: same } = asked(protocol, body)
      assert.deepStrictEqual(same, body)
      assert.isNull(added)
    }
    assert.deepStrictEqual(asked("chat", { temperature: 0, max_tokens: null }).added, {
      max_tokens: 500,
      reasoning_effort: "high",
      verbosity: "low"
    })
  })

  it("leaves every other byte as it came", () => {
    const json = '{ "seed" : 9007199254740993,\n "messages":[ ], "temperature": 1.0 }'
    const body = JSON.parse(json)
    rememberSource(body, json)
    const { body: merged } = parametrised(body, "chat", all, plain)
    assert.strictEqual(
      sourceOf(merged),
      json.replace("{", '{"max_tokens":500,"reasoning_effort":"high","verbosity":"low",')
    )
  })

  it("lets Claude think by its budget or by its effort, and never where Anthropic forbids it", () => {
    const effort = { reasoning_effort: "low", temperature: 0.2 }
    const budgeted = asked("messages", { max_tokens: 8000, messages: [] }, effort, claude("claude-sonnet-4-5")).body
    assert.deepStrictEqual(budgeted, {
      max_tokens: 8000,
      messages: [],
      thinking: { type: "enabled", budget_tokens: 4096 }
    })
    const guided = asked("messages", { max_tokens: 8000, messages: [] }, effort, claude("claude-opus-4-7")).body
    assert.deepInclude(guided, { thinking: { type: "adaptive" }, output_config: { effort: "low" } })
    const result = [{ role: "user", content: [{ type: "tool_result", tool_use_id: "a", content: "1" }] }]
    const call = { type: "tool_use", id: "a", name: "f", input: {} }
    const thought = { type: "thinking", thinking: "hm", signature: "s" }
    const loop = (content: ReadonlyArray<object>) => [{ role: "assistant", content }, ...result]
    for (const body of [
      { tool_choice: { type: "any" } },
      { tool_choice: { type: "tool", name: "f" } },
      { temperature: 0.5 },
      { top_k: 5 },
      { messages: loop([call]) }
    ]) {
      assert.deepStrictEqual(asked("messages", { max_tokens: 8000, ...body }, { reasoning_effort: "low" }).added, null)
    }
    const going = { max_tokens: 8000, messages: loop([thought, call]) }
    assert.isNotNull(asked("messages", going, { reasoning_effort: "low" }).added)
    const cannot = { ...plain, abilities: { reasoning: { can: false, source: "families" } } } as const
    assert.isNull(asked("messages", { messages: [] }, { reasoning_effort: "low" }, cannot).added)
  })

  it("bounds an answer as the caller says, else as the entry does", () => {
    assert.strictEqual(answerLimit({ params: all }, 9), 9)
    assert.strictEqual(answerLimit({ params: all }, null), 500)
    assert.isNull(answerLimit({}, null))
    assert.strictEqual(paramsText({ reasoning_effort: "low", max_tokens: 9 }), "reasoning_effort low, max_tokens 9")
  })
})
