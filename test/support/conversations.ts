import * as FastCheck from "effect/FastCheck"
import type { About, Answer } from "../../src/domain/models/canonical/Answer.ts"
import type {
  CallPart,
  Conversation,
  Part,
  ThinkingPart,
  Toward,
  Turn
} from "../../src/domain/models/canonical/Conversation.ts"
import { textPart } from "../../src/domain/models/canonical/Reading.ts"
import { plainUsage } from "../../src/domain/routing/Usage.ts"

// Conversations and answers as both OpenAI's and Anthropic's protocols can say them.

/** A model that takes everything. */
export const anyModel: Toward = { abilities: {}, maxOutputTokens: null, upstream: "any" }

const text = FastCheck.string({ minLength: 1, maxLength: 12 })
const name = FastCheck.stringMatching(/^[A-Za-z][A-Za-z0-9_-]{0,11}$/)
const json = FastCheck.dictionary(name, FastCheck.oneof(text, FastCheck.integer(), FastCheck.boolean()), {
  maxKeys: 3
})
const base64 = FastCheck.stringMatching(/^[A-Za-z0-9+/]{4,16}$/)

const textParts = text.map((said) => textPart(said))
const imageParts: FastCheck.Arbitrary<Part> = FastCheck.oneof(
  base64.map((data) => ({ type: "data" as const, mediaType: "image/png", base64: data })),
  name.map((path) => ({ type: "url" as const, url: `https://images.example/${path}.png` }))
).map((source) => ({ type: "image", source, detail: null, cache: null }))
const fileParts: FastCheck.Arbitrary<Part> = FastCheck.tuple(base64, name).map(([data, file]) => ({
  type: "file",
  source: { type: "data", mediaType: "application/pdf", base64: data },
  name: `${file}.pdf`,
  cache: null
}))

const callParts: FastCheck.Arbitrary<CallPart> = FastCheck.tuple(name, name, json).map(([id, tool, input]) => ({
  type: "call",
  kind: "function",
  id: `call_${id}`,
  name: tool,
  input: JSON.stringify(input),
  cache: null
}))

const asks: FastCheck.Arbitrary<Turn> = FastCheck.array(FastCheck.oneof(textParts, imageParts, fileParts), {
  minLength: 1,
  maxLength: 3
}).map((parts) => ({ role: "user", parts, name: null }))

const says: FastCheck.Arbitrary<Turn> = textParts.map((part) => ({ role: "assistant", parts: [part], name: null }))

/** A call or several at once, and their results. */
const callsTools: FastCheck.Arbitrary<ReadonlyArray<Turn>> = FastCheck.tuple(
  FastCheck.option(textParts),
  FastCheck.uniqueArray(callParts, { minLength: 1, maxLength: 3, selector: ({ id }) => id }),
  text
).map(([before, calls, result]) => [
  { role: "assistant", parts: [...(before === null ? [] : [before]), ...calls], name: null },
  {
    role: "user",
    parts: calls.map(({ id }) => ({
      type: "result" as const,
      callId: id,
      parts: [textPart(result)],
      isError: false,
      cache: null
    })),
    name: null
  }
])

const system: FastCheck.Arbitrary<Turn> = textParts.map((part) => ({ role: "system", parts: [part], name: null }))

const turns = FastCheck.tuple(
  FastCheck.option(system),
  FastCheck.array(
    FastCheck.oneof(
      FastCheck.tuple(asks, says).map((pair): ReadonlyArray<Turn> => pair),
      FastCheck.tuple(asks, callsTools).map(([ask, tools]): ReadonlyArray<Turn> => [ask, ...tools])
    ),
    { maxLength: 4 }
  ),
  asks
).map(([first, rounds, last]) => [...(first === null ? [] : [first]), ...rounds.flat(), last])

const tools = FastCheck.uniqueArray(
  FastCheck.record({
    type: FastCheck.constant("function" as const),
    name,
    description: FastCheck.option(text),
    schema: json.map((properties) => ({ type: "object", properties })),
    strict: FastCheck.constant(null),
    cache: FastCheck.constant(null)
  }),
  { minLength: 1, maxLength: 3, selector: (tool) => tool.name }
)

export const conversations: FastCheck.Arbitrary<Conversation> = FastCheck.record({
  of: FastCheck.constant("chat" as const),
  turns,
  tools,
  toolChoice: FastCheck.oneof(
    FastCheck.constant({ type: "auto" as const }),
    FastCheck.constant({ type: "none" as const }),
    FastCheck.constant({ type: "required" as const })
  ),
  parallelCalls: FastCheck.constantFrom(null, false),
  format: FastCheck.option(
    json.map((properties) => ({
      type: "schema" as const,
      name: "answer",
      description: null,
      schema: { type: "object", properties },
      strict: null
    }))
  ),
  reasoning: FastCheck.constant(null),
  maxTokens: FastCheck.integer({ min: 1, max: 4096 }),
  temperature: FastCheck.constantFrom(null, 0, 0.5, 1),
  topP: FastCheck.constantFrom(null, 0.5),
  topK: FastCheck.constant(null),
  stop: FastCheck.array(text, { maxLength: 2 }),
  user: FastCheck.option(name),
  stream: FastCheck.boolean(),
  more: FastCheck.constant({}),
  unknown: FastCheck.constant({})
})

const thoughts: FastCheck.Arbitrary<ThinkingPart> = FastCheck.tuple(text, name).map(([said, signature]) => ({
  type: "thinking",
  text: said,
  signature: `signed-${signature}`,
  sealed: null,
  of: "messages"
}))

/** Thoughts, a text and calls, each perhaps. */
export const answers: FastCheck.Arbitrary<Answer> = FastCheck.tuple(
  FastCheck.option(thoughts),
  textParts,
  FastCheck.uniqueArray(callParts, { maxLength: 3, selector: ({ id }) => id }),
  FastCheck.constantFrom("end" as const, "length" as const, "refusal" as const),
  FastCheck.tuple(FastCheck.nat(1000), FastCheck.nat(1000), FastCheck.nat(1000))
).map(([thinking, said, calls, reason, [fresh, cached, output]]) => ({
  parts: [...(thinking === null ? [] : [thinking]), said, ...calls],
  stop: { reason: calls.length > 0 ? "calls" : reason, sequence: null },
  usage: { ...plainUsage(fresh + cached, output), cachedTokens: cached }
}))

export const aboutOf = (conversation: Conversation): About => ({
  id: "answer-1",
  model: "small",
  createdSeconds: 1,
  conversation,
  inputTokens: 10
})

/** As two conversations are compared: what was asked, whatever the protocol that it came in. */
export const meaning = (conversation: Conversation) => ({ ...conversation, of: null, more: null, unknown: null })
