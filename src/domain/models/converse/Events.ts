import { usageOf } from "../../routing/Usage.ts"
import { textPart } from "../canonical/Reading.ts"
import type { EventReader, StreamedPart, StreamEvent } from "../canonical/Event.ts"
import { isObject, type JsonObject, parseJson, textOf } from "../Json.ts"
import { countsOf, stopOf } from "./Answer.ts"

// Amazon Bedrock's ConverseStream: the stream, to canonical events.
// https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStreamOutput.html

/** A delta, and the part that it goes on with. */
const pieceOf = (delta: JsonObject): { readonly text: string; readonly value: StreamedPart | null } | null => {
  const { reasoningContent: reasoning, text, toolUse } = delta
  if (typeof text === "string") return { text, value: textPart("") }
  if (isObject(toolUse)) return { text: textOf(toolUse["input"]) ?? "", value: null }
  if (isObject(reasoning) && typeof reasoning["text"] === "string") {
    return { text: reasoning["text"], value: { type: "thinking", text: "", signature: null, sealed: null, of: "chat" } }
  }
  return null
}

/** Reads payloads of events by their one member, the event's type. A text begins with its first delta. */
export class ConverseEventReader implements EventReader {
  readonly #open = new Set<number>()

  read(payload: string): ReadonlyArray<StreamEvent> {
    const event = parseJson(payload)
    if (!isObject(event)) return []
    const [[type, given] = ["", null]] = Object.entries(event)
    const said = isObject(given) ? given : {}
    const part = typeof said["contentBlockIndex"] === "number" ? said["contentBlockIndex"] : 0
    switch (type) {
      case "contentBlockStart":
        return this.#start(part, said["start"])
      case "contentBlockDelta":
        return isObject(said["delta"]) ? this.#delta(part, said["delta"]) : []
      case "contentBlockStop":
        return this.#open.delete(part) ? [{ type: "end", part }] : []
      case "messageStop":
        return [{ type: "stop", stop: stopOf(said["stopReason"]) }]
      case "metadata": {
        const usage = usageOf(countsOf(said["usage"]))
        return usage === null ? [] : [{ type: "usage", usage }]
      }
      default:
        return []
    }
  }

  #start(part: number, start: unknown): ReadonlyArray<StreamEvent> {
    const call = isObject(start) && isObject(start["toolUse"]) ? start["toolUse"] : null
    if (call === null) return []
    const { name, toolUseId: id } = call
    const value = {
      type: "call",
      kind: "function",
      id: String(id),
      name: String(name),
      input: "",
      cache: null
    } as const
    return this.#begin(part, value)
  }

  #begin(part: number, value: StreamedPart): ReadonlyArray<StreamEvent> {
    if (this.#open.has(part)) return []
    this.#open.add(part)
    return [{ type: "begin", part, value }]
  }

  #delta(part: number, delta: JsonObject): ReadonlyArray<StreamEvent> {
    const { reasoningContent: reasoning } = delta
    const signature = isObject(reasoning) ? textOf(reasoning["signature"]) : null
    if (signature !== null) return [{ type: "signature", part, signature, of: "messages" }]
    const sealed = isObject(reasoning) ? textOf(reasoning["redactedContent"]) : null
    if (sealed !== null) {
      return [{ type: "whole", part, value: { type: "thinking", text: "", signature: null, sealed, of: "messages" } }]
    }
    const piece = pieceOf(delta)
    if (piece === null) return []
    const begun = piece.value === null ? [] : this.#begin(part, piece.value)
    return piece.text === "" ? begun : [...begun, { type: "piece", part, text: piece.text }]
  }
}
