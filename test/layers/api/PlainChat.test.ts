import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import { isPlainChat } from "../../../src/layers/api/PlainChat.ts"
import { ChatRequest } from "../../../src/services/api/Requests.ts"

const decode = Schema.decodeUnknownEither(ChatRequest, { onExcessProperty: "error" })

const odd = FastCheck.constantFrom<unknown>(null, 0, -1, 1.5, 2 ** 31, true, "", "x", [], {}, [null], [{ type: 1 }])
const maybe = <A>(right: FastCheck.Arbitrary<A>) =>
  FastCheck.oneof({ weight: 30, arbitrary: right }, { weight: 1, arbitrary: odd })
const part = FastCheck.record({ type: maybe(FastCheck.constant("text")), text: FastCheck.string() })
const message = FastCheck.record(
  {
    role: maybe(FastCheck.constantFrom("user", "assistant", "tool")),
    content: maybe(
      FastCheck.oneof(FastCheck.string(), FastCheck.constant(null), FastCheck.array(part, { maxLength: 3 }))
    ),
    tool_calls: FastCheck.constant([{ id: "c" }])
  },
  { requiredKeys: [] }
)
const requests = FastCheck.record(
  {
    messages: maybe(FastCheck.array(message, { maxLength: 3 })),
    model: maybe(FastCheck.constantFrom("auto", "small")),
    stream: maybe(FastCheck.boolean()),
    max_tokens: maybe(FastCheck.integer({ min: 1, max: 1000 })),
    max_completion_tokens: maybe(FastCheck.integer({ min: 1, max: 1000 })),
    temperature: FastCheck.double(),
    conduit: FastCheck.constantFrom<unknown>({ task: "math" }, { task: 1 }, null)
  },
  { requiredKeys: ["messages"] }
)

describe("PlainChat", () => {
  it("takes nothing that the schema refuses, and reads it alike", () => {
    let taken = 0
    FastCheck.assert(
      FastCheck.property(FastCheck.oneof({ weight: 9, arbitrary: requests }, { weight: 1, arbitrary: odd }), (body) => {
        if (!isPlainChat(body)) return
        taken++
        assert.deepStrictEqual(Either.getOrThrow(decode(body)) as unknown, body as unknown)
      }),
      { numRuns: 2000 }
    )
    assert.isAbove(taken, 100)
  })

  it("takes every request without options of ours that the schema takes, but for odd ones", () => {
    const well = FastCheck.record({
      messages: FastCheck.array(
        FastCheck.record({
          role: FastCheck.constant("user"),
          content: FastCheck.oneof(FastCheck.string(), FastCheck.constant([{ type: "text", text: "a" }]))
        }),
        { minLength: 1, maxLength: 3 }
      ),
      model: FastCheck.constantFrom("auto", "small"),
      stream: FastCheck.boolean(),
      max_tokens: FastCheck.integer({ min: 1, max: 1000 })
    })
    FastCheck.assert(
      FastCheck.property(well, (body) => {
        assert.isTrue(Either.isRight(decode(body)))
        assert.isTrue(isPlainChat(body))
      })
    )
  })
})
