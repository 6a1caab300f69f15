import type { AnswerStream } from "./AnswerStream.ts"
import { Collecting } from "./canonical/Event.ts"
import type { SpokenName } from "./canonical/Protocol.ts"
import { ConverseStream, readConverse } from "./converse/ConverseStream.ts"
import { ChatStream } from "./ChatStream.ts"
import { type StreamFailure } from "./AnswerStream.ts"
import type { Label } from "./Form.ts"
import { readEmbeddings } from "./Embeddings.ts"
import { candidateIn, partsIn } from "./gemini/Answer.ts"
import { contentText, operationOf, readContent } from "./gemini/Content.ts"
import { GeminiStream } from "./gemini/GeminiStream.ts"
import { arrayOf, isObject, type JsonObject, parseJson } from "./Json.ts"
import { blockOf, stopBody, usageBody } from "./messages/Answer.ts"
import { MessagesEventReader } from "./messages/Events.ts"
import { readMessage } from "./messages/MessageAnswer.ts"
import { MessagesStream } from "./messages/MessagesStream.ts"
import { withoutUnsigned } from "./messages/Thinking.ts"
import { type Forwarding, requestText } from "./RequestText.ts"
import { responsesUpstream } from "./responses/ResponsesUpstream.ts"
import { readAnswer, streamWhole, type WholeAnswer } from "./WholeAnswer.ts"
import { answerFromStream } from "./WholeFromStream.ts"

type Events = Iterable<{ readonly name: string | null; readonly data: string }>

/** A protocol as its upstreams speak it: what is sent, and what comes back for a client of the same one. */
export interface UpstreamProtocol {
  readonly name: SpokenName
  /** How events come: as server-sent events if it does not say. */
  readonly framing?: "amazon"
  /** Under the provider's address, with a query if it has one. */
  readonly operation: (upstream: string, stream: boolean) => string
  readonly requestText: (body: JsonObject, forwarding: Forwarding) => string
  /** Reads a whole answer. */
  readonly readAnswer: (json: string, label: Label) => WholeAnswer | StreamFailure
  /** Puts one together from a stream that came instead. */
  readonly answerFromStream: (events: Events, label: Label, choices: number) => WholeAnswer | StreamFailure
  readonly stream: (label: Label, choices: number) => AnswerStream
  /** Lets a whole answer that came instead of a stream be one; false if it is neither an answer nor an error. */
  readonly streamWhole: (json: string, stream: AnswerStream, nowMs: number) => boolean
}

const chat: UpstreamProtocol = {
  name: "chat",
  operation: () => "chat/completions",
  requestText,
  readAnswer,
  answerFromStream,
  stream: (label, choices) => new ChatStream(label, choices),
  streamWhole
}

/** A message of its events. */
const messageFromStream: UpstreamProtocol["answerFromStream"] = (events, label) => {
  const stream = new MessagesStream(label)
  for (const { data, name } of events) stream.event(name, data, 0)
  stream.bodyEnd(null)
  if (typeof stream.state === "object") return stream.state
  const reader = new MessagesEventReader()
  const collecting = new Collecting()
  const payloads = [...stream.take(), stream.usageChunk ?? ""]
  for (const payload of payloads) for (const event of reader.read(payload)) collecting.add(event)
  const { parts, stop, usage } = collecting.answer
  const { id, servedModel } = stream.said
  const message = {
    id,
    model: servedModel,
    content: parts.flatMap(blockOf),
    ...stopBody(stop, ""),
    ...(usage === null ? {} : { usage: usageBody(usage) })
  }
  return readMessage(JSON.stringify(message), label)
}

/** A message as the events that it would have come in. */
const streamMessage: UpstreamProtocol["streamWhole"] = (json, stream, nowMs) => {
  const message = parseJson(json)
  if (!isObject(message)) return false
  const { content, error, stop_reason, stop_sequence, usage, ...head } = message
  if (error !== undefined) {
    stream.event("error", json, nowMs)
    return true
  }
  if (!Array.isArray(content)) return false
  const send = (event: JsonObject) => stream.event(null, JSON.stringify(event), nowMs)
  send({ type: "message_start", message: { ...head, content: [], usage } })
  content.forEach((block: unknown, index) => {
    if (!isObject(block)) return
    const { begun, deltas } = piecesOf(block)
    send({ type: "content_block_start", index, content_block: begun })
    for (const delta of deltas) send({ type: "content_block_delta", index, delta })
    send({ type: "content_block_stop", index })
  })
  send({ type: "message_delta", delta: { stop_reason, stop_sequence: stop_sequence ?? null }, usage })
  send({ type: "message_stop" })
  return true
}

