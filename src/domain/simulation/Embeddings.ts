import { hash64, uniform } from "../basics/Rng.ts"
import { arrayOf, type JsonObject } from "../models/Json.ts"

// Simulated vectors in OpenAI's form: of equal texts equal ones, of length 1.

const shortest = 8
const longest = 4096

const textsOf = (input: unknown): ReadonlyArray<string> => {
  if (typeof input === "string") return [input]
  const list = arrayOf(input)
  // One text of token ids, or several texts.
  return list.every((one) => typeof one === "number") ? [list.join(" ")] : list.map((one) => String(one))
}

const dimensionsOf = ({ dimensions }: JsonObject): number =>
  typeof dimensions === "number" && Number.isInteger(dimensions) ? dimensions : shortest

const vectorOf = (text: string, dimensions: number): ReadonlyArray<number> => {
  const key = hash64(text).join("/")
  const raw = Array.from({ length: dimensions }, (_, at) => uniform(`${key}/${at}`) - 0.5)
  const length = Math.hypot(...raw)
  return raw.map((value) => value / length)
}

const base64Of = (vector: ReadonlyArray<number>): string => {
  const floats = Float32Array.from(vector)
  return Buffer.from(floats.buffer, floats.byteOffset, floats.byteLength).toString("base64")
}

/** Why a model would refuse the body with status 400; null if it is fine. */
export const problemWithEmbeddings = (body: JsonObject): string | null => {
  const { encoding_format: format = "float", input } = body
  if (typeof body["model"] !== "string") return "model must be a string"
  if (typeof input !== "string" && !(Array.isArray(input) && input.length > 0)) {
    return "'$.input' is invalid. Please check the API reference."
  }
  if (input === "") return "Invalid 'input': input cannot be an empty string."
  const dimensions = dimensionsOf(body)
  if (dimensions < 1 || dimensions > longest) return `Invalid 'dimensions': expected a value from 1 to ${longest}.`
  return format === "float" || format === "base64" ? null : "Invalid value for 'encoding_format'."
}

export const embeddedTokens = ({ input }: JsonObject): number =>
  textsOf(input).reduce((sum, text) => sum + Math.max(1, Math.ceil(text.length / 4)), 0)

/** OpenAI's list of vectors. */
export const embeddingsOf = (body: JsonObject, model: string): JsonObject => {
  const tokens = embeddedTokens(body)
  const isCoded = body["encoding_format"] === "base64"
  return {
    object: "list",
    model,
    data: textsOf(body["input"]).map((text, index) => {
      const vector = vectorOf(text, dimensionsOf(body))
      return { object: "embedding", index, embedding: isCoded ? base64Of(vector) : vector }
    }),
    usage: { prompt_tokens: tokens, total_tokens: tokens }
  }
}
