import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import { Collecting, eventsOf } from "../../../../src/domain/models/canonical/Event.ts"
import type { Conversation } from "../../../../src/domain/models/canonical/Conversation.ts"
import { chat } from "../../../../src/domain/models/chat/Chat.ts"
import { messages } from "../../../../src/domain/models/messages/Messages.ts"
import { aboutOf, answers, anyModel, conversations, meaning } from "../../../support/conversations.ts"

const again = (body: unknown) => Either.getOrThrow(messages.readRequest(JSON.parse(JSON.stringify(body))))
const user = { role: "user", content: "hi" }

/** A chat as an upstream of Anthropic's gets it. */
const asked = (body: Record<string, unknown>, toward: Partial<typeof anyModel> = {}) => {
  const conversation = Either.getOrThrow(chat.readRequest({ messages: [user], ...body }))
  return Either.getOrThrow(messages.writeRequest(conversation, { ...anyModel, ...toward }))
}

/** Anthropic has no names for schemas, takes no text that is white space, and closes every object. */
const asAnthropicHasIt = (conversation: Conversation) => {
  const { format, temperature, topP, turns, ...rest } = meaning(conversation)
  return {
    ...rest,
    parallelCalls: rest.toolChoice?.type === "none" ? null : rest.parallelCalls,
    stop: rest.stop.filter((one) => one.trim() !== ""),
    temperature,
    topP: temperature === null ? topP : null,
    format:
      format?.type === "schema"
        ? { ...format, name: null, strict: true, schema: { ...format.schema, additionalProperties: false } }
        : format,
    turns: turns
      .map((turn) => ({
        ...turn,
        parts: turn.parts
          .filter((part) => part.type !== "text" || part.text.trim() !== "")
          .map((part) =>
            part.type === "result"
              ? { ...part, parts: part.parts.filter((inner) => inner.type !== "text" || inner.text.trim() !== "") }
              : part
          )
      }))
      .filter(({ parts }) => parts.length > 0)
      // What follows of the same role is one message.
      .reduce<Array<Conversation["turns"][number]>>((merged, turn) => {
        const last = merged.at(-1)
        if (last?.role !== turn.role) return [...merged, turn]
        return [...merged.slice(0, -1), { ...last, parts: [...last.parts, ...turn.parts] }]
      }, [])
  }
}

