import * as Predicate from "effect/Predicate"
import { isScenario, type ScenarioName, scenarioNames } from "./Scenario.ts"
import { type Fault, faults } from "./Script.ts"

type Json = Readonly<Record<string, unknown>>

/** What a simulated model reads of an OpenAI chat request; everything else is ignored. */
export interface SimulatedRequest {
  /** All text of all messages. */
  readonly prompt: string
  /** Text of the last message of the user. */
  readonly question: string
  readonly promptTokens: number
  readonly n: number
  readonly maxTokens: number | null
  readonly stop: ReadonlyArray<string>
  readonly includeUsage: boolean
  readonly tools: ReadonlyArray<{ readonly name: string; readonly parameters: unknown }>
  /** A tool's name, or `required`, or `auto`, or `none`. */
  readonly toolChoice:
    | { readonly type: "auto" | "none" | "required" }
    | { readonly type: "named"; readonly name: string }
  /** Whether the last message is a tool's result. */
  readonly answersTool: boolean
  readonly format: { readonly type: "text" | "json" } | { readonly type: "schema"; readonly schema: unknown }
  readonly directives: Directives
}

/** The `mock` object of a request body: what this call shall do, for tests and demonstrations. */
export interface Directives {
  /** Hold the answer before its first byte until this gate is opened. */
  readonly gate: string | null
  /** Hold a stream at the gate after so many events instead. */
  readonly gateAfter: number | null
  readonly fault: Fault | null
  /** What happens on the wire. */
  readonly scenario: ScenarioName | null
  /** Break the connection after so many bytes of the body. */
  readonly cutAfter: number | null
  /** End the body properly after so many bytes. */
  readonly endAfter: number | null
  /** The fault, the scenario and the cut apply only to the model of this name. */
  readonly only: string | null
  /** Time to the first token, milliseconds. */
  readonly delayMs: number | null
  /** Time between two tokens, milliseconds. */
  readonly tokenMs: number | null
  readonly tokens: number | null
  readonly text: string | null
}

const textOf = (content: unknown): string => {
  if (typeof content === "string") return content
  if (!Array.isArray(content)) return ""
  return content
    .map((part) => (Predicate.isReadonlyRecord(part) && typeof part["text"] === "string" ? part["text"] : ""))
    .join("\n")
}

const isCount = (value: unknown, most: number): value is number =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= most

/** What one request can make a simulated model write, in tokens (of a text, in characters). */
const maxTokensAsked = 1_000_000

const directiveChecks: Readonly<Record<string, readonly [check: (value: unknown) => boolean, right: string]>> = {
  gate: [(v) => typeof v === "string" && v.length > 0 && v.length <= 64, "a name of 1 to 64 characters"],
  gate_after: [(v) => isCount(v, 1_000_000), "a number of events"],
  fault: [(v) => faults.some((fault) => fault === v), `one of ${faults.join(", ")}`],
  scenario: [isScenario, `one of ${scenarioNames.join(", ")}`],
  cut_after: [(v) => isCount(v, 1_000_000_000), "a number of bytes"],
  end_after: [(v) => isCount(v, 1_000_000_000), "a number of bytes"],
  only: [(v) => typeof v === "string", "a model's name"],
  delay_ms: [(v) => isCount(v, 3_600_000), "whole milliseconds up to an hour"],
  token_ms: [(v) => isCount(v, 60_000), "whole milliseconds up to a minute"],
  tokens: [(v) => isCount(v, maxTokensAsked) && v !== 0, `1 to ${maxTokensAsked}`],
  text: [(v) => typeof v === "string" && v.length > 0, "a text"]
}

