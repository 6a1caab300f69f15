import type { JsonObject } from "../Json.ts"

const spelt = new Map<string, string>()

const snake = (name: string): string => {
  const known = spelt.get(name) ?? name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
  spelt.set(name, known)
  return known
}

/** Google takes its members in both spellings, `inlineData` and `inline_data`. */
export const member = (object: JsonObject, name: string): unknown => object[name] ?? object[snake(name)]