describe("messages", () => {
  it("says a conversation so that it is read as the same one", () => {
    FastCheck.assert(
      FastCheck.property(conversations, (conversation) => {
        const { body } = Either.getOrThrow(messages.writeRequest(conversation, anyModel))
        const first = conversation.turns.find(({ role }) => role !== "system")
        const meant = asAnthropicHasIt(conversation)
        // One whose first words were white space begins with the assistant, which is not possible there.
        FastCheck.pre(meant.turns.find(({ role }) => role !== "system")?.role === first?.role)
        assert.deepStrictEqual(asAnthropicHasIt(again(body)), meant)
      })
    )
  })

  it("says an answer so that it is read as the same one", () => {
    FastCheck.assert(
      FastCheck.property(conversations, answers, (conversation, answer) => {
        const body = messages.writeAnswer(answer, aboutOf(conversation))
        assert.deepStrictEqual(messages.readAnswer(JSON.parse(JSON.stringify(body))), answer)
      })
    )
  })

  it("streams an answer so that it is read as the same one", () => {
    FastCheck.assert(
      FastCheck.property(conversations, answers, (conversation, answer) => {
        const writer = messages.eventWriter(aboutOf(conversation))
        const payloads = [...eventsOf(answer).flatMap((event) => writer.write(event)), ...writer.end(), writer.last()]
        const reader = messages.eventReader()
        const collecting = new Collecting()
        for (const payload of payloads) {
          if (payload !== null) for (const event of reader.read(payload)) collecting.add(event)
        }
        assert.deepStrictEqual(collecting.answer, answer)
      })
    )
  })

  it("writes one block after another where an upstream opens several at once", () => {
    const reader = chat.eventReader()
    const writer = messages.eventWriter(aboutOf(again({ messages: [user], max_tokens: 1 })))
    const call = (index: number, more: object) =>
      JSON.stringify({ choices: [{ index: 0, delta: { tool_calls: [{ index, ...more }] }, finish_reason: null }] })
    const payloads = [
      call(0, { id: "a", type: "function", function: { name: "f", arguments: "" } }),
      call(1, { id: "b", type: "function", function: { name: "g", arguments: '{"' } }),
      call(0, { function: { arguments: '{"x":1}' } }),
      call(1, { function: { arguments: 'y":2}' } }),
      JSON.stringify({ choices: [{ index: 0, delta: {}, finish_reason: "tool_calls" }] })
    ].flatMap((chunk) => reader.read(chunk).flatMap((event) => writer.write(event)))
    const told = [...payloads, ...writer.end(), writer.last()].map((payload) => JSON.parse(payload ?? "{}"))
    assert.deepStrictEqual(
      told.map(({ delta, index, type }) => [type, index, delta?.partial_json]),
      [
        ["message_start", undefined, undefined],
        ["content_block_start", 0, undefined],
        ["content_block_delta", 0, '{"x":1}'],
        ["content_block_stop", 0, undefined],
        ["content_block_start", 1, undefined],
        ["content_block_delta", 1, '{"'],
        ["content_block_delta", 1, 'y":2}'],
        ["content_block_stop", 1, undefined],
        ["message_delta", undefined, undefined]
      ]
    )
    assert.strictEqual(told.at(-1).delta.stop_reason, "tool_use")
  })

  it("counts what was cached outside of the fresh tokens, in a stream by the last count", () => {
    const reader = messages.eventReader()
    const collecting = new Collecting()
    const told = [
      {
        type: "message_start",
        message: {
          usage: { input_tokens: 10, cache_read_input_tokens: 100, cache_creation_input_tokens: 7, output_tokens: 1 }
        }
      },
      { type: "message_delta", delta: {}, usage: { output_tokens: 20 } },
      {
        type: "message_delta",
        delta: { stop_reason: "end_turn" },
        usage: { output_tokens: 30, cache_creation: { ephemeral_5m_input_tokens: 4, ephemeral_1h_input_tokens: 3 } }
      }
    ]
    for (const event of told) for (const said of reader.read(JSON.stringify(event))) collecting.add(said)
    const { usage } = collecting.answer
    assert.deepInclude(usage, {
      inputTokens: 117,
      cachedTokens: 100,
      writtenTokens: 4,
      written1hTokens: 3,
      outputTokens: 30
    })
  })

  describe("what it cannot say", () => {
    it("masks the model by what it lacks", () => {
      const lacks = (body: Record<string, unknown>) =>
        Either.match(
          messages.writeRequest(Either.getOrThrow(chat.readRequest({ messages: [user], ...body })), anyModel),
          { onLeft: (unfit) => unfit.lacks, onRight: () => "nothing" }
        )
      assert.deepStrictEqual(
        [
          { n: 2 },
          { logprobs: true },
          { modalities: ["text", "audio"] },
          { tools: [{ type: "retrieval" }] },
          { n: 1 }
        ].map(lacks),
        ["choices", "logprobs", "audio", "native_tools", "nothing"]
      )
    })

    it("names what it leaves out, and carries what no protocol knows", () => {
      const { adjusted, body } = asked({
        seed: 7,
        logit_bias: { 1: 2 },
        presence_penalty: 0,
        store: false,
        min_p: 0.1,
        temperature: 1.5,
        top_p: 0.5
      })
      assert.deepStrictEqual([...adjusted].sort(), ["logit_bias->none", "seed->none", "temperature->1", "top_p->none"])
      assert.deepStrictEqual([body["temperature"], body["top_p"], body["min_p"]], [1, undefined, 0.1])
    })

    it("says in words that an answer shall be JSON", () => {
      const { adjusted, body } = asked({ response_format: { type: "json_object" } })
      assert.deepStrictEqual(adjusted, ["response_format->system"])
      assert.match(JSON.stringify(body["system"]), /JSON object/)
    })
  })

  describe("thinking", () => {
    it("is asked for by a budget, or by an effort, as the model knows it", () => {
      const thinking = (upstream: string, body: Record<string, unknown>) => {
        const { adjusted, body: written } = asked({ max_tokens: 20_000, ...body }, { upstream })
        return [written["thinking"], written["output_config"], [...adjusted]]
      }
      assert.deepStrictEqual(
        [
          thinking("claude-sonnet-4-5-20250929", { reasoning_effort: "medium" }),
          thinking("claude-opus-4-6", { reasoning_effort: "medium" }),
          thinking("claude-3-7-sonnet-20250219", { reasoning_effort: "high" }),
          thinking("claude-haiku-4-5", { reasoning_effort: "low", max_tokens: 1000 }),
          thinking("claude-opus-5", { reasoning_effort: "none" })
        ],
        [
          [{ type: "enabled", budget_tokens: 10_240 }, undefined, []],
          [{ type: "adaptive" }, { effort: "medium" }, []],
          [{ type: "enabled", budget_tokens: 16_000 }, undefined, []],
          [undefined, undefined, ["reasoning_effort->none"]],
          [{ type: "disabled" }, undefined, []]
        ]
      )
    })

    it("is left out in a loop of tools that was begun without, and where a tool is forced", () => {
      const tools = [{ type: "function", function: { name: "f", parameters: { type: "object" } } }]
      const loop = [
        user,
        { role: "assistant", tool_calls: [{ id: "a", type: "function", function: { name: "f", arguments: "{}" } }] },
        { role: "tool", tool_call_id: "a", content: "1" }
      ]
      for (const body of [{ messages: loop }, { tool_choice: "required" }]) {
        const { adjusted, body: written } = asked({ ...body, tools, reasoning_effort: "high" })
        assert.deepStrictEqual([written["thinking"], adjusted], [undefined, ["reasoning_effort->none"]])
      }
    })

    it("goes back signed to who signed it, and unsigned to nobody", () => {
      const signed = { type: "thinking", thinking: "hm", signature: "sig" }
      const sealed = { type: "redacted_thinking", data: "xx" }
      const unsigned = { type: "thinking", thinking: "other", signature: "conduit-unsigned" }
      const conversation = again({
        max_tokens: 10,
        messages: [user, { role: "assistant", content: [signed, sealed, unsigned, { type: "text", text: "so" }] }, user]
      })
      const { adjusted, body } = Either.getOrThrow(messages.writeRequest(conversation, anyModel))
      const sent = body["messages"] as ReadonlyArray<Record<string, unknown>>
      assert.deepStrictEqual(sent[1]?.["content"], [signed, sealed, { type: "text", text: "so" }])
      assert.deepStrictEqual(adjusted, ["thinking->none"])
    })
  })

  it("keeps what Claude Code sends, and drops only the line for Anthropic's accounting", () => {
    const conversation = again({
      model: "auto",
      max_tokens: 32_000,
      system: [
        { type: "text", text: "x-anthropic-billing-header: cc_version=1" },
        { type: "text", text: "You are an agent.", cache_control: { type: "ephemeral" } }
      ],
      messages: [
        { role: "user", content: [{ type: "text", text: "go", cache_control: { type: "ephemeral", ttl: "1h" } }] },
        { role: "system", content: "a reminder" },
        { role: "assistant", content: [{ type: "tool_use", id: "toolu_1", name: "Read", input: { path: "a" } }] },
        {
          role: "user",
          content: [{ type: "tool_result", tool_use_id: "toolu_1", content: "no such file", is_error: true }]
        }
      ],
      context_management: { edits: [] },
      metadata: { user_id: "somebody" },
      thinking: { type: "adaptive" },
      output_config: { effort: "high" }
    })
    assert.deepStrictEqual(conversation.turns[0]?.parts, [
      { type: "text", text: "You are an agent.", cache: { ttl: null } }
    ])
    const { adjusted, body } = Either.getOrThrow(chat.writeRequest(conversation, anyModel))
    assert.deepStrictEqual(adjusted, ["context_management->none", "cache_control->none"])
    assert.deepStrictEqual(body["messages"], [
      { role: "system", content: "You are an agent." },
      { role: "user", content: "go" },
      { role: "system", content: "a reminder" },
      {
        role: "assistant",
        content: null,
        tool_calls: [{ id: "toolu_1", type: "function", function: { name: "Read", arguments: '{"path":"a"}' } }]
      },
      { role: "tool", tool_call_id: "toolu_1", content: "Error: no such file" }
    ])
  })
})