/** Why a model would refuse the body with status 400; null if it is fine. */
export const problemWith = (body: Json): string | null => {
  if (typeof body["model"] !== "string") return "model must be a string"
  const messages = body["messages"]
  if (!Array.isArray(messages) || messages.length === 0) return "messages must be a non-empty array"
  if (!messages.every((m) => Predicate.isReadonlyRecord(m) && typeof m["role"] === "string"))
    return "each message must have a role"
  const n = body["n"] ?? 1
  if (!isCount(n, 128) || n === 0) return "n must be 1 to 128"
  const mock = body["mock"]
  if (mock === undefined) return null
  if (!Predicate.isReadonlyRecord(mock)) return "mock must be an object"
  for (const [key, value] of Object.entries(mock)) {
    const check = directiveChecks[key]
    if (check === undefined) return `mock.${key} is unknown; there are ${Object.keys(directiveChecks).join(", ")}`
    if (!check[0](value)) return `mock.${key} must be ${check[1]}`
  }
  const { text, tokens } = directivesOf(mock)
  return n * (text?.length ?? tokens ?? 0) > maxTokensAsked
    ? `mock.text or mock.tokens, times n, must be at most ${maxTokensAsked}`
    : null
}

const toolChoiceOf = (choice: unknown): SimulatedRequest["toolChoice"] => {
  if (choice === "none" || choice === "required") return { type: choice }
  if (
    Predicate.isReadonlyRecord(choice) &&
    Predicate.isReadonlyRecord(choice["function"]) &&
    typeof choice["function"]["name"] === "string"
  ) {
    return { type: "named", name: choice["function"]["name"] }
  }
  return { type: "auto" }
}

const formatOf = (format: unknown): SimulatedRequest["format"] => {
  if (!Predicate.isReadonlyRecord(format)) return { type: "text" }
  if (format["type"] === "json_object") return { type: "json" }
  if (format["type"] !== "json_schema") return { type: "text" }
  return {
    type: "schema",
    schema: Predicate.isReadonlyRecord(format["json_schema"]) ? format["json_schema"]["schema"] : undefined
  }
}

const string = (value: unknown) => (typeof value === "string" ? value : null)
const number = (value: unknown) => (typeof value === "number" ? value : null)

const directivesOf = (mock: unknown): Directives => {
  const given: Json = Predicate.isReadonlyRecord(mock) ? mock : {}
  return {
    gate: string(given["gate"]),
    gateAfter: number(given["gate_after"]),
    fault: faults.find((fault) => fault === given["fault"]) ?? null,
    scenario: isScenario(given["scenario"]) ? given["scenario"] : null,
    cutAfter: number(given["cut_after"]),
    endAfter: number(given["end_after"]),
    only: string(given["only"]),
    delayMs: number(given["delay_ms"]),
    tokenMs: number(given["token_ms"]),
    tokens: number(given["tokens"]),
    text: string(given["text"])
  }
}

/** Reads a body that `problemWith` accepts; of any other it makes what it can. */
export const requestFrom = (body: Json): SimulatedRequest => {
  const messages = (Array.isArray(body["messages"]) ? body["messages"] : []).filter(Predicate.isReadonlyRecord)
  const prompt = messages.map((m) => textOf(m["content"])).join("\n")
  const tools = (Array.isArray(body["tools"]) ? body["tools"] : []).flatMap((tool) => {
    const described = Predicate.isReadonlyRecord(tool) ? tool["function"] : undefined
    return Predicate.isReadonlyRecord(described) && typeof described["name"] === "string"
      ? [{ name: described["name"], parameters: described["parameters"] }]
      : []
  })
  const maxTokens = body["max_completion_tokens"] ?? body["max_tokens"]
  const stop = body["stop"]
  const streamOptions = body["stream_options"]
  return {
    prompt,
    question: textOf(messages.findLast((m) => m["role"] === "user")?.["content"]),
    promptTokens: Math.max(1, Math.ceil(prompt.length / 4)),
    n: isCount(body["n"], 128) && body["n"] > 0 ? body["n"] : 1,
    maxTokens: typeof maxTokens === "number" && maxTokens >= 1 ? Math.floor(maxTokens) : null,
    stop: (Array.isArray(stop) ? stop : [stop]).filter((s) => typeof s === "string" && s !== ""),
    includeUsage: Predicate.isReadonlyRecord(streamOptions) && streamOptions["include_usage"] === true,
    tools,
    toolChoice: toolChoiceOf(body["tool_choice"]),
    answersTool: messages.at(-1)?.["role"] === "tool",
    format: formatOf(body["response_format"]),
    directives: directivesOf(body["mock"])
  }
}
