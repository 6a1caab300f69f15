import * as Either from "effect/Either"
import type { IncomingHttpHeaders } from "node:http"
import { gemini } from "../../domain/models/gemini/Gemini.ts"
import { isObject, type JsonObject } from "../../domain/models/Json.ts"
import { rememberSource, sourceOf } from "../../domain/models/RequestText.ts"
import { needsOf } from "../../domain/routing/Needs.ts"
import type { Preference } from "../../domain/routing/Weights.ts"
import { ContentTokensRequest, GenerateContentRequest } from "../../services/api/Requests.ts"
import type { UnknownModel } from "../../services/routing/Router.ts"
import { decoder } from "./Body.ts"
import { googleEnvelope, googleForm } from "./Door.ts"
import { toPublic } from "./ErrorTable.ts"
import type { InvalidRequest } from "./HttpErrors.ts"
import { asChat, fromConversation, invalid } from "./OtherProtocol.ts"
import { oneLine } from "./NamedEvents.ts"
import type { RoutingInput } from "./RoutingInput.ts"
import type { StreamForm, TellBroken } from "./SseSink.ts"

// Google's generateContent at the door: the path says which model, and whether its answer is streamed.

const decode = decoder(GenerateContentRequest)
const decodeCount = decoder(ContentTokensRequest)

/** What the path says of a request. */
interface Named {
  readonly model: string
  readonly stream: boolean
}

/** The body as it came, with what the path says in the places that other protocols have for it. */
const withPath = (input: unknown, { model, stream }: Named): JsonObject => {
  const given: JsonObject = isObject(input) ? input : {}
  const body = { ...given, model, stream }
  rememberSource(body, sourceOf(given))
  return body
}

export const fromContents = (
  input: unknown,
  named: Named,
  headers: IncomingHttpHeaders,
  policy: Preference
): Either.Either<RoutingInput, InvalidRequest | UnknownModel> =>
  Either.gen(function* () {
    const { conduit } = yield* decode(input)
    const body = withPath(input, named)
    const conversation = yield* Either.mapLeft(gemini.readRequest(body), invalid)
    return yield* fromConversation({ body, conversation, model: named.model, conduit }, headers, policy)
  })

/** Estimated tokens of what would be sent, which may be wrapped as a whole request. */
export const countContentTokens = (input: unknown): Either.Either<number, InvalidRequest> =>
  Either.gen(function* () {
    const { generateContentRequest: whole, ...bare } = yield* decodeCount(input)
    const conversation = yield* Either.mapLeft(gemini.readRequest(whole ?? bare), invalid)
    return needsOf(asChat(conversation).form).inputTokens
  })

/** Google's clients ask for server-sent events; who does not gets its pieces as the elements of one list. */
export const asksForEvents = (url: string): boolean => new URLSearchParams(url.split("?")[1]).get("alt") === "sse"

/** A stream as one list in JSON, which has no end where the answer has none. */
class ListForm implements StreamForm {
  readonly contentType = "application/json; charset=utf-8"
  readonly alive = "\n"
  #hasBegun = false

  readonly framed = (payload: string): string => {
    const before = this.#hasBegun ? ",\r\n" : "["
    this.#hasBegun = true
    return `${before}${oneLine(payload)}`
  }

  get end(): string {
    return this.#hasBegun ? "]" : "[]"
  }

  readonly broken: TellBroken = (error) => this.framed(JSON.stringify(googleEnvelope(toPublic(error))))
}

export const formFor = (url: string): StreamForm => (asksForEvents(url) ? googleForm : new ListForm())
