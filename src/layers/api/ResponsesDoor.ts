import * as Either from "effect/Either"
import type { IncomingHttpHeaders } from "node:http"
import type { About } from "../../domain/models/canonical/Answer.ts"
import type { Conversation, Toward, Unfit } from "../../domain/models/canonical/Conversation.ts"
import { chat } from "../../domain/models/chat/Chat.ts"
import { isObject, type JsonObject, parseJson, textOf } from "../../domain/models/Json.ts"
import { ResponsesEventWriter } from "../../domain/models/responses/Events.ts"
import { responses } from "../../domain/models/responses/Responses.ts"
import type { Preference } from "../../domain/routing/Weights.ts"
import { ResponsesRequest } from "../../services/api/Requests.ts"
import type { Answer, StreamHead, StreamSink, UnknownModel } from "../../services/routing/Router.ts"
import { decoder } from "./Body.ts"
import { type AnyError, toPublic } from "./ErrorTable.ts"
import { InvalidRequest } from "./HttpErrors.ts"
import { fromChat, type RoutingInput } from "./RoutingInput.ts"
import { SseSink, type StreamForm, type StreamedAnswer } from "./SseSink.ts"

// OpenAI's Responses at the door: what comes is taken for the chat that it is, and what is answered is told in its own form.
// Nothing is kept between two requests.

/** A request, as the chat that is routed, and as it came. */
export interface ResponsesInput extends RoutingInput {
  readonly conversation: Conversation
  /** What was left out or said in another way. */
  readonly adjusted: ReadonlyArray<string>
}

const decode = decoder(ResponsesRequest)

/** Nobody is chosen yet, so nothing is known of who answers. */
const anybody: Toward = { abilities: {}, maxOutputTokens: null, upstream: "" }

const invalid = ({ detail, param }: Unfit) => new InvalidRequest({ param, detail })

export const fromResponses = (
  input: unknown,
  headers: IncomingHttpHeaders,
  policy: Preference
): Either.Either<ResponsesInput, InvalidRequest | UnknownModel> =>
  Either.gen(function* () {
    const { conduit, model } = yield* decode(input)
    const body: JsonObject = isObject(input) ? input : {}
    const conversation = yield* Either.mapLeft(responses.readRequest(body), invalid)
    const written = yield* Either.mapLeft(chat.writeRequest(conversation, anybody), invalid)
    const asked = {
      ...written.body,
      ...(model === undefined || model === null ? {} : { model }),
      ...(conduit === undefined ? {} : { conduit }),
      // The last event has the counts, whether anybody asks or not.
      ...(conversation.stream ? { stream_options: { include_usage: true } } : {})
    }
    const routed = yield* fromChat(asked, headers, policy)
    return { ...routed, conversation, adjusted: written.adjusted }
  })

/** The decision's id is in the answer's, so that feedback can name either. */
const answerId = (decisionId: string): string => `resp_${decisionId}`

/** The body of a whole answer. */
export const responsesText = (answer: Answer, { conversation }: ResponsesInput): string => {
  const given = parseJson(answer.text)
  const body = isObject(given) ? given : {}
  const about: About = {
    id: answerId(answer.decisionId),
    model: answer.model,
    createdSeconds: createdIn(body),
    conversation,
    inputTokens: answer.usage?.inputTokens ?? 0
  }
  const { usage, ...said } = chat.readAnswer(body)
  return JSON.stringify(responses.writeAnswer({ ...said, usage: usage ?? answer.usage }, about))
}

const createdIn = ({ created }: JsonObject): number => (typeof created === "number" ? created : 0)

const typeOf = (payload: string): string => /^\{"type":"([a-z_.]+)"/.exec(payload)?.[1] ?? "message"
const framed = (payload: string): string => `event: ${typeOf(payload)}\ndata: ${payload}\n\n`

/** The codes that clients of Responses act upon: they wait, or shorten what they send. */
const failureOf = (error: AnyError) => {
  const { code, message, status } = toPublic(error)
  const known = status === 429 ? "rate_limit_exceeded" : code === "context_length_exceeded" ? code : "server_error"
  return { code: known, message }
}

/** Tells the chunks of a chat as events of Responses. */
export class ResponsesSink implements StreamSink {
  readonly #sink: SseSink
  readonly #reader = chat.eventReader()
  readonly #head: StreamHead
  readonly #input: ResponsesInput
  #writer: ResponsesEventWriter | null = null

  constructor(
    answer: StreamedAnswer,
    headers: Readonly<Record<string, string>>,
    keepAliveMs: number,
    head: StreamHead,
    input: ResponsesInput
  ) {
    this.#head = head
    this.#input = input
    const form: StreamForm = {
      framed,
      end: "",
      broken: (error) => this.#writing({}).failed(failureOf(error)).map(framed).join("")
    }
    this.#sink = new SseSink(answer, headers, keepAliveMs, form)
  }

  events(payloads: ReadonlyArray<string>, more: () => void): void {
    const told = payloads.flatMap((payload) => this.#told(payload))
    if (told.length === 0) more()
    else this.#sink.events(told, more)
  }

  alive(): void {
    this.#sink.alive()
  }

  finishing(): void {
    this.#sink.finishing()
  }

  end(): void {
    const writer = this.#writing({})
    this.#sink.events([...writer.end(), writer.last()], () => undefined)
    this.#sink.end()
  }

  fail(error: AnyError): void {
    this.#sink.fail(error)
  }

  #told(payload: string): ReadonlyArray<string> {
    const chunk = parseJson(payload)
    const writer = this.#writing(isObject(chunk) ? chunk : {})
    return this.#reader.read(payload).flatMap((event) => writer.write(event))
  }

  /** Who answers is known by the first chunk. */
  #writing(chunk: JsonObject): ResponsesEventWriter {
    const { conversation, request } = this.#input
    this.#writer ??= new ResponsesEventWriter({
      id: answerId(this.#head.decisionId),
      model: textOf(chunk["model"]) ?? this.#head.model ?? "auto",
      createdSeconds: createdIn(chunk),
      conversation,
      inputTokens: request.inputTokens
    })
    return this.#writer
  }
}
