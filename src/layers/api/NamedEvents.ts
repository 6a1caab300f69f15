import { isObject, parseJson, textOf } from "../../domain/models/Json.ts"

// Streams whose events have a name of their own on the wire, which is the type of their payload.

/** The type stands first in all that is known. */
export const eventName = (payload: string): string => {
  const first = /^\{\s*"type"\s*:\s*"([a-z_.]+)"/.exec(payload)?.[1]
  if (first !== undefined) return first
  const event = parseJson(payload)
  return isObject(event) ? (textOf(event["type"]) ?? "message") : "message"
}

export const named = (name: string, data: string): string => `event: ${name}\ndata: ${data}\n\n`

/** A line break inside a payload would end the event's line; in JSON it is a space between values. */
export const oneLine = (payload: string): string =>
  payload.includes("\n") || payload.includes("\r") ? payload.replace(/[\r\n]+/g, " ") : payload

export const namedEvent = (payload: string, name = eventName(payload)): string => named(name, oneLine(payload))
