import { withMembers } from "../../basics/JsonText.ts"
import type { StreamFailure } from "../AnswerStream.ts"
import { errorIn, errorOf } from "../ErrorSaid.ts"
import type { Label } from "../Form.ts"
import { arrayOf, isObject, type JsonObject, parseJson, textOf } from "../Json.ts"
import { type Said, usageIn } from "../Said.ts"
import type { WholeAnswer } from "../WholeAnswer.ts"
import { partsOf } from "./Answer.ts"
import { keptId } from "./ResponseId.ts"
import { sealedBy } from "./Sealed.ts"

// An answer of an upstream that speaks Responses, for a client that does too.

/** What strict clients miss where an upstream leaves it out; most leave out nothing. */
const expected: Readonly<Record<string, string>> = {
  object: '"response"',
  error: "null",
  incomplete_details: "null",
  instructions: "null",
  metadata: "{}",
  output: "[]",
  parallel_tool_calls: "true",
  temperature: "1",
  tool_choice: '"auto"',
  tools: "[]",
  top_p: "1"
}

const countDetails: Readonly<Record<string, string>> = {
  input_tokens_details: '{"cached_tokens":0}',
  output_tokens_details: '{"reasoning_tokens":0}'
}

const missingOf = (object: JsonObject, names: Readonly<Record<string, string>>): ReadonlyMap<string, string> =>
  new Map(Object.entries(names).filter(([name]) => object[name] === undefined))

const usageJson = (usage: JsonObject): ReadonlyArray<readonly [string, string]> => {
  const missing = missingOf(usage, countDetails)
  return missing.size === 0 ? [] : [["usage", withMembers(JSON.stringify(usage), missing)]]
}

const outputJson = (output: unknown, provider: string): ReadonlyArray<readonly [string, string]> =>
  arrayOf(output).some((item) => isObject(item) && textOf(item["encrypted_content"]) !== null)
    ? [["output", JSON.stringify(arrayOf(output).map((item) => sealedBy(item, provider)))]]
    : []

/** By which the client knows the answer: one that its upstream keeps says where it is. */
const idOf = ({ id, keeps, provider }: Label, given: unknown): string => {
  const own = textOf(given)
  return keeps !== true || own === null || provider === undefined ? id : keptId(id, { provider, id: own })
}

/** The response object, every byte as it came but for the model's name, the id, sealed thoughts and what it lacks. */
export const mendedResponse = (json: string, response: JsonObject, label: Label, status: string): string =>
  withMembers(
    json,
    new Map([
      ...missingOf(response, { ...expected, created_at: String(label.createdSeconds), status: JSON.stringify(status) }),
      ["model", JSON.stringify(label.model)],
      ["id", JSON.stringify(idOf(label, response["id"]))],
      ...(textOf(response["previous_response_id"]) === null || label.previousId === undefined
        ? []
        : [["previous_response_id", JSON.stringify(label.previousId)] as const]),
      ...outputJson(response["output"], label.provider ?? ""),
      ...(isObject(response["usage"]) ? usageJson(response["usage"]) : [])
    ])
  )

/** Its own word: why it is not whole, or its status. */
const finishOf = (response: JsonObject): string | null => {
  const details = response["incomplete_details"]
  return (isObject(details) ? textOf(details["reason"]) : null) ?? textOf(response["status"])
}

/** What a response has said of itself. */
export const saidOf = (response: JsonObject): Said => {
  const parts = arrayOf(response["output"]).flatMap((item) => (isObject(item) ? partsOf(item) : []))
  const finishReason = finishOf(response)
  return {
    id: textOf(response["id"]),
    usage: usageIn(response),
    finishReason,
    servedModel: textOf(response["model"]),
    isRefusal: finishReason === "content_filter" || parts.some(({ type }) => type === "refusal"),
    characters: parts.reduce(
      (sum, part) => sum + (part.type === "call" ? part.input.length : "text" in part ? part.text.length : 0),
      0
    ),
    toolCallIds: parts.flatMap((part) => (part.type === "call" ? [part.id] : []))
  }
}

/** It came to its end by itself and says nothing. */
export const isEmpty = (response: JsonObject): boolean =>
  (response["status"] ?? "completed") === "completed" &&
  arrayOf(response["output"]).length === 0 &&
  !(isObject(response["usage"]) && Number(response["usage"]["output_tokens"] ?? 0) > 0)

const failed = (reason: StreamFailure["reason"], detail: string): StreamFailure => ({ reason, error: null, detail })

/** Why a response whose status is `failed` or `cancelled` is none. */
export const failureIn = (response: JsonObject): StreamFailure => {
  const error = errorOf(response["error"] ?? `the response is ${textOf(response["status"]) ?? "failed"}`)
  return { reason: "reported", error, detail: error.message ?? "the provider reported an error" }
}

const isFailed = ({ status }: JsonObject): boolean => status === "failed" || status === "cancelled"

/** Reads the body of an answer of status 2xx; why it is no answer, if it is none. */
export const readResponse = (json: string, label: Label): WholeAnswer | StreamFailure => {
  const body = parseJson(json)
  if (isObject(body) && isFailed(body)) return failureIn(body)
  const error = errorIn(body)
  if (error !== null) return { reason: "reported", error, detail: error.message ?? "the provider reported an error" }
  if (!isObject(body)) return failed("bad_answer", "the answer is not a JSON object")
  // One that runs in the background has no output yet.
  if (!Array.isArray(body["output"]) && body["object"] !== "response") {
    return failed("bad_answer", "the answer has no output")
  }
  if (isEmpty(body)) return failed("empty", "the answer is empty")
  return { text: mendedResponse(json, body, label, "completed"), said: saidOf(body) }
}
