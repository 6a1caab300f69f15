import type { Conversation, Part } from "./Conversation.ts"
import type { StreamEvent } from "./Event.ts"

// Anthropic's clients name tools by up to 128 characters, as servers of MCP do; the other protocols take 64.

const longest = 64

/** FNV-1a of 32 bits: names that begin alike stay apart. */
const hashOf = (text: string): string => {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return (hash >>> 0).toString(16).padStart(8, "0")
}

const shortName = (name: string): string => {
  if (name.length <= longest) return name
  const hash = hashOf(name)
  return `${name.slice(0, longest - hash.length - 1)}_${hash}`
}

/** A request as protocols of shorter names can say it, and how their answers are told with the names that were asked. */
export interface ShortNamed {
  readonly conversation: Conversation
  readonly answered: (part: Part) => Part
  readonly heard: (event: StreamEvent) => StreamEvent
}

const asked = (part: Part): Part => (part.type === "call" ? { ...part, name: shortName(part.name) } : part)

/** Null where every name is short enough, as most are. */
export const withShortNames = (conversation: Conversation): ShortNamed | null => {
  const { toolChoice, tools, turns } = conversation
  const long = tools.filter((tool) => tool.type !== "native").filter(({ name }) => name.length > longest)
  if (long.length === 0) return null
  const names = new Map(long.map(({ name }) => [shortName(name), name]))
  const answered = (part: Part): Part =>
    part.type === "call" ? { ...part, name: names.get(part.name) ?? part.name } : part
  return {
    conversation: {
      ...conversation,
      tools: tools.map((tool) => (tool.type === "native" ? tool : { ...tool, name: shortName(tool.name) })),
      toolChoice: toolChoice?.type === "named" ? { ...toolChoice, name: shortName(toolChoice.name) } : toolChoice,
      turns: turns.map((turn) => ({ ...turn, parts: turn.parts.map(asked) }))
    },
    answered,
    heard: (event) => {
      if (event.type === "whole") return { ...event, value: answered(event.value) }
      return event.type === "begin" && event.value.type === "call"
        ? { ...event, value: { ...event.value, name: names.get(event.value.name) ?? event.value.name } }
        : event
    }
  }
}
