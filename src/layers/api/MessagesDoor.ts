import * as Either from "effect/Either"
import type { IncomingHttpHeaders } from "node:http"
import { isObject, type JsonObject } from "../../domain/models/Json.ts"
import { messages } from "../../domain/models/messages/Messages.ts"
import { needsOf } from "../../domain/routing/Needs.ts"
import type { Preference } from "../../domain/routing/Weights.ts"
import { CountTokensRequest, MessagesRequest } from "../../services/api/Requests.ts"
import type { UnknownModel } from "../../services/routing/Router.ts"
import { decoder } from "./Body.ts"
import type { InvalidRequest } from "./HttpErrors.ts"
import { asChat, fromConversation, invalid } from "./OtherProtocol.ts"
import type { RoutingInput } from "./RoutingInput.ts"

// Anthropic's Messages at the door.

const decode = decoder(MessagesRequest)
const decodeCount = decoder(CountTokensRequest)

/** What goes on to an upstream of the same protocol besides the body. */
const forwardedNames = ["anthropic-version", "anthropic-beta"] as const

const forwardedOf = (headers: IncomingHttpHeaders): Readonly<Record<string, string>> => {
  const forwarded: Record<string, string> = {}
  for (const name of forwardedNames) {
    const value = headers[name]
    if (typeof value === "string") forwarded[name] = value
  }
  return forwarded
}

export const fromMessages = (
  input: unknown,
  headers: IncomingHttpHeaders,
  policy: Preference
): Either.Either<RoutingInput, InvalidRequest | UnknownModel> =>
  Either.gen(function* () {
    const { conduit, model } = yield* decode(input)
    const body: JsonObject = isObject(input) ? input : {}
    const conversation = yield* Either.mapLeft(messages.readRequest(body), invalid)
    const routed = yield* fromConversation({ body, conversation, model, conduit }, headers, policy)
    return { ...routed, forwarded: forwardedOf(headers) }
  })

/** Estimated tokens of what would be sent. */
export const countTokens = (input: unknown): Either.Either<number, InvalidRequest> =>
  Either.gen(function* () {
    yield* decodeCount(input)
    const body: JsonObject = isObject(input) ? input : {}
    const conversation = yield* Either.mapLeft(messages.readRequest(body), invalid)
    return needsOf(asChat(conversation).form).inputTokens
  })
