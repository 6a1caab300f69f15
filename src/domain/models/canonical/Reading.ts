import * as Either from "effect/Either"
import { isObject, type JsonObject } from "../Json.ts"
import type { CacheMark, Reasoning, Source, TextPart, Unfit } from "./Conversation.ts"

/** Reads a request part by part and keeps the first thing that is wrong. */
export class Reading {
  #unfit: Unfit | null = null

  wrong(param: string, detail: string): void {
    this.#unfit ??= { param, detail, lacks: null }
  }

  /** The text, or what is wrong. */
  text(value: unknown, param: string): string {
    if (typeof value === "string") return value
    this.wrong(param, "must be a string")
    return ""
  }

  object(value: unknown, param: string): JsonObject {
    if (isObject(value)) return value
    this.wrong(param, "must be an object")
    return {}
  }

  list(value: unknown, param: string): ReadonlyArray<unknown> {
    if (Array.isArray(value)) return value
    this.wrong(param, "must be an array")
    return []
  }

  of<A>(value: A): Either.Either<A, Unfit> {
    return this.#unfit === null ? Either.right(value) : Either.left(this.#unfit)
  }
}

export const textPart = (text: string, cache: CacheMark | null = null): TextPart => ({ type: "text", text, cache })

export const numberOf = (value: unknown): number | null =>
  typeof value === "number" && Number.isFinite(value) ? value : null

export const stringOf = (value: unknown): string | null => (typeof value === "string" ? value : null)

export const booleanOf = (value: unknown): boolean | null => (typeof value === "boolean" ? value : null)

/** `{ type: "ephemeral", ttl }`, as Anthropic has it and gateways take it in chats too. */
export const cacheOf = (value: unknown): CacheMark | null => {
  if (!isObject(value)) return null
  const { ttl } = value
  return { ttl: ttl === "5m" || ttl === "1h" ? ttl : null }
}

/** A data URL's bytes (RFC 2397, base64 only), or the address. */
export const sourceOf = (url: string): Source => {
  const data = /^data:([^;,]*)(?:;[^;,]*)*;base64,/i.exec(url)
  return data === null
    ? { type: "url", url }
    : { type: "data", mediaType: data[1] ?? "", base64: url.slice(data[0].length) }
}

/** Members whose value says nothing. */
export const saying = (members: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined && value !== null))

/** OpenAI's word for how much to think, in chats and responses; `none` is not at all. */
export const reasoningOfEffort = (effort: unknown): Reasoning | null =>
  typeof effort !== "string"
    ? null
    : effort === "none"
      ? { mode: "off", effort: null, budgetTokens: null }
      : { mode: "on", effort, budgetTokens: null }
