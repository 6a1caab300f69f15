import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import type { Answer } from "../../../../src/domain/models/canonical/Answer.ts"
import type { Conversation } from "../../../../src/domain/models/canonical/Conversation.ts"
import { Collecting, eventsOf } from "../../../../src/domain/models/canonical/Event.ts"
import { chat } from "../../../../src/domain/models/chat/Chat.ts"
import { ResponsesEventWriter } from "../../../../src/domain/models/responses/Events.ts"
import { responses } from "../../../../src/domain/models/responses/Responses.ts"
import { aboutOf, answers, anyModel, conversations, meaning } from "../../../support/conversations.ts"

const read = (body: Record<string, unknown>) => Either.getOrThrow(responses.readRequest(body))
const asChat = (body: Record<string, unknown>, toward = anyModel): any =>
  Either.getOrThrow(chat.writeRequest(read(body), toward))
const refused = (body: Record<string, unknown>) => Either.getOrThrow(Either.flip(responses.readRequest(body)))

/** Responses have no stop sequences, and take no fewer than 16 tokens. */
const sayable = conversations.map((conversation) => ({
  ...conversation,
  stop: [],
  maxTokens: Math.max(16, conversation.maxTokens ?? 16)
}))

/** They are strict where nobody says. */
const told = (conversation: Conversation) => ({
  ...meaning(conversation),
  tools: conversation.tools.map((tool) => (tool.type === "function" ? { ...tool, strict: tool.strict ?? false } : tool))
})

/** They have no word for a model that declines in a text. */
const heard = ({ parts, stop, usage }: Answer): Answer => ({
  parts: [...parts],
  stop: { ...stop, reason: stop.reason === "refusal" ? "end" : stop.reason },
  usage
})

const typesOf = (payloads: ReadonlyArray<string | null>) =>
  payloads.flatMap((payload) => (payload === null ? [] : [JSON.parse(payload)]))

