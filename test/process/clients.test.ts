import { createOpenAICompatible } from "@ai-sdk/openai-compatible"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { ChatOpenAI } from "@langchain/openai"
import { Mistral } from "@mistralai/mistralai"
import { createOpenRouter } from "@openrouter/ai-sdk-provider"
import { generateText, jsonSchema, type LanguageModel, streamText, tool, type ToolSet } from "ai"
import OpenAI6 from "openai"
import OpenAI4 from "openai4"
import OpenAI5 from "openai5"
import { type ConduitProcess, killAll, startConduit } from "../support/conduit.ts"
import { createDatabase, type TestDatabase } from "../support/postgres.ts"
import { startUpstream, type Upstream } from "../support/processMock.ts"

// Clients as they are, against the built service before upstreams that behave oddly: the model's name says how.

let database: TestDatabase
let mock: Upstream
let conduit: ConduitProcess

beforeAll(async () => {
  database = await createDatabase()
  mock = await startUpstream({
    models: [
      { name: "plain" },
      { name: "lean", scenario: "lean" },
      { name: "ill-typed", scenario: "ill_typed" },
      { name: "no-done", faults: { no_done: 1 } },
      { name: "thinking", scenario: "thinking" },
      { name: "breaking", scenario: "error" },
      { name: "cut", faults: { cut: 1 } }
    ]
  })
  conduit = await startConduit({
    databaseUrl: database.url,
    upstream: mock.url,
    models: ["plain", "lean", "ill-typed", "no-done", "thinking", "breaking", "cut"].map((id) => ({ id })),
    env: { CONDUIT_STREAM_KEEP_ALIVE: "300 millis" }
  })
})
afterAll(async () => {
  await killAll()
  await mock.close()
  await database.drop()
})

interface Called {
  readonly name: string
  readonly arguments: unknown
}

/** What each client can do, in its own way. */
interface Client {
  readonly text: (model: string) => Promise<string>
  readonly stream: (model: string) => Promise<string>
  readonly tool: (model: string) => Promise<Called | undefined>
}

const question = "What is the weather in Paris? Use the tool."
const messages = [{ role: "user" as const, content: question }]
const parameters = { type: "object" as const, properties: { city: { type: "string" as const } }, required: ["city"] }
const weather = { type: "function" as const, function: { name: "get_weather", parameters } }
const apiKey = "unused"
const baseURL = () => `${conduit.url}/v1`

const openai = (make: () => OpenAI6): Client => ({
  text: async (model) => (await make().chat.completions.create({ model, messages })).choices[0]?.message.content ?? "",
  stream: async (model) => {
    let text = ""
    const stream = await make().chat.completions.create({ model, messages, stream: true })
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? ""
    return text
  },
  tool: async (model) => {
    const answer = await make().chat.completions.create({ model, messages, tools: [weather], tool_choice: "required" })
    const call = answer.choices[0]?.message.tool_calls?.[0]
    return call?.type === "function"
      ? { name: call.function.name, arguments: JSON.parse(call.function.arguments) }
      : undefined
  }
})

const mistral: Client = {
  text: async (model) => {
    const client = new Mistral({ apiKey, serverURL: conduit.url })
    return String((await client.chat.complete({ model, messages })).choices?.[0]?.message?.content ?? "")
  },
  stream: async (model) => {
    const client = new Mistral({ apiKey, serverURL: conduit.url })
    let text = ""
    for await (const { data } of await client.chat.stream({ model, messages })) {
      text += String(data.choices[0]?.delta.content ?? "")
    }
    return text
  },
  tool: async (model) => {
    const client = new Mistral({ apiKey, serverURL: conduit.url })
    const answer = await client.chat.complete({ model, messages, tools: [weather], toolChoice: "required" })
    const call = answer.choices?.[0]?.message?.toolCalls?.[0]
    if (call === undefined) return undefined
    const given = call.function.arguments
    return { name: call.function.name, arguments: typeof given === "string" ? JSON.parse(given) : given }
  }
}

const langchain: Client = {
  text: async (model) => (await langchainModel(model).invoke(question)).text,
  stream: async (model) => {
    let text = ""
    for await (const chunk of await langchainModel(model).stream(question)) text += chunk.text
    return text
  },
  tool: async (model) => {
    const answer = await langchainModel(model).bindTools([weather], { tool_choice: "required" }).invoke(question)
    const call = answer.tool_calls?.[0]
    return call === undefined ? undefined : { name: call.name, arguments: call.args }
  }
}
const langchainModel = (model: string) =>
  new ChatOpenAI({ model, apiKey, maxRetries: 0, configuration: { baseURL: baseURL() } })

const vercel = (of: (name: string) => LanguageModel): Client => ({
  text: async (name) => (await generateText({ model: of(name), prompt: question, maxRetries: 0 })).text,
  stream: async (name) => {
    let text = ""
    const { fullStream } = streamText({ model: of(name), prompt: question, maxRetries: 0, onError: () => undefined })
    for await (const part of fullStream) {
      if (part.type === "error") throw part.error
      if (part.type === "text-delta") text += part.text
    }
    return text
  },
  tool: async (name) => {
    const tools = { get_weather: tool({ inputSchema: jsonSchema(parameters) }) } as unknown as ToolSet
    const { toolCalls } = await generateText({
      model: of(name),
      prompt: question,
      maxRetries: 0,
      tools,
      toolChoice: "required"
    })
    const call = toolCalls[0]
    return call === undefined ? undefined : { name: call.toolName, arguments: call.input }
  }
})

const clients: Readonly<Record<string, Client>> = {
  "openai 4": openai(() => new OpenAI4({ apiKey, baseURL: baseURL(), maxRetries: 0 }) as unknown as OpenAI6),
  "openai 5": openai(() => new OpenAI5({ apiKey, baseURL: baseURL(), maxRetries: 0 }) as unknown as OpenAI6),
  "openai 6": openai(() => new OpenAI6({ apiKey, baseURL: baseURL(), maxRetries: 0 })),
  "@mistralai/mistralai": mistral,
  "@langchain/openai": langchain,
  "ai with openai-compatible": vercel((name) =>
    createOpenAICompatible({ name: "conduit", baseURL: baseURL(), apiKey })(name)
  ),
  "ai with OpenRouter's provider": vercel((name) => createOpenRouter({ baseURL: baseURL(), apiKey }).chat(name))
}

const rejected = (promise: Promise<unknown>) =>
  promise.then(
    (answer) => assert.fail(`it answered: ${JSON.stringify(answer)}`),
    (error: unknown) => String(error)
  )

describe.each(Object.entries(clients))("%s, unchanged", (_, client) => {
  it.each(["plain", "lean", "ill-typed"])("completes and streams: %s", async (model) => {
    assert.include(await client.text(model), "simulated")
    assert.include(await client.stream(model), "simulated")
  })

  it.each(["no-done", "thinking"])("streams, whatever the end and the silence: %s", async (model) => {
    assert.include(await client.stream(model), "simulated")
  })

  it.each(["plain", "lean", "ill-typed"])("calls tools: %s", async (model) => {
    assert.deepStrictEqual(await client.tool(model), { name: "get_weather", arguments: { city: "Paris" } })
  })

  it("reports an error", async () => {
    await rejected(client.text("nothing"))
    await rejected(client.stream("nothing"))
  })

  it.each(["breaking", "cut"])("reports a stream that breaks: %s", async (model) => {
    await rejected(client.stream(model))
  })
})
