import * as Predicate from "effect/Predicate"

const maxDepth = 12
/** A schema may refer to itself many times over: about so many characters are made, then only nulls. */
const maxChars = 100_000
const maxTextChars = 1000

/** The schema that a local `$ref` such as `#/$defs/city` points to. */
const resolve = (root: unknown, ref: string): unknown =>
  ref
    .replace(/^#\/?/, "")
    .split("/")
    .filter((key) => key !== "")
    .reduce<unknown>(
      (at, key) => (Predicate.isReadonlyRecord(at) ? at[key.replaceAll("~1", "/").replaceAll("~0", "~")] : undefined),
      root
    )

const stringFor = (schema: Readonly<Record<string, unknown>>, name: string, hint: string): string => {
  switch (schema["format"]) {
    case "date-time":
      return "2026-01-01T00:00:00Z"
    case "date":
      return "2026-01-01"
    case "time":
      return "12:00:00Z"
    case "email":
      return "someone@example.com"
    case "uri":
      return "https://example.com/"
    case "uuid":
      return "00000000-0000-4000-8000-000000000000"
  }
  const proper = hint.match(/(?<=\s)\p{Lu}\p{L}+(?: \p{Lu}\p{L}+)*/u)?.[0]
  const text =
    /city|location|place|country|person|name/i.test(name) && proper !== undefined ? proper : hint || "example"
  const least = typeof schema["minLength"] === "number" ? Math.min(schema["minLength"], maxTextChars) : 0
  const most = typeof schema["maxLength"] === "number" ? Math.min(schema["maxLength"], maxTextChars) : 200
  return text.slice(0, Math.max(least, most)).padEnd(least, "x")
}

const numberFor = (schema: Readonly<Record<string, unknown>>, hint: string): number => {
  const found = hint.match(/-?\d+(?:\.\d+)?/)?.[0]
  const whole = schema["type"] === "integer"
  const bound = (key: string, otherwise: number) => {
    const value = schema[key]
    return typeof value === "number" ? value : otherwise
  }
  const step = whole ? 1 : 0.5
  const low = Math.max(bound("minimum", -Infinity), bound("exclusiveMinimum", -Infinity) + step)
  const high = Math.min(bound("maximum", Infinity), bound("exclusiveMaximum", Infinity) - step)
  const value = Math.min(high, Math.max(low, found === undefined ? 1 : Number(found)))
  return whole ? Math.round(value) : value
}

const isScalar = (value: unknown) =>
  value === null ||
  typeof value === "number" ||
  typeof value === "boolean" ||
  (typeof value === "string" && value.length <= maxTextChars)

/**
 * A value that fits the JSON schema (its common keywords; of given values the scalar ones), with words and numbers from
 * `hint`. Optional properties are left out, unless nothing is required.
 */
export const sampleOf = (schema: unknown, hint: string): unknown =>
  sample(schema, hint.slice(0, maxTextChars), "", 0, { root: schema, chars: maxChars })

const sample = (
  schema: unknown,
  hint: string,
  name: string,
  depth: number,
  shared: { readonly root: unknown; chars: number }
): unknown => {
  if (!Predicate.isReadonlyRecord(schema) || depth > maxDepth) return {}
  shared.chars -= 8 + name.length
  if (shared.chars < 0) return null
  const inner = (of: unknown, key = name) => sample(of, hint, key, depth + 1, shared)
  if (typeof schema["$ref"] === "string") return inner(resolve(shared.root, schema["$ref"]))
  for (const key of ["const", "default"]) if (isScalar(schema[key])) return schema[key]
  for (const key of ["enum", "examples"]) {
    const values = Array.isArray(schema[key]) ? schema[key].filter(isScalar) : []
    if (values.length > 0) {
      return values.find((value) => typeof value === "string" && hint.includes(value)) ?? values[0]
    }
  }
  for (const key of ["anyOf", "oneOf"]) {
    const branches = schema[key]
    if (Array.isArray(branches) && branches.length > 0) return inner(branches[0])
  }
  const all = schema["allOf"]
  if (Array.isArray(all)) return Object.assign({}, ...all.map((part) => inner(part)))
  const type = Array.isArray(schema["type"]) ? schema["type"].find((t) => t !== "null") : schema["type"]
  switch (type ?? (Predicate.isReadonlyRecord(schema["properties"]) ? "object" : "string")) {
    case "object": {
      const properties = Predicate.isReadonlyRecord(schema["properties"]) ? schema["properties"] : {}
      const required = Array.isArray(schema["required"]) ? schema["required"] : []
      const keys = required.length > 0 ? required.filter((key) => typeof key === "string") : Object.keys(properties)
      return Object.fromEntries(keys.map((key) => [key, inner(properties[key] ?? { type: "string" }, key)]))
    }
    case "array": {
      const least = typeof schema["minItems"] === "number" ? Math.min(schema["minItems"], 100) : 1
      return Array.from({ length: least }, () => inner(schema["items"] ?? { type: "string" }))
    }
    case "integer":
    case "number":
      return numberFor({ ...schema, type }, hint)
    case "boolean":
      return true
    case "null":
      return null
    default:
      return stringFor(schema, name, hint)
  }
}
