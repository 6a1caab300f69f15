import type { Capability } from "../../routing/Capability.ts"
import type { Model } from "../../routing/Model.ts"
import type { JsonObject } from "../Json.ts"

// What a request says, whatever protocol it came in: the middle between two protocols. Who reads a request keeps all that
// another protocol may have a word for; who writes one names what it had to leave out.

/** The protocols that are spoken: OpenAI's Chat Completions and Responses, Anthropic's Messages, Google's Gemini. */
export const protocolNames = ["chat", "responses", "messages", "gemini"] as const
export type ProtocolName = (typeof protocolNames)[number]

/** What the id of an answer begins with; Google's has no beginning of its own. */
export const idPrefixes: Readonly<Record<ProtocolName, string>> = {
  chat: "chatcmpl-",
  responses: "resp_",
  messages: "msg_",
  gemini: ""
}

/** Where the bytes of an image or a file are. `file` is an id of that protocol's own store. */
export type Source =
  | { readonly type: "url"; readonly url: string }
  | { readonly type: "data"; readonly mediaType: string; readonly base64: string }
  | { readonly type: "text"; readonly mediaType: string; readonly text: string }
  | { readonly type: "file"; readonly id: string; readonly of: ProtocolName }

/** Anthropic's `cache_control`: what stands up to here may be kept for so long. */
export interface CacheMark {
  readonly ttl: "5m" | "1h" | null
}

export interface TextPart {
  readonly type: "text"
  readonly text: string
  readonly cache: CacheMark | null
}

export interface ImagePart {
  readonly type: "image"
  readonly source: Source
  /** `low`, `high`, `auto`; null where nobody said. */
  readonly detail: string | null
  readonly cache: CacheMark | null
}

export interface AudioPart {
  readonly type: "audio"
  readonly format: string
  readonly base64: string
}

export interface FilePart {
  readonly type: "file"
  readonly source: Source
  readonly name: string | null
  readonly cache: CacheMark | null
}

/** A call of a tool. Of a function `input` is JSON text as the model wrote it, of a custom tool any text. */
export interface CallPart {
  readonly type: "call"
  readonly kind: "function" | "custom"
  readonly id: string
  readonly name: string
  readonly input: string
  readonly cache: CacheMark | null
}

/** What a tool answered. */
export interface ResultPart {
  readonly type: "result"
  readonly callId: string
  readonly parts: ReadonlyArray<TextPart | ImagePart | FilePart | NativePart>
  readonly isError: boolean
  readonly cache: CacheMark | null
}

/** Thoughts; signed or sealed only for upstreams of the protocol that they came from. */
export interface ThinkingPart {
  readonly type: "thinking"
  readonly text: string
  /** That the thoughts are the model's own; null where there is none. */
  readonly signature: string | null
  /** Thoughts that only the upstream can read. */
  readonly sealed: string | null
  readonly of: ProtocolName
}

/** The words in which a model declines. */
export interface RefusalPart {
  readonly type: "refusal"
  readonly text: string
}

/** A part that only this protocol knows, as it came. */
export interface NativePart {
  readonly type: "native"
  readonly of: ProtocolName
  readonly value: JsonObject
}

export type Part =
  | TextPart
  | ImagePart
  | AudioPart
  | FilePart
  | CallPart
  | ResultPart
  | ThinkingPart
  | RefusalPart
  | NativePart

/**
 * A message. `system` and `developer` stand at the beginning or between others; results of tools are parts of the user's.
 */
export interface Turn {
  readonly role: "system" | "developer" | "user" | "assistant"
  readonly parts: ReadonlyArray<Part>
  /** Who of several users or assistants. */
  readonly name: string | null
}

export interface FunctionTool {
  readonly type: "function"
  readonly name: string
  readonly description: string | null
  /** JSON Schema of the arguments; null for none. */
  readonly schema: JsonObject | null
  readonly strict: boolean | null
  readonly cache: CacheMark | null
  /** Of Responses: the group that it belongs to, and its name there. */
  readonly group?: { readonly namespace: string; readonly name: string; readonly description: string | null }
}

/** A tool that takes a text, perhaps of a grammar. */
export interface CustomTool {
  readonly type: "custom"
  readonly name: string
  readonly description: string | null
  readonly format: JsonObject | null
}

/** A tool that the upstream itself runs, as web search. */
export interface NativeTool {
  readonly type: "native"
  readonly of: ProtocolName
  readonly value: JsonObject
}

export type Tool = FunctionTool | CustomTool | NativeTool

export type ToolChoice =
  | { readonly type: "auto" | "none" | "required" }
  | { readonly type: "named"; readonly name: string }

export type Format =
  | { readonly type: "json" }
  | {
      readonly type: "schema"
      readonly name: string | null
      readonly description: string | null
      readonly schema: JsonObject
      readonly strict: boolean | null
    }

export interface Reasoning {
  /** `off`: none at all; `adaptive`: as much as the model finds right; `between_tools`: Anthropic's own. */
  readonly mode: "on" | "off" | "adaptive" | "between_tools"
  /** `minimal`, `low`, `medium`, `high`, `xhigh`, `max`; null where nobody said. */
  readonly effort: string | null
  /** Most tokens of thoughts; null where nobody said. */
  readonly budgetTokens: number | null
}

/** A request. Null is what the caller did not say. */
export interface Conversation {
  readonly of: ProtocolName
  readonly turns: ReadonlyArray<Turn>
  readonly tools: ReadonlyArray<Tool>
  readonly toolChoice: ToolChoice | null
  readonly parallelCalls: boolean | null
  readonly format: Format | null
  readonly reasoning: Reasoning | null
  readonly maxTokens: number | null
  readonly temperature: number | null
  readonly topP: number | null
  readonly topK: number | null
  readonly stop: ReadonlyArray<string>
  /** Of whom the caller asks. */
  readonly user: string | null
  /** The caller wants its answer as a stream. */
  readonly stream: boolean
  /** Members at the top that its protocol knows and that have no place here, by its own names. */
  readonly more: JsonObject
  /** Members at the top that its protocol does not know: they go on as they came. */
  readonly unknown: JsonObject
}

/** Why a request cannot be said in a protocol, or is not in its own. */
export interface Unfit {
  /** Path of the part that is at fault. */
  readonly param: string
  readonly detail: string
  /** What an upstream of this protocol lacks; null where the request itself is at fault. */
  readonly lacks: Capability | null
}

/** For whom a request is written: what is known of the model. */
export type Toward = Pick<Model, "abilities" | "maxOutputTokens" | "upstream">

/** A request in a protocol. */
export interface Written {
  readonly body: JsonObject
  /** What was left out or said in another way, as `seed->none`. */
  readonly adjusted: ReadonlyArray<string>
}
