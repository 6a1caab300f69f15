import { assert, describe, it } from "@effect/vitest"
import * as GenAi from "../../../src/domain/observing/GenAi.ts"

const called = (baseUrl: string) => GenAi.place("mine", baseUrl)

describe("GenAi", () => {
  it("names a provider as the conventions do, and any other as the configuration does", () => {
    for (const [baseUrl, name] of [
      ["https://api.openai.com/v1", "openai"],
      ["https://europe.openai.azure.com/openai/v1", "azure.ai.openai"],
      ["https://api.groq.com/openai/v1", "groq"],
      ["https://api.openai.com.example/v1", "mine"],
      ["http://127.0.0.1:9001/v1", "mine"],
      ["", "mine"]
    ] as const) {
      assert.strictEqual(called(baseUrl)["gen_ai.provider.name"], name, baseUrl)
    }
  })

  it("says where a model is called", () => {
    const where = (baseUrl: string) => {
      const { "server.address": address, "server.port": port } = called(baseUrl)
      return [address, port]
    }
    assert.deepStrictEqual(where("https://api.openai.com/v1"), ["api.openai.com", 443])
    assert.deepStrictEqual(where("http://models/v1"), ["models", 80])
    assert.deepStrictEqual(where("http://127.0.0.1:9001/v1"), ["127.0.0.1", 9001])
    assert.deepStrictEqual(where(""), [undefined, null])
  })

  it("takes numbers of what was asked, and no text", () => {
    const asked = GenAi.asked({
      max_tokens: 5,
      temperature: 0.5,
      n: "two",
      seed: Number.NaN,
      top_p: null,
      messages: [{ content: "text" }],
      stop: ["text"]
    })
    assert.deepStrictEqual(
      Object.entries(asked).filter(([, value]) => value !== null),
      [
        ["gen_ai.request.max_tokens", 5],
        ["gen_ai.request.temperature", 0.5]
      ]
    )
    assert.strictEqual(GenAi.asked({ max_completion_tokens: 7, max_tokens: 5 })["gen_ai.request.max_tokens"], 7)
  })
})
