import { arrayOf, isObject, type JsonObject, textOf } from "../models/Json.ts"
import { problemWith, requestFrom, type SimulatedRequest } from "./ChatRequest.ts"

// A request of OpenAI's Responses as a simulated upstream reads it: as strictly as the vendor's, in its words, and by
// nothing that Conduit's own translation is made of.

const members: ReadonlySet<string> = new Set([
  "background",
  "client_metadata",
  "context_management",
  "conversation",
  "include",
  "input",
  "instructions",
  "max_output_tokens",
  "max_tool_calls",
  "metadata",
  "mock",
  "model",
  "moderation",
  "parallel_tool_calls",
  "previous_response_id",
  "prompt",
  "prompt_cache_key",
  "prompt_cache_options",
  "prompt_cache_retention",
  "reasoning",
  "safety_identifier",
  "service_tier",
  "store",
  "stream",
  "stream_options",
  "temperature",
  "text",
  "tool_choice",
  "tools",
  "top_logprobs",
  "top_p",
  "truncation",
  "user"
])

/** The API takes no fewer. */
const leastOutput = 16

/** What thoughts are sealed with: only the model that sealed them can read them. */
export const sealOf = (model: unknown): string => `mock-sealed-${String(model)}`

/** What the ids of answers begin with that this upstream has kept. */
export const keptPrefix = "resp_mock_"

const itemsOf = ({ input }: JsonObject): ReadonlyArray<JsonObject> =>
  typeof input === "string" ? [{ role: "user", content: input }] : arrayOf(input).filter(isObject)

const typeOf = (item: JsonObject): string => textOf(item["type"]) ?? "message"

/** What ids of items begin with, by their type. */
const prefixes: Readonly<Record<string, string>> = {
  message: "msg",
  function_call: "fc",
  custom_tool_call: "ctc",
  reasoning: "rs"
}

const partTypes: Readonly<Record<string, ReadonlyArray<string>>> = {
  assistant: ["output_text", "refusal"],
  user: ["input_text", "input_image", "input_file", "input_audio"],
  system: ["input_text", "input_image", "input_file"],
  developer: ["input_text", "input_image", "input_file"]
}

const partProblem = (item: JsonObject, path: string): string | null => {
  const allowed = partTypes[String(item["role"])]
  if (allowed === undefined) return `Invalid value: '${String(item["role"])}' for '${path}.role'.`
  for (const [i, part] of arrayOf(item["content"]).entries()) {
    const type = isObject(part) ? String(part["type"]) : "none"
    if (allowed.includes(type)) continue
    const words = allowed.map((word) => `'${word}'`).join(", ")
    return `Invalid value: '${type}'. Supported values are: ${words}. (${path}.content[${i}])`
  }
  return null
}

const itemProblem = (item: JsonObject, i: number, body: JsonObject): string | null => {
  const path = `input[${i}]`
  const type = typeOf(item)
  const id = textOf(item["id"])
  const prefix = prefixes[type]
  if (id !== null && prefix !== undefined && !id.startsWith(prefix)) {
    return `Invalid '${path}.id': '${id}'. Expected an ID that begins with '${prefix}'.`
  }
  switch (type) {
    case "message":
      return typeof item["content"] === "string" ? null : partProblem(item, path)
    case "function_call":
      return typeof item["arguments"] === "string" ? null : `Missing required parameter: '${path}.arguments'.`
    case "reasoning": {
      const sealed = textOf(item["encrypted_content"])
      if (!Array.isArray(item["summary"])) return `Missing required parameter: '${path}.summary'.`
      return sealed === null || sealed === sealOf(body["model"])
        ? null
        : "The encrypted content could not be verified. Reason: Encrypted content could not be decrypted or parsed."
    }
    default:
      return null
  }
}

const isCall = (item: JsonObject) => typeOf(item) === "function_call" || typeOf(item) === "custom_tool_call"
const isOutput = (item: JsonObject) =>
  typeOf(item) === "function_call_output" || typeOf(item) === "custom_tool_call_output"

