import { assert, describe, it } from "@effect/vitest"
import { adjustedText, adjustmentsOf, changesOf, dialectAfter } from "../../../src/domain/routing/Dialect.ts"
import { meantBy } from "../../../src/domain/routing/ModelName.ts"

const adjusted = (body: Readonly<Record<string, unknown>>, adjustments: ReturnType<typeof adjustmentsOf>) =>
  Object.fromEntries(changesOf(body, adjustments, true))

describe("a model's dialect", () => {
  it("renames and leaves out what the body has, and says so", () => {
    const body = { messages: [], max_tokens: 7, temperature: 0.2, top_p: 1 }
    const changes = adjustmentsOf(body, {
      max_tokens: "max_completion_tokens",
      temperature: null,
      parallel_tool_calls: null
    })
    assert.deepStrictEqual(adjusted(body, changes), { max_tokens: null, max_completion_tokens: "7", temperature: null })
    assert.strictEqual(adjustedText(body, changes), "max_tokens->max_completion_tokens, temperature->none")
    assert.strictEqual(adjustedText({}, adjustmentsOf({}, { temperature: null })), null)
  })

  it("keeps the value of a name that is there already", () => {
    const body = { max_tokens: 7, max_completion_tokens: 9 }
    assert.deepStrictEqual(adjusted(body, adjustmentsOf(body, { max_tokens: "max_completion_tokens" })), {
      max_tokens: null
    })
  })

  it("does not send a limit that is none, and calls that no change", () => {
    const body = { max_tokens: -1 }
    assert.deepStrictEqual(adjusted(body, adjustmentsOf(body, {})), { max_tokens: null })
    assert.strictEqual(adjustedText(body, adjustmentsOf(body, {})), null)
  })

  it("leaves the options of streams out where the provider does not take them", () => {
    assert.deepStrictEqual([...changesOf({ stream_options: {} }, [], false)], [["stream_options", null]])
    assert.deepStrictEqual([...changesOf({}, [], false)], [])
  })

  it("is learned from the refusal of a field that was sent, and of no other", () => {
    assert.deepStrictEqual(dialectAfter({ max_tokens: 1 }, "max_tokens"), { max_tokens: "max_completion_tokens" })
    assert.deepStrictEqual(dialectAfter({ temperature: 1 }, "temperature"), { temperature: null })
    assert.isNull(dialectAfter({}, "max_tokens"))
    assert.isNull(dialectAfter({ seed: 1 }, "seed"))
  })
})

describe("the name of a model", () => {
  const meant = (name: string) =>
    meantBy(
      name,
      (id) => ["small", "openai/large", "vendor/small"].includes(id),
      (id) => id === "local"
    )
  it.each([
    ["openai/auto", null],
    ["models/auto", null],
    ["AUTO", null],
    ["local/Auto", null],
    ["openai/small", "small"],
    ["local/small", "small"],
    ["openai/large", "openai/large"],
    ["vendor/small", "vendor/small"],
    ["other/small", "other/small"]
  ])("%s means %s", (name, expected) => {
    assert.strictEqual(meant(name), expected)
  })
})