describe("responses", () => {
  it("says a conversation so that it is read as the same one", () => {
    FastCheck.assert(
      FastCheck.property(sayable, (conversation) => {
        const { adjusted, body } = Either.getOrThrow(responses.writeRequest(conversation, anyModel))
        assert.deepStrictEqual(adjusted, [])
        assert.deepStrictEqual(told(read(JSON.parse(JSON.stringify(body)))), told(conversation))
      })
    )
  })

  it("says an answer so that it is read as the same one", () => {
    FastCheck.assert(
      FastCheck.property(conversations, answers, (conversation, answer) => {
        const body = responses.writeAnswer(answer, aboutOf(conversation))
        // Whether calls or the limit ended it, Responses say by the status alone.
        assert.deepStrictEqual(responses.readAnswer(JSON.parse(JSON.stringify(body))), heard(answer))
      })
    )
  })

  it("streams an answer so that it is read as the same one, numbered, and as the whole one", () => {
    FastCheck.assert(
      FastCheck.property(conversations, answers, (conversation, answer) => {
        const about = aboutOf(conversation)
        const writer = responses.eventWriter(about)
        const payloads = [...eventsOf(answer).flatMap((event) => writer.write(event)), ...writer.end(), writer.last()]
        const events = typesOf(payloads)
        assert.deepStrictEqual(
          events.map((event) => event.sequence_number),
          events.map((_, i) => i)
        )
        assert.deepStrictEqual(events.at(-1).response, JSON.parse(JSON.stringify(responses.writeAnswer(answer, about))))
        const reader = responses.eventReader()
        const collecting = new Collecting()
        for (const payload of payloads) {
          if (payload !== null) for (const event of reader.read(payload)) collecting.add(event)
        }
        assert.deepStrictEqual(collecting.answer, heard(answer))
      })
    )
  })

  it("refuses what needs a store, and says why", () => {
    for (const [param, value] of [
      ["previous_response_id", "resp_1"],
      ["conversation", { id: "conv_1" }],
      ["background", true],
      ["prompt", { id: "pmpt_1" }]
    ] as const) {
      const unfit = refused({ input: "hello", [param]: value })
      assert.strictEqual(unfit.param, param)
      assert.include(unfit.detail, "not stored here")
    }
    assert.include(refused({ input: [{ type: "item_reference", id: "msg_1" }] }).detail, "send the item itself")
    assert.strictEqual(refused({ input: [{ role: "bystander", content: "x" }] }).param, "input.0.role")
    assert.strictEqual(refused({ input: 7 }).param, "input")
  })

  it("reads what clients send for nothing: null, and empty objects and lists", () => {
    const empty = read({
      input: "hello",
      instructions: "",
      reasoning: {},
      include: null,
      previous_response_id: null,
      store: false,
      metadata: {},
      text: {},
      tools: [],
      truncation: null,
      user: ""
    })
    const { adjusted, body } = Either.getOrThrow(chat.writeRequest(empty, anyModel))
    assert.deepStrictEqual(adjusted, [])
    assert.deepStrictEqual(body["messages"], [{ role: "user", content: "hello" }])
    assert.notProperty(body, "tools")
  })

  it("takes Codex's tools for a chat: groups by their names, the search left out with a word", () => {
    const tools = [
      { type: "function", name: "exec_command", description: "run", strict: false, parameters: { type: "object" } },
      {
        type: "namespace",
        name: "agents",
        description: "other agents",
        tools: [{ type: "function", name: "spawn", description: "one", strict: false, parameters: { type: "object" } }]
      },
      { type: "web_search", external_web_access: false }
    ]
    const input = [
      { type: "message", id: "msg_1", role: "developer", content: [{ type: "input_text", text: "be brief" }] },
      { type: "message", id: "msg_2", role: "user", content: [{ type: "input_text", text: "go" }] },
      { type: "function_call", id: "fc_1", call_id: "call_1", namespace: "agents", name: "spawn", arguments: "{}" },
      { type: "function_call_output", id: "fco_1", call_id: "call_1", output: "done" }
    ]
    const request = { tools, input, client_metadata: { thread_id: "1" }, include: ["reasoning.encrypted_content"] }
    const { adjusted, body } = asChat(request)
    assert.deepStrictEqual(adjusted, ["tools.web_search->none"])
    assert.deepStrictEqual(
      body.tools.map((tool: any) => tool.function.name),
      ["exec_command", "agents__spawn"]
    )
    assert.notProperty(body, "client_metadata")
    assert.deepStrictEqual(body.messages.slice(2), [
      {
        role: "assistant",
        content: null,
        tool_calls: [{ id: "call_1", type: "function", function: { name: "agents__spawn", arguments: "{}" } }]
      },
      { role: "tool", tool_call_id: "call_1", content: "done" }
    ])
    const about = aboutOf(read(request))
    const call = {
      type: "call" as const,
      kind: "function" as const,
      id: "call_2",
      name: "agents__spawn",
      input: "{}",
      cache: null
    }
    const answer: any = responses.writeAnswer(
      { parts: [call], stop: { reason: "calls", sequence: null }, usage: null },
      about
    )
    assert.deepInclude(answer.output[0], {
      type: "function_call",
      call_id: "call_2",
      name: "spawn",
      namespace: "agents"
    })
    assert.deepStrictEqual(answer.tools, tools)
  })

  it("takes tools that come in an item of the conversation", () => {
    const tool = { type: "function", name: "later", description: null, parameters: { type: "object" }, strict: false }
    const { body } = asChat({
      input: [
        { type: "additional_tools", role: "developer", tools: [tool] },
        { role: "user", content: "go" }
      ]
    })
    assert.strictEqual(body.tools[0].function.name, "later")
    assert.deepStrictEqual(body.messages, [{ role: "user", content: "go" }])
  })

  it("has custom tools of upstreams that know functions only", () => {
    const tools = [{ type: "custom", name: "apply_patch", description: "patch", format: { type: "text" } }]
    const input = [
      { role: "user", content: "patch" },
      { type: "custom_tool_call", call_id: "call_1", name: "apply_patch", input: "+ a" },
      { type: "custom_tool_call_output", call_id: "call_1", output: "done" }
    ]
    const { body } = asChat({ tools, input })
    assert.deepStrictEqual(body.tools[0].function.parameters.required, ["input"])
    assert.deepStrictEqual(body.messages[1].tool_calls[0].function, {
      name: "apply_patch",
      arguments: '{"input":"+ a"}'
    })
    const about = aboutOf(read({ tools, input }))
    const writer = new ResponsesEventWriter(about)
    const call = {
      type: "call" as const,
      kind: "function" as const,
      id: "call_2",
      name: "apply_patch",
      input: "",
      cache: null
    }
    const payloads = [
      ...writer.write({ type: "begin", part: 0, value: call }),
      ...writer.write({ type: "piece", part: 0, text: '{"input":' }),
      ...writer.write({ type: "piece", part: 0, text: '"+ b"}' }),
      ...writer.write({ type: "end", part: 0 })
    ]
    const { item, type } = typesOf(payloads).at(-1)
    assert.strictEqual(type, "response.output_item.done")
    assert.deepInclude(item, { type: "custom_tool_call", call_id: "call_2", name: "apply_patch", input: "+ b" })
  })

  it("brings thoughts back to the protocol that they came from", () => {
    const thought = {
      type: "thinking" as const,
      text: "hm",
      signature: "signed",
      sealed: null,
      of: "messages" as const
    }
    const { output }: any = responses.writeAnswer(
      { parts: [thought], stop: { reason: "end", sequence: null }, usage: null },
      aboutOf(read({ input: "x" }))
    )
    assert.deepStrictEqual(output[0].summary, [{ type: "summary_text", text: "hm" }])
    const turns = read({ input: [{ role: "user", content: "x" }, ...output] }).turns
    assert.deepStrictEqual(turns[1]?.parts, [thought])
  })

  it("ends a stream that broke off by response.failed, with what had come", () => {
    const writer = new ResponsesEventWriter(aboutOf(read({ input: "x" })))
    writer.write({ type: "begin", part: 0, value: { type: "text", text: "", cache: null } })
    const [failed] = typesOf(writer.failed({ code: "server_error", message: "cut" }))
    assert.strictEqual(failed.type, "response.failed")
    assert.strictEqual(failed.sequence_number, 4)
    assert.deepInclude(failed.response, { status: "failed", error: { code: "server_error", message: "cut" } })
  })
})