/** Each output belongs to a call, and each call has its output. */
const loopProblem = (items: ReadonlyArray<JsonObject>, body: JsonObject): string | null => {
  const called = items.filter(isCall).map((item) => String(item["call_id"]))
  const answered = items.filter(isOutput).map((item) => String(item["call_id"]))
  const stray = answered.find((id) => !called.includes(id))
  if (stray !== undefined && textOf(body["previous_response_id"]) === null) {
    return `No tool call found for function call output with call_id ${stray}.`
  }
  const left = called.find((id) => !answered.includes(id))
  return left === undefined ? null : `No tool output found for function call ${left}.`
}

const toolsProblem = ({ tools }: JsonObject): string | null => {
  for (const [i, tool] of arrayOf(tools).entries()) {
    if (!isObject(tool)) return `Invalid type for 'tools[${i}]': expected an object.`
    if (tool["type"] === "function" && textOf(tool["name"]) === null) {
      return `Missing required parameter: 'tools[${i}].name'.`
    }
  }
  return null
}

const settingsProblem = (body: JsonObject): string | null => {
  const { input, max_output_tokens: most, previous_response_id: previous } = body
  const hasInput = typeof input === "string" || Array.isArray(input)
  const isTold = ["previous_response_id", "conversation", "prompt"].some((name) => body[name] !== undefined)
  if (!hasInput && !isTold) return "Missing required parameter: 'input'."
  if (typeof most === "number" && most < leastOutput) {
    return `Invalid 'max_output_tokens': integer below minimum value. Expected a value >= ${leastOutput}, but got ${most} instead.`
  }
  return typeof previous === "string" && !previous.startsWith(keptPrefix)
    ? `Previous response with id '${previous}' not found.`
    : null
}

/** Why a model would refuse the body with status 400; null if it is fine. */
export const problemWithResponses = (body: JsonObject): string | null => {
  const unknown = Object.keys(body).find((name) => !members.has(name))
  if (unknown !== undefined) return `Unknown parameter: '${unknown}'.`
  const items = itemsOf(body)
  return (
    settingsProblem(body) ??
    items.map((item, i) => itemProblem(item, i, body)).find((problem) => problem !== null) ??
    toolsProblem(body) ??
    loopProblem(items, body) ??
    problemWith({ model: body["model"], messages: [{ role: "user" }], mock: body["mock"] })
  )
}

const textIn = (content: unknown): string =>
  typeof content === "string"
    ? content
    : arrayOf(content)
        .map((part) => (isObject(part) ? (textOf(part["text"]) ?? "") : ""))
        .join("\n")

const messageOf = (item: JsonObject): JsonObject =>
  isOutput(item)
    ? { role: "tool", content: textIn(item["output"]) }
    : { role: textOf(item["role"]) ?? "assistant", content: textIn(item["content"]) }

const choiceOf = (choice: unknown): unknown =>
  isObject(choice) ? { type: "function", function: { name: choice["name"] } } : choice

/** Functions, those of a group by their own names. */
const functionsOf = (tools: unknown): ReadonlyArray<JsonObject> =>
  arrayOf(tools).flatMap((tool) => {
    if (!isObject(tool)) return []
    if (tool["type"] === "namespace") return functionsOf(tool["tools"])
    const { name, parameters } = tool
    return tool["type"] === "function" ? [{ type: "function", function: { name, parameters } }] : []
  })

/** What a simulated model reads of it. */
export const requestFromResponses = (body: JsonObject): SimulatedRequest => {
  const { instructions, text } = body
  const format = isObject(text) && isObject(text["format"]) ? text["format"] : null
  return requestFrom({
    model: body["model"],
    messages: [
      ...(textOf(instructions) === null ? [] : [{ role: "system", content: instructions }]),
      ...itemsOf(body).map(messageOf)
    ],
    max_tokens: body["max_output_tokens"],
    tools: functionsOf(body["tools"]),
    tool_choice: choiceOf(body["tool_choice"]),
    response_format:
      format?.["type"] === "json_schema"
        ? { type: "json_schema", json_schema: { name: "x", schema: format["schema"] } }
        : (format ?? undefined),
    mock: body["mock"]
  })
}

/** Whether the answer begins with thoughts. */
export const thinksFor = ({ reasoning }: JsonObject): boolean =>
  isObject(reasoning) && textOf(reasoning["effort"]) !== null && reasoning["effort"] !== "none"

/** Whether thoughts come back sealed. */
export const sealsFor = ({ include }: JsonObject): boolean => arrayOf(include).includes("reasoning.encrypted_content")
