import { arrayOf, isObject, type JsonObject, textOf } from "../models/Json.ts"
import { problemWith, requestFrom, type SimulatedRequest } from "./ChatRequest.ts"

// Anthropic's request as a simulated upstream reads it: as strictly as the vendor's, in its words, and by nothing that
// Conduit's own translation is made of.

/** Members that version 2023-06-01 takes, with the betas that Claude Code sends. */
const members: ReadonlySet<string> = new Set([
  "cache_control",
  "container",
  "context_management",
  "inference_geo",
  "max_tokens",
  "mcp_servers",
  "messages",
  "metadata",
  "mock",
  "model",
  "output_config",
  "service_tier",
  "speed",
  "stop_sequences",
  "stream",
  "system",
  "temperature",
  "thinking",
  "tool_choice",
  "tools",
  "top_k",
  "top_p"
])

/** What a simulated model signs its thoughts with. */
export const mockSignature = "mock-signature"

const contentOf = (message: JsonObject): ReadonlyArray<JsonObject> =>
  typeof message["content"] === "string"
    ? [{ type: "text", text: message["content"] }]
    : arrayOf(message["content"]).filter(isObject)

const isKind =
  (type: string) =>
  (block: JsonObject): boolean =>
    block["type"] === type

const thinks = ({ thinking }: JsonObject): boolean =>
  isObject(thinking) && (thinking["type"] === "enabled" || thinking["type"] === "adaptive")

export const wantsThoughts = thinks

/** What is wrong with one block. */
const blockProblem = (block: JsonObject, path: string): string | null => {
  switch (block["type"]) {
    case "text":
      return (textOf(block["text"]) ?? "").trim() === "" ? `${path}: text content blocks must be non-empty` : null
    case "thinking":
      return String(block["signature"]).startsWith(mockSignature)
        ? null
        : `${path}: Invalid \`signature\` in \`thinking\` block`
    case "tool_use":
      if (!/^[a-zA-Z0-9_-]+$/.test(String(block["id"])))
        return `${path}.id: String should match pattern '^[a-zA-Z0-9_-]+$'`
      return isObject(block["input"]) ? null : `${path}.input: Input should be a valid dictionary`
    case "image":
    case "document":
    case "tool_result":
    case "redacted_thinking":
      return null
    default:
      return `${path}: Input tag '${String(block["type"])}' found using 'type' does not match any of the expected tags`
  }
}

/** Each result belongs to a call of the message before it. */
const loopProblem = (messages: ReadonlyArray<JsonObject>, i: number): string | null => {
  const message = messages[i] ?? {}
  const before = messages.slice(0, i).findLast(({ role }) => role !== "system")
  const called =
    before === undefined
      ? []
      : contentOf(before)
          .filter(isKind("tool_use"))
          .map(({ id }) => id)
  const results = contentOf(message).filter(isKind("tool_result"))
  const stray = results.find(({ tool_use_id: id }) => !called.includes(id))
  if (stray !== undefined) {
    return `messages.${i}.content.0: unexpected \`tool_use_id\` found in \`tool_result\` blocks: ${String(stray["tool_use_id"])}`
  }
  const answered = results.map(({ tool_use_id: id }) => id)
  const left = message["role"] === "user" ? called.find((id) => !answered.includes(id)) : undefined
  return left === undefined
    ? null
    : `messages.${i - 1}: \`tool_use\` ids were found without \`tool_result\` blocks immediately after: ${String(left)}`
}

const messagesProblem = (body: JsonObject): string | null => {
  const messages = arrayOf(body["messages"]).filter(isObject)
  const roles = messages.map(({ role }) => role)
  const wrong = roles.findIndex((role) => role !== "user" && role !== "assistant" && role !== "system")
  if (wrong !== -1) return `messages.${wrong}.role: Input should be 'user', 'assistant' or 'system'`
  if (roles.find((role) => role !== "system") !== "user") return 'messages: first message must use the "user" role'
  for (const [i, message] of messages.entries()) {
    const blocks = contentOf(message)
    if (blocks.length === 0) return `messages.${i}: all messages must have non-empty content`
    for (const [at, block] of blocks.entries()) {
      const problem = blockProblem(block, `messages.${i}.content.${at}`)
      if (problem !== null) return problem
    }
    const problem = loopProblem(messages, i)
    if (problem !== null) return problem
  }
  const last = messages.findLast(({ role }) => role === "assistant")
  const isLoop = messages.at(-1) !== undefined && contentOf(messages.at(-1) ?? {}).some(isKind("tool_result"))
  const first = last === undefined ? undefined : contentOf(last)[0]
  return isLoop && thinks(body) && first?.["type"] === "tool_use"
    ? "messages: Expected `thinking` or `redacted_thinking`, but found `tool_use`. When `thinking` is enabled, a final `assistant` message must start with a thinking block"
    : null
}