/** A block as it begins, and what comes after. */
const piecesOf = (block: JsonObject): { readonly begun: JsonObject; readonly deltas: ReadonlyArray<JsonObject> } => {
  switch (block["type"]) {
    case "text":
      return { begun: { ...block, text: "" }, deltas: [{ type: "text_delta", text: block["text"] }] }
    case "thinking":
      return {
        begun: { ...block, thinking: "", signature: "" },
        deltas: [
          { type: "thinking_delta", thinking: block["thinking"] },
          { type: "signature_delta", signature: block["signature"] }
        ]
      }
    case "tool_use":
      return {
        begun: { ...block, input: {} },
        deltas: [{ type: "input_json_delta", partial_json: JSON.stringify(block["input"] ?? {}) }]
      }
    default:
      return { begun: block, deltas: [] }
  }
}

const messages: UpstreamProtocol = {
  name: "messages",
  operation: () => "messages",
  requestText: (body, forwarding) => requestText(withoutUnsigned(body), { ...forwarding, asksForUsage: false }),
  readAnswer: readMessage,
  answerFromStream: messageFromStream,
  stream: (label) => new MessagesStream(label),
  streamWhole: streamMessage
}

/** An answer of its pieces: what each says, put together. */
const contentFromStream: UpstreamProtocol["answerFromStream"] = (events, label) => {
  const stream = new GeminiStream(label)
  for (const { data, name } of events) stream.event(name, data, 0)
  stream.bodyEnd(null)
  if (typeof stream.state === "object") return stream.state
  const pieces = [...stream.take(), stream.usageChunk ?? "{}"].map(parseJson).filter(isObject)
  const parts = pieces.flatMap((piece) => arrayOf(partsIn(candidateIn(piece))))
  const last = pieces.at(-1) ?? {}
  const candidate = { ...candidateIn(last), content: { parts, role: "model" } }
  const { servedModel, usage } = stream.said
  const whole = {
    ...last,
    ...(parts.length === 0 ? {} : { candidates: [candidate] }),
    ...(usage === null ? {} : { usageMetadata: usage }),
    modelVersion: servedModel
  }
  return readContent(JSON.stringify(whole), label)
}

/** The whole answer is the one piece. */
const streamContent: UpstreamProtocol["streamWhole"] = (json, stream, nowMs) => {
  const body = parseJson(json)
  // Without `alt=sse` a stream is a list of pieces.
  const pieces = Array.isArray(body) ? arrayOf(body) : [body]
  if (pieces.length === 0 || !pieces.every(isObject)) return false
  for (const piece of pieces) stream.event(null, JSON.stringify(piece), nowMs)
  stream.bodyEnd(null)
  return true
}

const gemini: UpstreamProtocol = {
  name: "gemini",
  operation: operationOf,
  requestText: contentText,
  readAnswer: readContent,
  answerFromStream: contentFromStream,
  stream: (label) => new GeminiStream(label),
  streamWhole: streamContent
}

/** What Amazon's binary events are once they are read has their forms; a whole answer in their place is none. */
const converse: UpstreamProtocol = {
  name: "converse",
  framing: "amazon",
  operation: (upstream, stream) => `model/${encodeURIComponent(upstream)}/converse${stream ? "-stream" : ""}`,
  // It was written here: what a client sends is never in it.
  requestText: (body) => JSON.stringify(body),
  readAnswer: readConverse,
  answerFromStream: () => ({ reason: "bad_answer", error: null, detail: "the answer is a stream" }),
  stream: () => new ConverseStream(),
  streamWhole: () => false
}

/** The protocols that upstreams are called in. */
export const upstreamProtocols = {
  chat,
  messages,
  gemini,
  responses: responsesUpstream,
  converse
} as const satisfies Readonly<Record<SpokenName, UpstreamProtocol>>

/** Vectors, which have no stream: everybody who makes any takes OpenAI's form. */
export const embeddings: UpstreamProtocol = {
  ...chat,
  operation: () => "embeddings",
  readAnswer: readEmbeddings,
  answerFromStream: () => ({ reason: "bad_answer", error: null, detail: "the answer is a stream" })
}
