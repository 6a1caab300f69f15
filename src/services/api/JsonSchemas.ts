import * as JSONSchema from "effect/JSONSchema"
import type * as Schema from "effect/Schema"

export type Json = Readonly<Record<string, unknown>>

const definitionPath = "#/components/schemas/"

/**
 * JSON Schemas (2020-12, as OpenAPI 3.1 has them) of Effect's schemas. Those with an identifier are kept once and
 * referred to. What tools other than Effect stop at is left out or written plainly: `$id`, names of checks, references
 * to scalars, unions of one, and `anyOf` where a type may also be null. Whole, because every rule calls the others on
 * what is inside.
 */
export class JsonSchemas {
  readonly #definitions: Record<string, JSONSchema.JsonSchema7> = {}

  /** `open`: members that are not named here are allowed, as in answers, which may grow. */
  of(schema: Schema.Schema.AnyNoContext, members: "open" | "closed"): Json {
    return this.#plain({
      ...JSONSchema.fromAST(schema.ast, {
        definitions: this.#definitions,
        definitionPath,
        target: "openApi3.1",
        additionalPropertiesStrategy: members === "open" ? "allow" : "strict"
      })
    })
  }

  /** All that have been referred to so far, by name. */
  get named(): Readonly<Record<string, Json>> {
    const all: Record<string, Json> = {}
    for (const [name, definition] of Object.entries(this.#definitions)) {
      if (!isScalar(definition)) all[name] = this.#plain({ ...definition })
    }
    return all
  }

  #plain(schema: Json): Json {
    const { $id, $ref, additionalProperties, allOf, anyOf, properties, required, title: _, ...rest } = schema
    // Of the schema for anything, only what was said about it is left.
    if (typeof $id === "string") return rest
    if (typeof $ref === "string") return this.#reference($ref, rest)
    const items = isSchema(rest["items"]) ? { items: this.#plain(rest["items"]) } : {}
    const plain: Json = {
      ...rest,
      ...items,
      ...(isSchema(properties)
        ? { properties: mapValues(properties, (value) => (isSchema(value) ? this.#plain(value) : value)) }
        : {}),
      ...(Array.isArray(required) && required.length > 0 ? { required } : {}),
      ...(additionalProperties === undefined ? {} : { additionalProperties: this.#additional(additionalProperties) })
    }
    if (Array.isArray(allOf)) return this.#merged(allOf.filter(isSchema), plain)
    return Array.isArray(anyOf) ? this.#union(anyOf.filter(isSchema), plain) : plain
  }

  #additional(schema: unknown): unknown {
    if (!isSchema(schema)) return schema
    const plain = this.#plain(schema)
    return Object.keys(plain).length === 0 ? true : plain
  }

  #reference($ref: string, said: Json): Json {
    const definition = this.#definitions[$ref.slice(definitionPath.length)]
    return definition !== undefined && isScalar(definition)
      ? this.#plain({ ...definition, ...said })
      : { $ref, ...said }
  }

  #merged(parts: ReadonlyArray<Json>, beside: Json): Json {
    const [first, ...others] = parts.map((part) => this.#plain(part))
    return others.length === 0 ? { ...first, ...beside } : { ...beside, allOf: [first, ...others] }
  }

  #union(members: ReadonlyArray<Json>, beside: Json): Json {
    const flat = members
      .map((member) => this.#plain(member))
      .flatMap((member) => {
        const { anyOf, ...more } = member
        return Array.isArray(anyOf) && Object.keys(more).length === 0 ? anyOf.filter(isSchema) : [member]
      })
    const [first, second] = flat
    // What the union is said to be beside its members is a rule of its own, such as which of them are required.
    if (first !== undefined && second?.["type"] === "null" && flat.length === 2) {
      const { enum: values, type } = first
      if (typeof type === "string") {
        const nullable = Array.isArray(values) ? { enum: [...values, null] } : {}
        return { ...first, ...nullable, type: [type, "null"], ...beside }
      }
    }
    const discriminator = this.#discriminatorOf(flat)
    return discriminator === null ? { anyOf: flat, ...beside } : { oneOf: flat, discriminator, ...beside }
  }

  /** The property by which the members of a union are told apart, if each has a value of its own there. */
  #discriminatorOf(members: ReadonlyArray<Json>): Json | null {
    const mapping = new Map<string, string>()
    let propertyName: string | null = null
    for (const { $ref } of members) {
      if (typeof $ref !== "string") return null
      const constant = constantOf(this.#definitions[$ref.slice(definitionPath.length)])
      if (constant === null || (propertyName !== null && constant.property !== propertyName)) return null
      propertyName = constant.property
      mapping.set(constant.value, $ref)
    }
    return propertyName !== null && mapping.size === members.length
      ? { propertyName, mapping: Object.fromEntries(mapping) }
      : null
  }
}

const isSchema = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value)

const isScalar = (schema: object): boolean =>
  "type" in schema &&
  typeof schema.type === "string" &&
  ["string", "number", "integer", "boolean"].includes(schema.type)

const constantOf = (schema: unknown): { readonly property: string; readonly value: string } | null => {
  if (!isSchema(schema) || !isSchema(schema["properties"])) return null
  for (const [property, of] of Object.entries(schema["properties"])) {
    if (!isSchema(of) || !Array.isArray(of["enum"]) || of["enum"].length !== 1) continue
    const value: unknown = of["enum"][0]
    if (typeof value === "string") return { property, value }
  }
  return null
}

const mapValues = (values: Json, f: (value: unknown) => unknown): Json =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [key, f(value)]))
