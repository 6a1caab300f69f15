import * as Either from "effect/Either"
import type { IncomingHttpHeaders } from "node:http"
import { uuidV7Millis } from "../../domain/basics/Ids.ts"
import { type Conversation, idPrefixes } from "../../domain/models/canonical/Conversation.ts"
import { isObject, type JsonObject, parseJson } from "../../domain/models/Json.ts"
import { ResponsesEventWriter } from "../../domain/models/responses/Events.ts"
import { responses } from "../../domain/models/responses/Responses.ts"
import type { Preference } from "../../domain/routing/Weights.ts"
import { ResponsesRequest } from "../../services/api/Requests.ts"
import type { StreamHead, UnknownModel } from "../../services/routing/Router.ts"
import { decoder } from "./Body.ts"
import { type AnyError, toPublic } from "./ErrorTable.ts"
import type { InvalidRequest } from "./HttpErrors.ts"
import { eventName, namedEvent } from "./NamedEvents.ts"
import { fromConversation, invalid } from "./OtherProtocol.ts"
import type { RoutingInput } from "./RoutingInput.ts"
import type { StreamForm, TellBroken } from "./SseSink.ts"

// OpenAI's Responses at the door.

export interface ResponsesInput extends RoutingInput {
  readonly conversation: Conversation
}

const decode = decoder(ResponsesRequest)

export const fromResponses = (
  input: unknown,
  headers: IncomingHttpHeaders,
  policy: Preference
): Either.Either<ResponsesInput, InvalidRequest | UnknownModel> =>
  Either.gen(function* () {
    const { conduit, model } = yield* decode(input)
    const body: JsonObject = isObject(input) ? input : {}
    const conversation = yield* Either.mapLeft(responses.readRequest(body), invalid)
    const routed = yield* fromConversation({ body, conversation, model, conduit }, headers, policy)
    return { ...routed, conversation }
  })

/** The codes that clients of Responses act upon: they wait, or shorten what they send. */
const failureOf = (error: AnyError) => {
  const { code, message, status } = toPublic(error)
  const known = status === 429 ? "rate_limit_exceeded" : code === "context_length_exceeded" ? code : "server_error"
  return { code: known, message }
}

/**
 * A stream of Responses on the wire. It breaks by `response.failed`, numbered on, with the whole object and the items that
 * have come: clients wait for this one, and take a bare `error` for nothing.
 */
export class ResponsesForm implements StreamForm {
  readonly end = ""
  readonly #head: StreamHead
  readonly #input: ResponsesInput
  /** The payload that began the answer; null before it. */
  #begun: string | null = null
  readonly #items: Array<string> = []
  #newest = ""

  constructor(head: StreamHead, input: ResponsesInput) {
    this.#head = head
    this.#input = input
  }

  readonly framed = (payload: string): string => {
    const name = eventName(payload)
    if (name === "response.created") this.#begun = payload
    if (name === "response.output_item.done") this.#items.push(payload)
    this.#newest = payload
    return namedEvent(payload, name)
  }

  readonly broken: TellBroken = (error) => {
    const failure = failureOf(error)
    const response = this.#begun === null ? null : memberOf(this.#begun, "response")
    if (!isObject(response)) return this.#neverBegun(failure)
    const sequence = memberOf(this.#newest, "sequence_number")
    const output = this.#items.map((item) => memberOf(item, "item"))
    const event = {
      type: "response.failed",
      sequence_number: (typeof sequence === "number" ? sequence : 0) + 1,
      response: { ...response, status: "failed", output, error: failure }
    }
    return namedEvent(JSON.stringify(event))
  }

  #neverBegun(failure: { readonly code: string; readonly message: string }): string {
    const { conversation, request } = this.#input
    const writer = new ResponsesEventWriter({
      id: `${idPrefixes.responses}${this.#head.decisionId}`,
      model: this.#head.model ?? "auto",
      createdSeconds: Math.floor(uuidV7Millis(this.#head.decisionId) / 1000),
      conversation,
      inputTokens: request.inputTokens
    })
    return writer
      .failed(failure)
      .map((payload) => namedEvent(payload))
      .join("")
  }
}

const memberOf = (payload: string, name: string): unknown => {
  const event = parseJson(payload)
  return isObject(event) ? event[name] : undefined
}
