import { createOpenAICompatible } from "@ai-sdk/openai-compatible"
import type { AIMessageChunk } from "@langchain/core/messages"
import { ChatOpenAI } from "@langchain/openai"
import { Mistral } from "@mistralai/mistralai"
import { createOpenRouter } from "@openrouter/ai-sdk-provider"
import { generateText, jsonSchema, type LanguageModel, Output, streamText, tool as aiTool, type ToolSet } from "ai"
import OpenAI6 from "openai"
import OpenAI4 from "openai4"
import OpenAI5 from "openai5"
import { type Call, type Got, question, tool } from "./cases.ts"

// The clients in JavaScript, as they are. Each does what it is told in its own way, without retries of its own.

export type JsClient = (baseUrl: string, call: Call) => Promise<Got>

const messages = [{ role: "user" as const, content: question }]
const weather = { type: "function" as const, function: tool }
const schemaFormat = {
  type: "json_schema" as const,
  json_schema: { name: "city", schema: { ...tool.parameters, additionalProperties: false }, strict: true }
}

/** What a client throws, by what it shows of it. */
export const describeError = (error: unknown): NonNullable<Got["error"]> => {
  const shown = typeof error === "object" && error !== null ? (error as Readonly<Record<string, unknown>>) : {}
  const status = shown["status"] ?? shown["statusCode"]
  return {
    class: error instanceof Error ? error.constructor.name : typeof error,
    status: typeof status === "number" ? status : null,
    message: error instanceof Error ? error.message : (JSON.stringify(error) ?? String(error))
  }
}

/** The parts of a call come one after the other, each with the call's index. */
const gathered = () => {
  const calls: Array<{ id: string; name: string; text: string }> = []
  return {
    add: (index: number, part: { readonly id?: unknown; readonly name?: unknown; readonly text?: unknown }) => {
      const call = (calls[index] ??= { id: "", name: "", text: "" })
      call.id ||= String(part.id ?? "")
      call.name += String(part.name ?? "")
      call.text += String(part.text ?? "")
    },
    all: () => calls.map(({ id, name, text }) => ({ id, name, arguments: JSON.parse(text) as unknown }))
  }
}

type Counts = NonNullable<Got["usage"]> | null

const openaiUsage = (usage: { prompt_tokens: number; completion_tokens: number } | null | undefined): Counts =>
  usage === null || usage === undefined ? null : { input: usage.prompt_tokens, output: usage.completion_tokens }

const openai =
  (make: (options: { apiKey: string; baseURL: string; maxRetries: number }) => unknown): JsClient =>
  async (baseURL, { do: what, key, model, usage }) => {
    const client = make({ apiKey: key, baseURL, maxRetries: 0 }) as OpenAI6
    const tools = what === "tools" || what === "streamTools" ? { tools: [weather] } : {}
    if (what === "stream" || what === "streamTools") {
      const got = { text: "", finish: null as string | null, usage: null as Counts }
      const parts = gathered()
      const options = usage ? { stream_options: { include_usage: true } } : {}
      const stream = await client.chat.completions.create({ model, messages, stream: true, ...tools, ...options })
      for await (const chunk of stream) {
        const [choice] = chunk.choices
        got.text += choice?.delta.content ?? ""
        got.finish = choice?.finish_reason ?? got.finish
        got.usage = openaiUsage(chunk.usage) ?? got.usage
        for (const { function: called, id, index } of choice?.delta.tool_calls ?? []) {
          parts.add(index, { id, name: called?.name, text: called?.arguments })
        }
      }
      return { ...got, calls: parts.all() }
    }
    if (what === "structured") {
      const answer = await client.chat.completions.parse({ model, messages, response_format: schemaFormat })
      return { value: answer.choices[0]?.message.parsed }
    }
    const answer = await client.chat.completions.create({ model, messages, ...tools })
    const [choice] = answer.choices
    return {
      text: choice?.message.content ?? null,
      finish: choice?.finish_reason ?? null,
      usage: openaiUsage(answer.usage),
      calls: (choice?.message.tool_calls ?? []).flatMap((call) =>
        call.type === "function"
          ? [{ id: call.id, name: call.function.name, arguments: JSON.parse(call.function.arguments) as unknown }]
          : []
      )
    }
  }

/** The fourth has what is younger than it in `beta`. */
const openai4 = openai((options) => {
  const client = new OpenAI4(options)
  const { completions } = client.beta.chat
  const create = client.chat.completions.create.bind(client.chat.completions)
  return { chat: { completions: { create, parse: completions.parse.bind(completions) } } }
})

const mistralUsage = (
  usage: { promptTokens?: number | undefined; completionTokens?: number | undefined } | undefined
) => (usage === undefined ? null : { input: usage.promptTokens ?? null, output: usage.completionTokens ?? null })

