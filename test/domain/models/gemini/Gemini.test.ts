import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import type { Answer } from "../../../../src/domain/models/canonical/Answer.ts"
import type { Conversation } from "../../../../src/domain/models/canonical/Conversation.ts"
import { Collecting, eventsOf } from "../../../../src/domain/models/canonical/Event.ts"
import { chat } from "../../../../src/domain/models/chat/Chat.ts"
import { gemini } from "../../../../src/domain/models/gemini/Gemini.ts"
import { contentText } from "../../../../src/domain/models/gemini/Content.ts"
import { messages } from "../../../../src/domain/models/messages/Messages.ts"
import { responses } from "../../../../src/domain/models/responses/Responses.ts"
import { aboutOf, answers, anyModel, conversations, meaning } from "../../../support/conversations.ts"

const read = (body: unknown) => Either.getOrThrow(gemini.readRequest(JSON.parse(JSON.stringify(body))))
const user = { role: "user", content: "hi" }
const asks = { role: "user", parts: [{ text: "hi" }] }

/** A chat as an upstream of Google's gets it. */
const asked = (body: Record<string, unknown>, toward: Partial<typeof anyModel> = {}): any => {
  const conversation = Either.getOrThrow(chat.readRequest({ messages: [user], ...body }))
  return Either.getOrThrow(gemini.writeRequest(conversation, { ...anyModel, ...toward }))
}

/** Google has no names for schemas and files, no users, and one result of a text that is no object. */
const asGoogleHasIt = (conversation: Conversation) => ({
  ...meaning(conversation),
  parallelCalls: null,
  user: null,
  // The path says it there.
  stream: null,
  format: conversation.format?.type === "schema" ? { ...conversation.format, name: null } : conversation.format,
  turns: conversation.turns
    .map((turn) => ({
      ...turn,
      parts: turn.parts.map((part) => (part.type === "file" ? { ...part, name: null } : part))
    }))
    .reduce<Array<Conversation["turns"][number]>>((merged, turn) => {
      const last = merged.at(-1)
      if (last?.role !== turn.role) return [...merged, turn]
      return [...merged.slice(0, -1), { ...last, parts: [...last.parts, ...turn.parts] }]
    }, [])
})

/** An answer that declined in a text is one that a filter cut; what ended it is one word for several. */
const heard = ({ parts, stop, usage }: Answer): Answer => ({
  parts,
  stop: { ...stop, reason: stop.reason === "refusal" ? "filter" : stop.reason },
  usage
})

const collected = (payloads: ReadonlyArray<string | null>) => {
  const reader = gemini.eventReader()
  const collecting = new Collecting()
  for (const payload of payloads) {
    if (payload !== null) for (const event of reader.read(payload)) collecting.add(event)
  }
  return collecting.answer
}