const settingsProblem = (body: JsonObject): string | null => {
  const { max_tokens: most, temperature, thinking, tool_choice: choice, top_p: topP } = body
  if (typeof most !== "number") return "max_tokens: Field required"
  if (typeof temperature === "number" && temperature > 1) return "temperature: range: 0..1"
  if (temperature !== undefined && topP !== undefined) {
    return "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
  }
  const type = isObject(choice) ? choice["type"] : undefined
  if (!thinks(body) || !isObject(thinking)) return null
  if (temperature !== undefined && temperature !== 1) {
    return "`temperature` may only be set to 1 when thinking is enabled"
  }
  if (type === "any" || type === "tool") return "Thinking may not be enabled when tool_choice forces tool use."
  const budget = thinking["budget_tokens"]
  if (thinking["type"] === "enabled" && (typeof budget !== "number" || budget < 1024)) {
    return "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
  }
  return typeof budget === "number" && budget >= most
    ? "`max_tokens` must be greater than `thinking.budget_tokens`."
    : null
}

const toolsProblem = ({ tools }: JsonObject): string | null => {
  for (const [i, tool] of arrayOf(tools).entries()) {
    if (!isObject(tool) || !/^[a-zA-Z0-9_-]{1,128}$/.test(String(tool["name"]))) {
      return `tools.${i}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'`
    }
    const schema = tool["input_schema"]
    if (tool["type"] === undefined && (!isObject(schema) || schema["type"] !== "object")) {
      return `tools.${i}.custom.input_schema.type: Field required`
    }
  }
  return null
}

/** Why a model would refuse the body with status 400; null if it is fine. */
export const problemWithMessages = (body: JsonObject): string | null => {
  const unknown = Object.keys(body).find((name) => !members.has(name))
  if (unknown !== undefined) return `${unknown}: Extra inputs are not permitted`
  if (!Array.isArray(body["messages"])) return "messages: Field required"
  return (
    settingsProblem(body) ??
    toolsProblem(body) ??
    messagesProblem(body) ??
    problemWith({ model: body["model"], messages: body["messages"], mock: body["mock"] })
  )
}

const textIn = (content: unknown): string =>
  typeof content === "string"
    ? content
    : arrayOf(content)
        .map((block) => (isObject(block) ? (textOf(block["text"]) ?? textIn(block["content"])) : ""))
        .join("\n")

const choiceOf = (choice: unknown): unknown => {
  if (!isObject(choice)) return undefined
  if (choice["type"] === "tool") return { type: "function", function: { name: choice["name"] } }
  return choice["type"] === "any" ? "required" : choice["type"]
}

/** What a simulated model reads of it. */
export const requestFromMessages = (body: JsonObject): SimulatedRequest => {
  const messages = arrayOf(body["messages"]).filter(isObject)
  const isAnswering = contentOf(messages.at(-1) ?? {}).every(isKind("tool_result"))
  const { output_config: output } = body
  const format = isObject(output) && isObject(output["format"]) ? output["format"] : null
  return requestFrom({
    model: body["model"],
    messages: [
      ...(body["system"] === undefined ? [] : [{ role: "system", content: textIn(body["system"]) }]),
      ...messages.map(({ content, role }, i) => ({
        role: isAnswering && i === messages.length - 1 ? "tool" : role,
        content: textIn(content)
      }))
    ],
    max_tokens: body["max_tokens"],
    stop: body["stop_sequences"],
    tools: arrayOf(body["tools"]).flatMap((tool) =>
      isObject(tool) ? [{ type: "function", function: { name: tool["name"], parameters: tool["input_schema"] } }] : []
    ),
    tool_choice: choiceOf(body["tool_choice"]),
    response_format:
      format === null ? undefined : { type: "json_schema", json_schema: { name: "x", schema: format["schema"] } },
    mock: body["mock"]
  })
}