const mistral: JsClient = async (baseUrl, { do: what, key, model }) => {
  const client = new Mistral({ apiKey: key, serverURL: baseUrl.replace(/\/v1$/, "") })
  const tools = what === "tools" || what === "streamTools" ? { tools: [weather] } : {}
  if (what === "stream" || what === "streamTools") {
    const got = { text: "", finish: null as string | null, usage: null as Counts }
    const parts = gathered()
    for await (const { data } of await client.chat.stream({ model, messages, ...tools })) {
      const [choice] = data.choices
      got.text += String(choice?.delta.content ?? "")
      got.finish = choice?.finishReason ?? got.finish
      if (data.usage !== undefined) got.usage = mistralUsage(data.usage)
      for (const { function: called, id, index } of choice?.delta.toolCalls ?? []) {
        // The SDK puts this word where a chunk has no id.
        parts.add(index ?? 0, { id: id === "null" ? "" : id, name: called.name, text: called.arguments })
      }
    }
    return { ...got, calls: parts.all() }
  }
  if (what === "structured") {
    const schema = { name: "city", schemaDefinition: schemaFormat.json_schema.schema, strict: true }
    const answer = await client.chat.complete({
      model,
      messages,
      responseFormat: { type: "json_schema", jsonSchema: schema }
    })
    return { value: JSON.parse(String(answer.choices?.[0]?.message?.content)) as unknown }
  }
  const answer = await client.chat.complete({ model, messages, ...tools })
  const choice = answer.choices?.[0]
  return {
    text: typeof choice?.message?.content === "string" ? choice.message.content : null,
    finish: choice?.finishReason ?? null,
    usage: mistralUsage(answer.usage),
    calls: (choice?.message?.toolCalls ?? []).map(({ function: called, id }) => ({
      id: id ?? null,
      name: called.name,
      arguments: typeof called.arguments === "string" ? (JSON.parse(called.arguments) as unknown) : called.arguments
    }))
  }
}

const langchainUsage = (usage: { input_tokens: number; output_tokens: number } | undefined): Counts =>
  usage === undefined ? null : { input: usage.input_tokens, output: usage.output_tokens }

const langchain: JsClient = async (baseURL, { do: what, key, model, usage }) => {
  const chat = new ChatOpenAI({
    model,
    apiKey: key,
    maxRetries: 0,
    streamUsage: usage,
    configuration: { baseURL }
  })
  if (what === "structured") {
    const schema = { title: "city", ...schemaFormat.json_schema.schema }
    return { value: await chat.withStructuredOutput(schema, { method: "jsonSchema" }).invoke(question) }
  }
  const runnable = what === "tools" || what === "streamTools" ? chat.bindTools([weather]) : chat
  const streamed = async () => {
    let all: AIMessageChunk | undefined
    for await (const chunk of await runnable.stream(question)) all = all?.concat(chunk) ?? chunk
    return all
  }
  const answer = await (what === "stream" || what === "streamTools" ? streamed() : runnable.invoke(question))
  return {
    text: answer?.text ?? null,
    finish: (answer?.response_metadata["finish_reason"] as string | undefined) ?? null,
    usage: langchainUsage(answer?.usage_metadata),
    calls: (answer?.tool_calls ?? []).map(({ args, id, name }) => ({ id: id ?? null, name, arguments: args }))
  }
}

const vercel =
  (of: (baseURL: string, apiKey: string, name: string, usage: boolean) => LanguageModel): JsClient =>
  async (baseURL, { do: what, key, model: name, usage }) => {
    const model = of(baseURL, key, name, usage)
    const withTools = what === "tools" || what === "streamTools"
    const tools = { [tool.name]: aiTool({ inputSchema: jsonSchema(tool.parameters) }) } as unknown as ToolSet
    const shared = { model, prompt: question, maxRetries: 0, ...(withTools ? { tools } : {}) }
    const called = (calls: ReadonlyArray<{ toolCallId: string; toolName: string; input: unknown }>) =>
      calls.map(({ input, toolCallId, toolName }) => ({ id: toolCallId, name: toolName, arguments: input }))
    const counted = (count: { inputTokens: number | undefined; outputTokens: number | undefined }) => ({
      input: count.inputTokens ?? null,
      output: count.outputTokens ?? null
    })
    // Its own names of the finish reasons.
    if (what === "stream" || what === "streamTools") {
      const answer = streamText({ ...shared, onError: () => undefined })
      let text = ""
      for await (const part of answer.fullStream) {
        if (part.type === "error") throw part.error
        if (part.type === "text-delta") text += part.text
      }
      return {
        text,
        finish: await answer.finishReason,
        usage: counted(await answer.usage),
        calls: called(await answer.toolCalls)
      }
    }
    if (what === "structured") {
      const schema = jsonSchema(schemaFormat.json_schema.schema)
      const { output } = await generateText({ ...shared, output: Output.object({ schema }) })
      return { value: output }
    }
    const answer = await generateText(shared)
    return {
      text: answer.text,
      finish: answer.finishReason,
      usage: counted(answer.usage),
      calls: called(answer.toolCalls)
    }
  }

/** By the name that stands in the table of clients. */
export const jsClients: Readonly<Record<string, JsClient>> = {
  "openai-4": openai4,
  "openai-5": openai((options) => new OpenAI5(options)),
  "openai-6": openai((options) => new OpenAI6(options)),
  mistralai: mistral,
  "langchain-js": langchain,
  "ai-compatible": vercel((baseURL, apiKey, name, includeUsage) =>
    createOpenAICompatible({ name: "conduit", baseURL, apiKey, includeUsage, supportsStructuredOutputs: true })(name)
  ),
  "ai-openrouter": vercel((baseURL, apiKey, name) =>
    createOpenRouter({ baseURL, apiKey, compatibility: "strict" }).chat(name)
  )
}
