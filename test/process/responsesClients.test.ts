import { assert, describe, it } from "@effect/vitest"
import { createOpenAI } from "@ai-sdk/openai"
import { ChatOpenAI } from "@langchain/openai"
import { generateText, jsonSchema, stepCountIs, streamText, tool } from "ai"
import { answers, error, refuses, startScripted } from "../support/scriptedUpstream.ts"
import { loops } from "../support/toolLoop.ts"
import { sharedService } from "../support/sharedService.ts"
import { failureOf } from "../support/openaiAnswers.ts"

const { conduit } = sharedService(
  () =>
    startScripted({
      loops,
      limited: refuses(429, error("slow down"), { "retry-after": "7" }),
      declines: answers({}, { content: null, refusal: "I would rather not." })
    }),
  (upstream) => {
    const models = ["plain", "loops", "limited", "declines"]
    return {
      upstream: upstream.url,
      models: models.map((id) => ({ id }))
    }
  }
)

describe("ai with the OpenAI provider at its default, which is Responses", () => {
  const model = (id: string) => createOpenAI({ baseURL: `${conduit.url}/v1`, apiKey: "unused" })(id)
  const tools = {
    add: tool({
      inputSchema: jsonSchema<{ a: number; b: number }>({
        type: "object",
        properties: { a: { type: "number" }, b: { type: "number" } },
        required: ["a", "b"]
      }),
      execute: async ({ a, b }) => a + b
    })
  }

  it("has a text, whole and streamed, with what it used", async () => {
    const { text, usage } = await generateText({ model: model("plain"), prompt: "hello", system: "be brief" })
    assert.strictEqual(text, "hello")
    assert.strictEqual(usage.totalTokens, 12)
    const stream = streamText({ model: model("plain"), prompt: "hello" })
    assert.strictEqual(await stream.text, "hello")
    assert.strictEqual(await stream.finishReason, "stop")
  })

  it("carries a loop of tools of three steps, whole and streamed", async () => {
    const asked = { prompt: "add", tools, stopWhen: stepCountIs(5) }
    const whole = await generateText({ model: model("loops"), ...asked })
    assert.strictEqual(whole.text, "it is 3")
    assert.strictEqual(whole.steps.length, 4)
    const stream = streamText({ model: model("loops"), ...asked })
    assert.strictEqual(await stream.text, "it is 3")
  })

  it("has the status of a limit, and the words of a refusal", async () => {
    const limited = await failureOf(generateText({ model: model("limited"), prompt: "hello", maxRetries: 0 }))
    assert.strictEqual(limited.statusCode, 429)
    const declined = await generateText({ model: model("declines"), prompt: "hello" })
    assert.strictEqual(declined.text, "I would rather not.")
  })
})

describe("LangChain with Responses", () => {
  it("has a text, whole and streamed", async () => {
    const model = new ChatOpenAI({
      model: "plain",
      apiKey: "unused",
      useResponsesApi: true,
      configuration: { baseURL: `${conduit.url}/v1` }
    })
    assert.strictEqual((await model.invoke("hello")).text, "hello")
    let text = ""
    for await (const chunk of await model.stream("hello")) text += chunk.text
    assert.strictEqual(text, "hello")
  })
})
