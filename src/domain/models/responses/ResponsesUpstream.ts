import type { AnswerStream } from "../AnswerStream.ts"
import { arrayOf, isObject, type JsonObject, parseJson, textOf } from "../Json.ts"
import { requestText } from "../RequestText.ts"
import type { UpstreamProtocol } from "../Upstream.ts"
import { keptIn } from "./ResponseId.ts"
import { ResponsesStream } from "./ResponsesStream.ts"
import { inputFor } from "./Sealed.ts"
import { readResponse } from "./WholeResponse.ts"

// OpenAI's Responses as upstreams speak it, for clients that do too.

const changesFor = (body: JsonObject, provider: string): ReadonlyArray<readonly [string, string]> => {
  const input = inputFor(body, provider)
  const previous = textOf(body["previous_response_id"])
  const kept = previous === null ? null : keptIn(previous)
  return [
    ...(input === null ? [] : [["input", input] as const]),
    ...(kept === null ? [] : [["previous_response_id", JSON.stringify(kept.id)] as const])
  ]
}

const fromStream: UpstreamProtocol["answerFromStream"] = (events, label) => {
  const stream = new ResponsesStream(label)
  for (const { data, name } of events) stream.event(name, data, 0)
  stream.bodyEnd(null)
  if (typeof stream.state === "object") return stream.state
  const last = parseJson(stream.usageChunk ?? "")
  const response = isObject(last) ? last["response"] : null
  return { text: JSON.stringify(response), said: stream.said }
}

/** The events that an item would have come in. */
const eventsOf = (item: JsonObject, output_index: number): ReadonlyArray<JsonObject> => {
  const { content, type } = item
  const place = { item_id: textOf(item["id"]) ?? "", output_index }
  const done = { type: "response.output_item.done", output_index, item }
  const added = (begun: JsonObject) => ({ type: "response.output_item.added", output_index, item: begun })
  switch (type) {
    case "message":
      return [
        added({ ...item, status: "in_progress", content: [] }),
        ...arrayOf(content).flatMap((part, content_index) =>
          isObject(part) ? partEvents(part, { ...place, content_index }) : []
        ),
        done
      ]
    case "function_call":
      return [
        added({ ...item, arguments: "" }),
        { type: "response.function_call_arguments.delta", ...place, delta: item["arguments"] },
        { type: "response.function_call_arguments.done", ...place, name: item["name"], arguments: item["arguments"] },
        done
      ]
    default:
      return [added(item), done]
  }
}

const partEvents = (part: JsonObject, place: JsonObject): ReadonlyArray<JsonObject> => {
  const isRefusal = part["type"] === "refusal"
  const [kind, member] = isRefusal ? ["refusal", "refusal"] : ["output_text", "text"]
  const said = part[member]
  return [
    { type: "response.content_part.added", ...place, part: { ...part, [member]: "" } },
    { type: `response.${kind}.delta`, ...place, delta: said, ...(isRefusal ? {} : { logprobs: [] }) },
    { type: `response.${kind}.done`, ...place, [member]: said, ...(isRefusal ? {} : { logprobs: [] }) },
    { type: "response.content_part.done", ...place, part }
  ]
}

/** A whole response as the events that it would have come in. */
const streamWhole: UpstreamProtocol["streamWhole"] = (json, stream, nowMs) => {
  const response = parseJson(json)
  if (!isObject(response)) return false
  const send = (event: JsonObject) => stream.event(null, JSON.stringify(event), nowMs)
  if (isObject(response["error"])) {
    send({ type: "error", error: response["error"] })
    return true
  }
  if (!Array.isArray(response["output"])) return false
  sendAll(response, stream, send)
  return true
}

const sendAll = (response: JsonObject, stream: AnswerStream, send: (event: JsonObject) => void): void => {
  const begun = { ...response, status: "in_progress", output: [], usage: null }
  send({ type: "response.created", response: begun })
  send({ type: "response.in_progress", response: begun })
  arrayOf(response["output"]).forEach((item, at) => {
    if (isObject(item)) for (const event of eventsOf(item, at)) send(event)
  })
  const status = textOf(response["status"])
  if (stream.state === "open") {
    send({ type: `response.${status === "incomplete" ? status : "completed"}`, response })
  }
}

export const responsesUpstream: UpstreamProtocol = {
  name: "responses",
  operation: () => "responses",
  requestText: (body, forwarding) => {
    const changes = changesFor(body, forwarding.provider ?? "")
    return requestText(body, {
      ...forwarding,
      asksForUsage: false,
      ...(changes.length === 0 ? {} : { changes: new Map([...(forwarding.changes ?? []), ...changes]) })
    })
  },
  readAnswer: readResponse,
  answerFromStream: fromStream,
  stream: (label) => new ResponsesStream(label),
  streamWhole
}