describe("gemini", () => {
  it("says a conversation so that it is read as the same one", () => {
    FastCheck.assert(
      FastCheck.property(conversations, (conversation) => {
        const { body } = Either.getOrThrow(gemini.writeRequest(conversation, anyModel))
        assert.deepStrictEqual(asGoogleHasIt(read(body)), asGoogleHasIt(conversation))
      })
    )
  })

  it("says an answer so that it is read as the same one", () => {
    FastCheck.assert(
      FastCheck.property(conversations, answers, (conversation, answer) => {
        const body = gemini.writeAnswer(answer, aboutOf(conversation))
        assert.deepStrictEqual(gemini.readAnswer(JSON.parse(JSON.stringify(body))), heard(answer))
      })
    )
  })

  it("streams an answer so that it is read as the same one", () => {
    FastCheck.assert(
      FastCheck.property(conversations, answers, (conversation, answer) => {
        const writer = gemini.eventWriter(aboutOf(conversation))
        const payloads = [...eventsOf(answer).flatMap((event) => writer.write(event)), ...writer.end(), writer.last()]
        assert.deepStrictEqual(collected(payloads), heard(answer))
      })
    )
  })

  it("keeps thoughts and whose signature they have on the way through any other protocol", () => {
    const signed = {
      candidates: [
        {
          content: {
            role: "model",
            parts: [
              { text: "hm", thought: true },
              { functionCall: { id: "a", name: "f", args: {} }, thoughtSignature: "c2ln" },
              { functionCall: { id: "b", name: "f", args: {} } }
            ]
          },
          finishReason: "STOP"
        }
      ],
      responseId: "r"
    }
    const answer = gemini.readAnswer(signed)
    const about = aboutOf(read({ contents: [asks] }))
    const said = [
      { role: "assistant" as const, ...((chat.writeAnswer(answer, about) as any).choices[0].message as object) }
    ]
    const asMessage = (messages.writeAnswer(answer, about) as any).content
    const asItems = (responses.writeAnswer(answer, about) as any).output
    const back = [
      chat.readRequest({ messages: [user, ...said] }),
      messages.readRequest({ max_tokens: 1, messages: [user, { role: "assistant", content: asMessage }] }),
      responses.readRequest({ input: [user, ...asItems] })
    ]
    for (const conversation of back) {
      const { body } = Either.getOrThrow(gemini.writeRequest(Either.getOrThrow(conversation), anyModel)) as any
      assert.deepStrictEqual(body.contents[1], signed.candidates[0]?.content)
    }
  })

  it("hides what other models signed from Google, and gives it back to them", () => {
    const thinking = {
      type: "thinking" as const,
      text: "hm",
      signature: "theirs",
      sealed: null,
      of: "messages" as const
    }
    const call = { type: "call" as const, kind: "function" as const, id: "a", name: "f", input: "{}", cache: null }
    const stop = { reason: "calls" as const, sequence: null }
    const about = aboutOf(read({ contents: [asks], generationConfig: { thinkingConfig: { includeThoughts: true } } }))
    const written = gemini.writeAnswer({ parts: [thinking, call], stop, usage: null }, about) as any
    const { content } = written.candidates[0]
    assert.deepStrictEqual(content.parts[0], { text: "hm", thought: true })
    const next = {
      contents: [asks, content, { role: "user", parts: [{ functionResponse: { name: "f", response: {} } }] }]
    }
    const toGoogle = JSON.parse(contentText(next, { upstream: "gemini-3-flash", stream: false, asksForUsage: false }))
    assert.deepStrictEqual(toGoogle.contents[1].parts.at(-1), {
      functionCall: { id: "a", name: "f", args: {} },
      thoughtSignature: "skip_thought_signature_validator"
    })
    const toAnthropic = Either.getOrThrow(messages.writeRequest(read(next), anyModel)).body as any
    assert.deepStrictEqual(toAnthropic.messages[1].content[0], {
      type: "thinking",
      thinking: "hm",
      signature: "theirs"
    })
    const unsigned = gemini.writeAnswer({ parts: [call], stop, usage: null }, about) as any
    const mixed = { contents: [asks, unsigned.candidates[0].content] }
    const older = JSON.parse(contentText(mixed, { upstream: "gemini-2.5-pro", stream: false, asksForUsage: false }))
    assert.deepStrictEqual(older.contents[1].parts, [{ functionCall: { id: "a", name: "f", args: {} } }])
  })

  it("makes ids for calls that have none, the same ones whenever they are read", () => {
    const call = (name: string) => ({ functionCall: { name, args: {} } })
    const result = (name: string) => ({ functionResponse: { name, response: { output: name } } })
    const body = {
      contents: [
        asks,
        { role: "model", parts: [call("f"), call("g"), call("f")] },
        { role: "user", parts: [result("g"), result("f"), result("f")] }
      ]
    }
    const ids = (from: "call" | "result") =>
      read(body).turns.flatMap(({ parts }) =>
        parts.flatMap((part) =>
          part.type !== from ? [] : part.type === "call" ? part.id : part.type === "result" ? part.callId : []
        )
      )
    assert.deepStrictEqual(ids("call"), ["call_0", "call_1", "call_2"])
    assert.deepStrictEqual(ids("result"), ["call_1", "call_0", "call_2"])
    const answer = (responseId: string) =>
      gemini.readAnswer({
        responseId,
        candidates: [{ content: { parts: [call("f"), call("f")] }, finishReason: "STOP" }]
      }).parts as any
    const uuid = "01985b0e-7c3a-7d2e-9f4b-3c1d5e7a9b2f"
    assert.deepStrictEqual(
      answer(uuid).map(({ id }: { id: string }) => id),
      ["call_01985b0e7c3a7d2e9f4b3c1d5e7a9b2f_0", "call_01985b0e7c3a7d2e9f4b3c1d5e7a9b2f_1"]
    )
  })

  it("reads both spellings of Google's members, and its own schemas", () => {
    const conversation = read({
      system_instruction: { parts: { text: "Be brief." } },
      contents: { parts: [{ inline_data: { mime_type: "image/png", data: "AAAA" } }] },
      tools: [
        {
          function_declarations: [
            {
              name: "f",
              parameters: {
                type: "OBJECT",
                properties: {
                  city: { type: "STRING", nullable: true },
                  list: { type: "ARRAY", minItems: "1", items: { type: "INTEGER" } }
                },
                required: ["city"],
                propertyOrdering: ["city", "list"]
              }
            }
          ]
        }
      ],
      tool_config: { function_calling_config: { mode: "ANY", allowed_function_names: ["f"] } },
      generation_config: { max_output_tokens: 7, response_mime_type: "application/json", stop_sequences: ["x"] }
    })
    assert.deepInclude(conversation, {
      maxTokens: 7,
      stop: ["x"],
      format: { type: "json" },
      toolChoice: { type: "named", name: "f" }
    })
    assert.deepStrictEqual(
      conversation.turns.map(({ parts, role }) => [role, parts[0]?.type]),
      [
        ["system", "text"],
        ["user", "image"]
      ]
    )
    const [tool] = conversation.tools
    assert.deepStrictEqual(tool?.type === "function" ? tool.schema : null, {
      type: "object",
      required: ["city"],
      properties: {
        city: { type: ["string", "null"] },
        list: { type: "array", minItems: 1, items: { type: "integer" } }
      }
    })
  })

  it("knows why an answer ended, and that a refused prompt has no candidates", () => {
    const ended = (finishReason: string) =>
      gemini.readAnswer({ candidates: [{ content: { parts: [{ text: "x" }] }, finishReason }] }).stop.reason
    assert.deepStrictEqual(
      ["STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "PROHIBITED_CONTENT", "CONTINUATION", "SOMETHING_NEW"].map(ended),
      ["end", "length", "filter", "filter", "filter", "pause", "end"]
    )
    assert.deepInclude(gemini.readAnswer({ promptFeedback: { blockReason: "SAFETY" } }), {
      parts: [],
      stop: { reason: "filter", sequence: null }
    })
  })

  it("counts thoughts outside of the candidates, and the cache and Google's own tools as input", () => {
    const { usage } = gemini.readAnswer({
      candidates: [{ content: { parts: [{ text: "x" }] }, finishReason: "STOP" }],
      usageMetadata: {
        promptTokenCount: 100,
        cachedContentTokenCount: 80,
        toolUsePromptTokenCount: 5,
        candidatesTokenCount: 10,
        thoughtsTokenCount: 7,
        promptTokensDetails: [{ modality: "AUDIO", tokenCount: 12 }],
        totalTokenCount: 122
      }
    })
    assert.deepInclude(usage, {
      inputTokens: 105,
      cachedTokens: 80,
      audioInputTokens: 12,
      outputTokens: 17,
      reasoningTokens: 7
    })
  })

  describe("thinking", () => {
    it("is asked for as each generation knows it", () => {
      const config = (upstream: string, reasoning_effort: string) => {
        const { adjusted, body } = asked({ reasoning_effort }, { upstream })
        return [body.generationConfig?.thinkingConfig, adjusted]
      }
      const shown = { includeThoughts: true }
      assert.deepStrictEqual(
        [
          config("gemini-2.0-flash", "low"),
          config("gemini-2.5-flash", "medium"),
          config("gemini-2.5-flash", "none"),
          config("gemini-2.5-pro", "none"),
          config("gemini-3-flash", "minimal"),
          config("gemini-3.1-pro-preview", "xhigh"),
          config("gemini-3.1-pro-preview", "none")
        ],
        [
          [undefined, ["reasoning_effort->none"]],
          [{ ...shown, thinkingBudget: 8192 }, []],
          [{ thinkingBudget: 0 }, []],
          [{ thinkingBudget: 128 }, ["reasoning_effort->128"]],
          [{ ...shown, thinkingLevel: "MINIMAL" }, []],
          [{ ...shown, thinkingLevel: "HIGH" }, []],
          [{ thinkingLevel: "LOW" }, ["reasoning_effort->low"]]
        ]
      )
    })

    it("puts a signature where Google asks for one and nobody signed", () => {
      const loop = [
        user,
        {
          role: "assistant",
          tool_calls: ["a", "b"].map((id) => ({ id, type: "function", function: { name: "f", arguments: "{}" } }))
        },
        ...["a", "b"].map((id) => ({ role: "tool", tool_call_id: id, content: "1" }))
      ]
      const signatures = (upstream: string) =>
        asked({ messages: loop }, { upstream }).body.contents[1].parts.map((part: any) => part.thoughtSignature)
      assert.deepStrictEqual(signatures("gemini-3-flash"), ["skip_thought_signature_validator", undefined])
      assert.deepStrictEqual(signatures("gemini-2.5-flash"), [undefined, undefined])
    })
  })

  describe("what it cannot say", () => {
    it("masks the model by what it lacks", () => {
      const lacks = (body: Record<string, unknown>) =>
        Either.match(
          gemini.writeRequest(Either.getOrThrow(chat.readRequest({ messages: [user], ...body })), anyModel),
          { onLeft: (unfit) => unfit.lacks, onRight: () => "nothing" }
        )
      assert.deepStrictEqual(
        [{ n: 2 }, { logprobs: true }, { modalities: ["audio"] }, { tools: [{ type: "retrieval" }] }, { n: 1 }].map(
          lacks
        ),
        ["choices", "logprobs", "audio", "native_tools", "nothing"]
      )
      const search = read({ contents: [asks], tools: [{ googleSearch: {} }] })
      const refused = Either.getOrThrow(Either.flip(chat.writeRequest(search, anyModel)))
      assert.deepInclude(refused, { lacks: "native_tools", param: "tools.0" })
      assert.include(refused.detail, "googleSearch")
    })

    it("names what it leaves out, and carries what both know by another name", () => {
      const { adjusted, body } = asked({
        seed: 7,
        presence_penalty: 0.5,
        logit_bias: { 1: 2 },
        min_p: 0.1,
        parallel_tool_calls: false,
        user: "somebody",
        stop: ["a", "b", "c", "d", "e", "f"],
        messages: [user, { role: "assistant", content: "x" }, { role: "system", content: "in French" }, user]
      })
      assert.deepStrictEqual([...adjusted].sort(), [
        "logit_bias->none",
        "messages.system->user",
        "min_p->none",
        "parallel_tool_calls->none",
        "stop->5",
        "user->none"
      ])
      assert.deepInclude(body.generationConfig, { seed: 7, presencePenalty: 0.5 })
      assert.lengthOf(body.generationConfig.stopSequences, 5)
      const back = Either.getOrThrow(chat.writeRequest(read(body), anyModel)).body
      assert.deepInclude(back, { seed: 7, presence_penalty: 0.5 })
    })

    it("tells the form of an answer in words where a model takes functions or a form", () => {
      const body = {
        tools: [{ type: "function", function: { name: "f", parameters: { type: "object" } } }],
        response_format: { type: "json_schema", json_schema: { name: "x", schema: { type: "object" } } }
      }
      const older = asked(body, { upstream: "gemini-2.5-flash" })
      assert.deepStrictEqual(older.adjusted, ["response_format->system"])
      assert.match(older.body.systemInstruction.parts[0].text, /schema/)
      assert.isUndefined(older.body.generationConfig)
      const newer = asked(body, { upstream: "gemini-3-flash" })
      assert.deepStrictEqual(newer.body.generationConfig, {
        responseMimeType: "application/json",
        responseJsonSchema: { type: "object" }
      })
    })
  })
})
