import { isObject, parseJson, textOf } from "../Json.ts"
import type { CallPart, Conversation, CustomTool, FunctionTool, Part, Tool } from "./Conversation.ts"

// Tools that take any text, for upstreams that know functions only: a function whose one argument is the text.

const argument = "input"

const asFunction = ({ description, format, name }: CustomTool): FunctionTool => {
  const grammar = format === null ? null : textOf(format["definition"])
  const told = grammar === null ? description : `${description ?? ""}\n${argument} follows this grammar:\n${grammar}`
  return {
    type: "function",
    name,
    description: told,
    schema: { type: "object", properties: { [argument]: { type: "string" } }, required: [argument] },
    strict: null,
    cache: null
  }
}

const calledAsFunction = (part: Part): Part =>
  part.type === "call" && part.kind === "custom"
    ? { ...part, kind: "function", input: JSON.stringify({ [argument]: part.input }) }
    : part

/** The same conversation with functions in place of custom tools. */
export const withFunctions = (conversation: Conversation): Conversation => ({
  ...conversation,
  tools: conversation.tools.map((tool) => (tool.type === "custom" ? asFunction(tool) : tool)),
  turns: conversation.turns.map((turn) => ({ ...turn, parts: turn.parts.map(calledAsFunction) }))
})

/** The call was made of a function that stands for a custom tool. */
export const isStandIn = ({ kind, name }: CallPart, tools: ReadonlyArray<Tool>): boolean =>
  kind === "function" && tools.some((tool) => tool.type === "custom" && tool.name === name)

/** The call as the caller knows its tool. */
export const asAsked = (call: CallPart, tools: ReadonlyArray<Tool>): CallPart => {
  if (!isStandIn(call, tools)) return call
  const given = parseJson(call.input)
  const text = isObject(given) && typeof given[argument] === "string" ? given[argument] : call.input
  return { ...call, kind: "custom", input: text }
}
