import type { FunctionTool, ThinkingPart, Tool } from "../canonical/Conversation.ts"
import { saying } from "../canonical/Reading.ts"
import { seal, unseal } from "../canonical/Seal.ts"
import { arrayOf, isObject, type JsonObject, textOf } from "../Json.ts"

// What requests and answers of OpenAI's Responses have in common: tools with their groups, and thoughts.
// https://platform.openai.com/docs/api-reference/responses/object

/** The longest name that chats take of a function. */
const longestName = 64

/** The name of a grouped function where there are no groups: that of its group before it. */
export const flatName = (namespace: string, name: string): string => `${namespace}__${name}`.slice(-longestName)

/** The function that Responses know by its group and its name; null for one that has no group. */
export const groupedName = (tools: ReadonlyArray<Tool>, name: string): FunctionTool["group"] | null =>
  tools.find((tool): tool is FunctionTool => tool.type === "function" && tool.name === name)?.group ?? null

const toolBody = (tool: Tool): JsonObject => {
  switch (tool.type) {
    case "function": {
      const { description, group, name, schema, strict } = tool
      // Where nobody says, Responses are strict and chats are not.
      return {
        type: "function",
        name: group?.name ?? name,
        description,
        parameters: schema ?? {},
        strict: strict ?? false
      }
    }
    case "custom":
      return saying({ type: "custom", name: tool.name, description: tool.description, format: tool.format })
    case "native":
      return tool.value
  }
}

/** Tools as Responses have them, those of a group together. */
export const toolsBody = (tools: ReadonlyArray<Tool>): ReadonlyArray<JsonObject> => {
  const bodies: Array<JsonObject> = []
  const groups = new Map<string, Array<JsonObject>>()
  for (const tool of tools) {
    const group = tool.type === "function" ? tool.group : undefined
    if (group === undefined) {
      bodies.push(toolBody(tool))
      continue
    }
    const known = groups.get(group.namespace)
    if (known !== undefined) {
      known.push(toolBody(tool))
      continue
    }
    const members = [toolBody(tool)]
    groups.set(group.namespace, members)
    bodies.push({ type: "namespace", name: group.namespace, description: group.description, tools: members })
  }
  return bodies
}

/** Thoughts of other protocols go out sealed, and a client gives them back as it got them. */
const sealedOf = (part: ThinkingPart): string | null => (part.of === "responses" ? part.sealed : seal([part]))

const textsOf = (list: unknown): string =>
  arrayOf(list)
    .flatMap((one) => (isObject(one) ? (textOf(one["text"]) ?? []) : []))
    .join("\n\n")

/** The thoughts of a reasoning item. */
export const thinkingOf = (item: JsonObject): ThinkingPart => {
  const sealed = textOf(item["encrypted_content"])
  const [own] = sealed === null ? [] : (unseal(sealed) ?? [])
  if (own !== undefined) return own
  const text = textsOf(item["summary"]) || textsOf(item["content"])
  return { type: "thinking", text, signature: null, sealed, of: "responses" }
}

/** A reasoning item. Of one that nobody can seal the words come back as thoughts of this protocol. */
export const reasoningBody = (part: ThinkingPart, id: string | null): JsonObject => ({
  type: "reasoning",
  ...(id === null ? {} : { id }),
  summary: part.text === "" ? [] : [{ type: "summary_text", text: part.text }],
  encrypted_content: sealedOf(part)
})
