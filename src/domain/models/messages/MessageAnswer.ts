import { withMembers } from "../../basics/JsonText.ts"
import type { StreamFailure } from "../AnswerStream.ts"
import { errorIn } from "../ErrorSaid.ts"
import type { Label } from "../Form.ts"
import { arrayOf, isObject, type JsonObject, parseJson, partsText, partsThinking, textOf } from "../Json.ts"
import type { WholeAnswer } from "../WholeAnswer.ts"

/** What a message lacks that clients look for; most lack nothing. */
export const mendedMessage = (json: string, message: JsonObject, label: Label): string =>
  withMembers(
    json,
    new Map([
      ["model", JSON.stringify(label.model)],
      // By which feedback names the decision.
      ["id", JSON.stringify(label.id)],
      ...(message["type"] === "message" ? [] : [["type", '"message"'] as const]),
      ...(message["role"] === "assistant" ? [] : [["role", '"assistant"'] as const])
    ])
  )

const failed = (reason: StreamFailure["reason"], detail: string): StreamFailure => ({ reason, error: null, detail })

/** Reads the body of an answer of status 2xx for a client of the same protocol; why it is no answer, if it is none. */
export const readMessage = (json: string, label: Label): WholeAnswer | StreamFailure => {
  const body = parseJson(json)
  const error = errorIn(body)
  if (error !== null) return { reason: "reported", error, detail: error.message ?? "the provider reported an error" }
  if (!isObject(body)) return failed("bad_answer", "the answer is not a JSON object")
  const { content, stop_reason: reason, usage } = body
  if (!Array.isArray(content)) return failed("bad_answer", "the answer has no content")
  const counts = isObject(usage) ? usage : null
  const isAnswer = content.length > 0 || reason !== "end_turn" || Number(counts?.["output_tokens"] ?? 0) > 0
  if (!isAnswer) return failed("empty", "the answer is empty")
  const calls = arrayOf(content)
    .filter(isObject)
    .filter(({ type }) => type === "tool_use")
  return {
    text: mendedMessage(json, body, label),
    said: {
      id: textOf(body["id"]),
      usage: counts,
      finishReason: textOf(reason),
      servedModel: textOf(body["model"]),
      isRefusal: reason === "refusal",
      characters:
        partsText(content).length +
        partsThinking(content).length +
        calls.reduce((sum, { input }) => sum + (JSON.stringify(input)?.length ?? 0), 0),
      toolCallIds: calls.flatMap(({ id }) => textOf(id) ?? [])
    }
  }
}
