import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import { chat } from "../../../../src/domain/models/chat/Chat.ts"
import { converse } from "../../../../src/domain/models/converse/Converse.ts"
import { Collecting } from "../../../../src/domain/models/canonical/Event.ts"
import { anyModel, conversations } from "../../../support/conversations.ts"

const user = { role: "user", content: "hi" }
const asked = (body: Record<string, unknown>, upstream = "anthropic.claude-sonnet-4-5"): any => {
  const conversation = Either.getOrThrow(chat.readRequest({ messages: [user], ...body }))
  return Either.getOrThrow(converse.writeRequest(conversation, { ...anyModel, upstream }))
}

const textsIn = (value: unknown): ReadonlyArray<string> =>
  Array.isArray(value)
    ? value.flatMap(textsIn)
    : typeof value === "object" && value !== null
      ? Object.entries(value).flatMap(([name, inner]) =>
          name === "text" && typeof inner === "string" ? [inner] : textsIn(inner)
        )
      : []

describe("converse", () => {
  it("says every text, call and result of a conversation, in turns of the user and the assistant", () => {
    // An image by its address is none that Amazon takes.
    const sayable = conversations.map((conversation) => ({
      ...conversation,
      turns: conversation.turns.map((turn) => ({
        ...turn,
        parts: turn.parts.filter((part) => part.type !== "image" || part.source.type === "data")
      }))
    }))
    FastCheck.assert(
      FastCheck.property(sayable, (conversation) => {
        const { body } = Either.getOrThrow(converse.writeRequest(conversation, anyModel))
        const messages = body["messages"] as ReadonlyArray<any>
        messages.forEach(({ role }, i) => {
          if (i > 0) assert.notStrictEqual(role, messages[i - 1].role)
        })
        const blocks = messages.flatMap(({ content }) => content)
        const parts = conversation.turns.flatMap((turn) => turn.parts)
        const said = parts.flatMap((part) => (part.type === "text" && part.text.trim() !== "" ? [part.text] : []))
        for (const text of said) assert.include(textsIn(body), text)
        assert.deepStrictEqual(
          blocks.flatMap(({ toolUse }) => (toolUse === undefined ? [] : [[toolUse.toolUseId, toolUse.input]])),
          parts.flatMap((part) => (part.type === "call" ? [[part.id, JSON.parse(part.input)]] : []))
        )
        assert.deepStrictEqual(
          blocks.flatMap(({ toolResult }) => (toolResult === undefined ? [] : [toolResult.toolUseId])),
          parts.flatMap((part) => (part.type === "result" ? [part.callId] : []))
        )
      })
    )
  })

  it("puts a stream together as the whole answer", () => {
    const reader = converse.eventReader()
    const collecting = new Collecting()
    const delta = (contentBlockIndex: number, said: unknown) => ({
      contentBlockDelta: { contentBlockIndex, delta: said }
    })
    const events = [
      { messageStart: { role: "assistant" } },
      delta(0, { reasoningContent: { text: "h" } }),
      delta(0, { reasoningContent: { text: "m" } }),
      delta(0, { reasoningContent: { signature: "s" } }),
      { contentBlockStop: { contentBlockIndex: 0 } },
      delta(1, { reasoningContent: { redactedContent: "c2VhbA==" } }),
      delta(2, { text: "so" }),
      { contentBlockStop: { contentBlockIndex: 2 } },
      { contentBlockStart: { contentBlockIndex: 3, start: { toolUse: { toolUseId: "t", name: "f" } } } },
      delta(3, { toolUse: { input: '{"a":1}' } }),
      { contentBlockStop: { contentBlockIndex: 3 } },
      { messageStop: { stopReason: "tool_use" } },
      { metadata: { usage: { inputTokens: 1, outputTokens: 2, totalTokens: 3, cacheReadInputTokens: 4 } } }
    ]
    for (const event of events) for (const said of reader.read(JSON.stringify(event))) collecting.add(said)
    const whole = converse.readAnswer({
      output: {
        message: {
          content: [
            { reasoningContent: { reasoningText: { text: "hm", signature: "s" } } },
            { reasoningContent: { redactedContent: "c2VhbA==" } },
            { text: "so" },
            { toolUse: { toolUseId: "t", name: "f", input: { a: 1 } } }
          ]
        }
      },
      stopReason: "tool_use",
      usage: { inputTokens: 1, outputTokens: 2, totalTokens: 3, cacheReadInputTokens: 4 }
    })
    assert.deepStrictEqual(collecting.answer, whole)
    assert.deepInclude(whole.usage, { inputTokens: 5, cachedTokens: 4, outputTokens: 2 })
  })

  it("masks the model by what it lacks, and names what it leaves out", () => {
    const lacks = (body: Record<string, unknown>) =>
      Either.match(
        converse.writeRequest(Either.getOrThrow(chat.readRequest({ messages: [user], ...body })), anyModel),
        {
          onLeft: (unfit) => unfit.lacks,
          onRight: () => "nothing"
        }
      )
    const image = (url: string) => ({
      messages: [{ role: "user", content: [{ type: "image_url", image_url: { url } }] }]
    })
    assert.deepStrictEqual(
      [
        { n: 2 },
        { logprobs: true },
        { tools: [{ type: "retrieval" }] },
        image("https://images.example/a.png"),
        image("data:image/png;base64,AAAA")
      ].map(lacks),
      ["choices", "logprobs", "native_tools", "vision", "nothing"]
    )
    const { adjusted, body } = asked({ seed: 7, min_p: 0.1, user: "x", temperature: 1.4, top_p: 0.5, top_k: 3 })
    assert.deepStrictEqual([...adjusted].sort(), ["min_p->none", "seed->none", "top_p->none", "user->none"])
    assert.deepStrictEqual(body.inferenceConfig, { temperature: 1 })
    assert.deepStrictEqual(body.additionalModelRequestFields, { top_k: 3 })
    assert.include(asked({ top_k: 3 }, "amazon.nova-pro-v1:0").adjusted, "top_k->none")
  })

  it("marks what may be kept by points of its own", () => {
    const text = { type: "text", text: "long", cache_control: { type: "ephemeral", ttl: "1h" } }
    const { body } = asked({ messages: [{ role: "system", content: [text] }, user] })
    assert.deepStrictEqual(body.system, [{ text: "long" }, { cachePoint: { type: "default", ttl: "1h" } }])
  })
})
