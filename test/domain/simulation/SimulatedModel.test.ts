import { assert, describe, it } from "@effect/vitest"
import { simulate, simulatedModels, wholeMs } from "../../../src/domain/simulation/SimulatedModel.ts"
import { problemWith, requestFrom } from "../../../src/domain/simulation/ChatRequest.ts"
import { scriptOf } from "../../../src/domain/simulation/Fleet.ts"
import { sampleOf } from "../../../src/domain/simulation/JsonSample.ts"
import { topicOf } from "../../../src/domain/simulation/Topic.ts"
import { completionOf } from "../../../src/domain/simulation/Wire.ts"

const [small, code, , large] = simulatedModels.map(scriptOf)
const ask = (content: string, more: Readonly<Record<string, unknown>> = {}) =>
  requestFrom({ model: "m", messages: [{ role: "user", content }], ...more })
const contentOf = (simulation: ReturnType<typeof simulate>) =>
  completionOf(simulation, { id: "i", model: "m", createdSeconds: 0 }).choices.map((c) => c.message.content)

describe("SimulatedModel", () => {
  it("answers the same to the same model, prompt and seed, and differently to another seed", () => {
    const request = ask("Write a poem about rain")
    assert.deepStrictEqual(simulate(small!, request, "a"), simulate(small!, request, "a"))
    assert.notDeepEqual(simulate(small!, request, "a"), simulate(small!, request, "b"))
  })

  it("tells topics apart", () => {
    const prompts = {
      code: "Write a Python function that reverses a list",
      math: "Solve the equation 3 * x = 12",
      translation: "Translate this into French: good morning",
      writing: "Write a short poem about autumn",
      facts: "Who was president of France in 1981?",
      chat: "Hello there"
    }
    for (const [topic, prompt] of Object.entries(prompts)) assert.strictEqual(topicOf(prompt), topic)
  })

  it("draws qualities around the script's mean for the topic, and says them in the text", () => {
    const request = ask("Debug this TypeScript function")
    const mean = (script: typeof small) =>
      Array.from({ length: 200 }, (_, i) => simulate(script!, request, `${i}`).quality).reduce((a, b) => a + b) / 200
    assert.closeTo(mean(code), code!.quality.code, 0.02)
    assert.closeTo(mean(small), small!.quality.code, 0.02)
    const one = simulate(code!, request, "1")
    assert.include(contentOf(one)[0]!, `simulated answer of sim-code; topic code; quality ${one.quality.toFixed(2)}`)
  })

  it("takes longer and costs more for the larger model, within 50 to 500 ms", () => {
    const request = ask("What is the capital of Peru?")
    const slow = wholeMs(simulate(large!, request, "1"))
    const fast = wholeMs(simulate(small!, request, "1"))
    assert.isBelow(fast, slow)
    assert.isAbove(fast, 50)
    assert.isBelow(slow, 500)
    assert.isBelow(simulatedModels[0]!.outputUsdPerMTok!, simulatedModels[3]!.outputUsdPerMTok!)
  })

  it("keeps to max_tokens, stop and n", () => {
    const cut = simulate(small!, ask("Hello", { max_tokens: 3 }), "1")
    assert.deepStrictEqual([cut.choices[0]?.finishReason, cut.completionTokens], ["length", 3])
    const stopped = simulate(small!, ask("Hello", { stop: "quality" }), "1")
    assert.notInclude(contentOf(stopped)[0]!, "quality")
    assert.strictEqual(stopped.choices[0]?.finishReason, "stop")
    assert.strictEqual(contentOf(simulate(small!, ask("Hello", { n: 3 }), "1")).length, 3)
  })

  it("counts four characters of all messages as a token", () => {
    const request = requestFrom({
      model: "m",
      messages: [
        { role: "system", content: "x".repeat(40) },
        { role: "user", content: [{ type: "text", text: "y".repeat(39) }, { type: "image_url" }] }
      ]
    })
    assert.strictEqual(request.promptTokens, Math.ceil((40 + 1 + 39 + 1) / 4))
  })

  const schema = {
    type: "object",
    $defs: { unit: { enum: ["kelvin", "celsius"] } },
    properties: {
      city: { type: "string" },
      days: { type: "integer", minimum: 1, maximum: 5 },
      unit: { $ref: "#/$defs/unit" },
      tags: { type: "array", items: { type: "string" }, minItems: 2 },
      note: { type: "string" }
    },
    required: ["city", "days", "unit", "tags"]
  }

  it("calls a tool when the question asks for it or the caller forces it, and never against `none`", () => {
    const tools = [{ type: "function", function: { name: "get_weather", parameters: schema } }]
    const toolOf = (content: string, choice?: unknown) =>
      simulate(small!, ask(content, { tools, tool_choice: choice }), "1").choices[0]?.tool?.name
    assert.strictEqual(toolOf("How is the weather?"), "get_weather")
    assert.strictEqual(toolOf("Hello"), undefined)
    assert.strictEqual(toolOf("How is the weather?", "none"), undefined)
    assert.strictEqual(toolOf("Hello", "required"), "get_weather")
    assert.strictEqual(toolOf("Hello", { type: "function", function: { name: "get_weather" } }), "get_weather")
  })

  it("makes values that fit the schema, with the question's own words and numbers", () => {
    const question = "How many celsius will it be in Paris for 12 days?"
    const value = sampleOf(schema, question)
    assert.deepStrictEqual(value, { city: "Paris", days: 5, unit: "celsius", tags: [question, question] })
    const recursive = { $ref: "#/$defs/a", $defs: { a: { type: "object", properties: { a: { $ref: "#/$defs/a" } } } } }
    assert.isObject(sampleOf(recursive, ""))
    const all = { $ref: "#/$defs/a" }
    const wide = { $ref: "#/$defs/a", $defs: { a: { type: "array", minItems: 100, items: all } } }
    assert.isBelow(JSON.stringify(sampleOf(wide, "")).length, 1_000_000)
  })

  it("writes JSON when the response format asks for it", () => {
    const json = contentOf(simulate(small!, ask("Hello", { response_format: { type: "json_object" } }), "1"))[0]!
    assert.strictEqual(JSON.parse(json).simulated, true)
    const format = { type: "json_schema", json_schema: { name: "x", schema } }
    const fitted = contentOf(simulate(small!, ask("Rain in Oslo", { response_format: format }), "1"))[0]!
    assert.strictEqual(JSON.parse(fitted).city, "Oslo")
  })

  it("has a fault as often as the script says", () => {
    const faulty = { ...small!, faults: { "429": 0.2 } }
    const count = Array.from({ length: 1000 }, (_, i) => simulate(faulty, ask("Hello"), `${i}`).fault).filter(
      (fault) => fault === "429"
    ).length
    assert.isAbove(count, 150)
    assert.isBelow(count, 250)
  })

  it("refuses directives that it does not know or that make no sense", () => {
    const body = (mock: unknown) => ({ model: "m", messages: [{ role: "user", content: "x" }], mock })
    assert.isNull(problemWith(body({ fault: "429", only: "m", gate: "g", gate_after: 1, tokens: 5 })))
    for (const mock of [
      { fault: "418" },
      { gates: "g" },
      { delay_ms: -1 },
      { tokens: 0 },
      { gate: "" },
      { tokens: 1_000_001 },
      "429"
    ]) {
      assert.isString(problemWith(body(mock)), JSON.stringify(mock))
    }
    assert.isString(problemWith({ ...body({ tokens: 500_000 }), n: 3 }))
  })
})
