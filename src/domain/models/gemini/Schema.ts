import { arrayOf, isObject, type JsonObject } from "../Json.ts"
import { member } from "./Members.ts"

// Google's own schemas, those of OpenAPI 3.0 with types in capitals, as JSON Schema.
// https://ai.google.dev/api/caching#Schema

/** Counts come as texts, as protocol buffers write numbers of 64 bits. */
const counts = ["minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"] as const
const plain = [
  "title",
  "description",
  "format",
  "pattern",
  "minimum",
  "maximum",
  "enum",
  "required",
  "default"
] as const

const typeOf = (type: unknown): string | null =>
  typeof type === "string" && type !== "TYPE_UNSPECIFIED" ? type.toLowerCase() : null

export const jsonSchemaOf = (given: unknown): JsonObject => {
  if (!isObject(given)) return {}
  const schema: Record<string, unknown> = {}
  const type = typeOf(given["type"])
  const isNullable = given["nullable"] === true
  if (type !== null) schema["type"] = isNullable ? [type, "null"] : type
  for (const name of plain) if (given[name] !== undefined) schema[name] = given[name]
  // It says only that there are values, which is said by them.
  if (schema["format"] === "enum") delete schema["format"]
  for (const name of counts) {
    const count = member(given, name)
    if (count !== undefined) schema[name] = Number(count)
  }
  const { items, properties } = given
  if (isObject(items)) schema["items"] = jsonSchemaOf(items)
  if (isObject(properties)) {
    schema["properties"] = Object.fromEntries(
      Object.entries(properties).map(([name, inner]) => [name, jsonSchemaOf(inner)])
    )
  }
  const anyOf = arrayOf(member(given, "anyOf")).map(jsonSchemaOf)
  if (anyOf.length > 0) schema["anyOf"] = isNullable && type === null ? [...anyOf, { type: "null" }] : anyOf
  return schema
}
