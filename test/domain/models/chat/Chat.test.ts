import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import { Collecting, eventsOf } from "../../../../src/domain/models/canonical/Event.ts"
import { chat } from "../../../../src/domain/models/chat/Chat.ts"
import { aboutOf, answers, anyModel, conversations, meaning } from "../../../support/conversations.ts"

const read = (body: Record<string, unknown>) => Either.getOrThrow(chat.readRequest(body))
const written = (body: Record<string, unknown>, toward = anyModel) =>
  Either.getOrThrow(chat.writeRequest(read(body), toward))

describe("chat", () => {
  it("says a conversation so that it is read as the same one", () => {
    FastCheck.assert(
      FastCheck.property(conversations, (conversation) => {
        const { adjusted, body } = Either.getOrThrow(chat.writeRequest(conversation, anyModel))
        assert.deepStrictEqual(adjusted, [])
        assert.deepStrictEqual(meaning(read(JSON.parse(JSON.stringify(body)))), meaning(conversation))
      })
    )
  })

  it("says an answer so that it is read as the same one", () => {
    FastCheck.assert(
      FastCheck.property(conversations, answers, (conversation, answer) => {
        const body = chat.writeAnswer(answer, aboutOf(conversation))
        const again = chat.readAnswer(JSON.parse(JSON.stringify(body)))
        // OpenAI has one word for a filter and for a model that declines.
        const reason = answer.stop.reason === "refusal" ? "filter" : answer.stop.reason
        assert.deepStrictEqual(again, { ...answer, stop: { ...answer.stop, reason } })
      })
    )
  })

  it("streams an answer so that it is read as the same one", () => {
    FastCheck.assert(
      FastCheck.property(conversations, answers, (conversation, answer) => {
        const asked = { ...conversation, more: { stream_options: { include_usage: true } } }
        const writer = chat.eventWriter(aboutOf(asked))
        const payloads = [...eventsOf(answer).flatMap((event) => writer.write(event)), ...writer.end(), writer.last()]
        const reader = chat.eventReader()
        const collecting = new Collecting()
        for (const payload of payloads) {
          if (payload !== null) for (const event of reader.read(payload)) collecting.add(event)
        }
        const reason = answer.stop.reason === "refusal" ? "filter" : answer.stop.reason
        const { parts, stop, usage } = collecting.answer
        assert.deepStrictEqual(parts, [...answer.parts])
        assert.deepStrictEqual(stop, { ...answer.stop, reason })
        assert.deepStrictEqual(usage, answer.usage)
      })
    )
  })

  it("keeps calls apart whose pieces come in turns", () => {
    const reader = chat.eventReader()
    const collecting = new Collecting()
    const chunk = (delta: unknown, finish: string | null = null) =>
      JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finish }] })
    const call = (index: number, more: object) => chunk({ tool_calls: [{ index, ...more }] })
    for (const payload of [
      chunk({ role: "assistant", content: "" }),
      call(0, { id: "a", type: "function", function: { name: "f", arguments: "" } }),
      call(1, { id: "b", type: "function", function: { name: "g", arguments: '{"' } }),
      call(0, { function: { arguments: '{"x":1}' } }),
      call(1, { function: { arguments: 'y":2}' } }),
      chunk({}, "tool_calls")
    ]) {
      for (const event of reader.read(payload)) collecting.add(event)
    }
    assert.deepStrictEqual(
      collecting.answer.parts.map((part) => (part.type === "call" ? [part.id, part.name, part.input] : part.type)),
      [
        ["a", "f", '{"x":1}'],
        ["b", "g", '{"y":2}']
      ]
    )
    assert.strictEqual(collecting.answer.stop.reason, "calls")
  })

  it("carries members that it does not know, and keeps those that others have no word for by their names", () => {
    const { more, unknown } = read({
      messages: [{ role: "user", content: "hi" }],
      seed: 7,
      min_p: 0.1,
      conduit: { task: "x" }
    })
    assert.deepStrictEqual([more, unknown], [{ seed: 7 }, { min_p: 0.1 }])
  })

  it("names the part of a request that is not in its form", () => {
    const wrong = (body: Record<string, unknown>) => {
      const found = chat.readRequest(body)
      return Either.isLeft(found) ? found.left.param : "fine"
    }
    const user = { role: "user", content: "hi" }
    assert.deepStrictEqual(
      [
        wrong({}),
        wrong({ messages: [user, { role: "wizard", content: "" }] }),
        wrong({ messages: [{ role: "user", content: [{ type: "text", text: 1 }] }] }),
        wrong({ messages: [user, { role: "tool", content: "x" }] }),
        wrong({ messages: [user], tools: [{ type: "function", function: {} }] })
      ],
      ["messages", "messages.1.role", "messages.0.content.0.text", "messages.1.tool_call_id", "tools.0.function.name"]
    )
  })

  it("asks a model for no more tokens than it can make, and says so", () => {
    const conversation = read({ messages: [{ role: "user", content: "hi" }], max_tokens: 64_000 })
    const { adjusted, body } = Either.getOrThrow(
      chat.writeRequest(conversation, { ...anyModel, maxOutputTokens: 8192 })
    )
    assert.deepStrictEqual([body["max_tokens"], adjusted], [8192, ["max_tokens->8192"]])
  })

  it("shows the images of a tool's result behind it, where a tool's message cannot have them", () => {
    const conversation = {
      ...read({ messages: [{ role: "user", content: "hi" }] }),
      turns: [
        {
          role: "user" as const,
          name: null,
          parts: [
            {
              type: "result" as const,
              callId: "call_1",
              isError: true,
              cache: null,
              parts: [
                { type: "text" as const, text: "a cat", cache: null },
                {
                  type: "image" as const,
                  source: { type: "data" as const, mediaType: "image/png", base64: "AAAA" },
                  detail: null,
                  cache: null
                }
              ]
            }
          ]
        }
      ]
    }
    const { body } = Either.getOrThrow(chat.writeRequest(conversation, anyModel))
    const messages = body["messages"] as ReadonlyArray<Record<string, unknown>>
    assert.deepStrictEqual(
      messages.map(({ role }) => role),
      ["tool", "user"]
    )
    assert.match(String(messages[0]?.["content"]), /^Error: a cat/)
    assert.include(JSON.stringify(messages[1]), "data:image/png;base64,AAAA")
  })

  it("keeps signed thoughts of a loop of tools for the upstream that signed them", () => {
    const details = [{ type: "reasoning.text", text: "hm", signature: "s", format: "anthropic-claude-v1", index: 0 }]
    const { turns } = read({
      messages: [
        { role: "user", content: "hi" },
        { role: "assistant", content: "so", reasoning_content: "hm", reasoning_details: details }
      ]
    })
    assert.deepStrictEqual(turns[1]?.parts[0], {
      type: "thinking",
      text: "hm",
      signature: "s",
      sealed: null,
      of: "messages"
    })
    assert.deepStrictEqual(
      written({
        messages: [
          { role: "user", content: "hi" },
          { role: "assistant", content: "so", reasoning_details: details }
        ]
      }).adjusted,
      ["thinking->none"]
    )
  })
})
