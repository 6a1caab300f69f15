import { withMembers } from "../basics/JsonText.ts"
import type { StreamFailure } from "./AnswerStream.ts"
import { errorIn } from "./ErrorSaid.ts"
import type { Label } from "./Form.ts"
import { arrayOf, isObject, type JsonObject, parseJson, textOf } from "./Json.ts"
import { usageIn } from "./Said.ts"
import type { WholeAnswer } from "./WholeAnswer.ts"

// OpenAI's Embeddings: the answer. https://platform.openai.com/docs/api-reference/embeddings/object

const failed = (reason: StreamFailure["reason"], detail: string): StreamFailure => ({ reason, error: null, detail })

/** Reads the body of an answer of status 2xx; why it is no answer, if it is none. */
export const readEmbeddings = (json: string, label: Label): WholeAnswer | StreamFailure => {
  const body = parseJson(json)
  const error = errorIn(body)
  if (error !== null) return { reason: "reported", error, detail: error.message ?? "the provider reported an error" }
  if (!isObject(body)) return failed("bad_answer", "the answer is not a JSON object")
  const vectors = arrayOf(body["data"])
  if (vectors.length === 0 || !vectors.every(isVector)) return failed("bad_answer", "the answer has no embeddings")
  return {
    text: withMembers(
      json,
      new Map([
        ["model", JSON.stringify(label.model)],
        // By which feedback names the decision; and Mistral's client wants one.
        ["id", JSON.stringify(label.id)],
        ...(body["object"] === "list" ? [] : [["object", '"list"'] as const])
      ])
    ),
    said: {
      id: textOf(body["id"]),
      usage: usageIn(body),
      finishReason: null,
      servedModel: textOf(body["model"]),
      isRefusal: false,
      characters: 0,
      toolCallIds: []
    }
  }
}

const isVector = (item: unknown): item is JsonObject =>
  isObject(item) && (typeof item["embedding"] === "string" || Array.isArray(item["embedding"]))

/** The form of a vector: numbers, or float32 in little endian as base64. */
export type EncodingFormat = "float" | "base64"

const toBase64 = (numbers: ReadonlyArray<unknown>): string => {
  const bytes = Buffer.alloc(4 * numbers.length)
  numbers.forEach((number, i) => bytes.writeFloatLE(Number(number), 4 * i))
  return bytes.toString("base64")
}

const toNumbers = (base64: string): ReadonlyArray<number> => {
  const bytes = Buffer.from(base64, "base64")
  return Array.from({ length: Math.floor(bytes.length / 4) }, (_, i) => bytes.readFloatLE(4 * i))
}

/** The answer with its vectors in the form that was asked for, which some upstreams do not look at. */
export const inFormat = (text: string, format: EncodingFormat): string => {
  const body = parseJson(text)
  if (!isObject(body)) return text
  const isRight = (embedding: unknown) => (typeof embedding === "string") === (format === "base64")
  const vectors = arrayOf(body["data"]).filter(isVector)
  if (vectors.every(({ embedding }) => isRight(embedding))) return text
  const data = vectors.map(({ embedding, ...more }) => ({
    ...more,
    embedding: isRight(embedding)
      ? embedding
      : typeof embedding === "string"
        ? toNumbers(embedding)
        : toBase64(arrayOf(embedding))
  }))
  return JSON.stringify({ ...body, data })
}
