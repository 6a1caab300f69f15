import { hash } from "node:crypto"
import { isObject } from "../../domain/models/Json.ts"
import type { ChatBody } from "../../services/models/LanguageModels.ts"

/** A conversation that no client named, by what is the same in all of its turns. */
export interface Conversation {
  /** What it is remembered by; null if there is nothing. */
  readonly name: string | null
  /** What an earlier turn may be found by, the surest first; empty in the first turn. */
  readonly earlier: ReadonlyArray<string>
  /** The newest message is what a tool answered. */
  readonly isToolResult: boolean
}

export const none: Conversation = { name: null, earlier: [], isToolResult: false }

const isToolMessage = (message: unknown) => isObject(message) && message["role"] === "tool"

/** Of a request in a session. */
export const named = ({ messages }: ChatBody): Conversation =>
  Array.isArray(messages) && isToolMessage(messages.at(-1)) ? { ...none, isToolResult: true } : none

/** Shorter ids, as `call_1`, are many conversations'. */
const shortestCallId = 12

/** More of a message than its length, its beginning and its end says nothing that these do not. */
const hashedChars = 2048

export const callName = (id: string): string | null => (id.length < shortestCallId ? null : `call:${id.slice(0, 256)}`)

const textOf = (content: unknown): string => (typeof content === "string" ? content : (JSON.stringify(content) ?? ""))

const isOpening = (message: unknown) =>
  isObject(message) && (message["role"] === "system" || message["role"] === "developer")

/** The instructions and the first question: equal byte for byte in all turns. */
const nameOf = (messages: ReadonlyArray<unknown>): string | null => {
  let question = 0
  while (question < messages.length && isOpening(messages[question])) question++
  const first = messages[question]
  if (!isObject(first) || first["role"] !== "user") return null
  let opening = ""
  for (let i = 0; i <= question; i++) {
    const message = messages[i]
    const text = textOf(isObject(message) ? message["content"] : null)
    opening += `${text.length}\n${text.slice(0, hashedChars)}\n${text.slice(-hashedChars)}\n`
  }
  return `first:${hash("sha256", opening, "base64url")}`
}

const isAnswer = (message: unknown) => isObject(message) && message["role"] === "assistant"

const callOf = (message: unknown): string | null => {
  if (!isObject(message)) return null
  const { content, role, tool_call_id: id } = message
  if (role === "tool") return typeof id === "string" ? callName(id) : null
  // Anthropic's results are parts of what the user says.
  const result: unknown = Array.isArray(content)
    ? content.find((part) => isObject(part) && part["type"] === "tool_result")
    : null
  return isObject(result) && typeof result["tool_use_id"] === "string" ? callName(result["tool_use_id"]) : null
}

/** Of a request without a session. A tool's result belongs to the model that made the call. */
export const of = ({ messages }: ChatBody): Conversation => {
  if (!Array.isArray(messages)) return none
  const name = nameOf(messages)
  const call = callOf(messages.at(-1))
  const continued = messages.some(isAnswer) ? name : null
  const isToolResult = isToolMessage(messages.at(-1))
  if (call === null && continued === null) return { name, earlier: nothing, isToolResult }
  return { name, earlier: [call, continued].filter((earlier) => earlier !== null), isToolResult }
}

const nothing: ReadonlyArray<string> = []
