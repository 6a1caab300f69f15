import * as Either from "effect/Either"
import type { IncomingHttpHeaders } from "node:http"
import type { Conversation, Toward, Unfit } from "../../domain/models/canonical/Conversation.ts"
import { chat } from "../../domain/models/chat/Chat.ts"
import { isObject, type JsonObject } from "../../domain/models/Json.ts"
import { messages } from "../../domain/models/messages/Messages.ts"
import { needsOf } from "../../domain/routing/Needs.ts"
import type { Preference } from "../../domain/routing/Weights.ts"
import { CountTokensRequest, MessagesRequest } from "../../services/api/Requests.ts"
import type { UnknownModel } from "../../services/routing/Router.ts"
import { decoder } from "./Body.ts"
import { InvalidRequest } from "./HttpErrors.ts"
import { fromOther, type RoutingInput } from "./RoutingInput.ts"

// Anthropic's Messages at the door: the body goes on as it came, to a model of its protocol byte by byte. What routing looks
// at is the chat that it would be.

const decode = decoder(MessagesRequest)
const decodeCount = decoder(CountTokensRequest)

/** Nobody is chosen yet, so nothing is known of who answers. */
const anybody: Toward = { abilities: {}, maxOutputTokens: null, upstream: "" }

const invalid = ({ detail, param }: Unfit) => new InvalidRequest({ param, detail })

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
    const { form, isNative } = asChat(conversation)
    const routed = yield* fromOther({ ...form, model, conduit }, body, headers, policy)
    const needs = isNative ? [...routed.request.needs, "native_tools" as const] : routed.request.needs
    return {
      ...routed,
      request: { ...routed.request, needs },
      protocol: "messages" as const,
      forwarded: forwardedOf(headers)
    }
  })

/** Estimated tokens of what would be sent. */
export const countTokens = (input: unknown): Either.Either<number, InvalidRequest> =>
  Either.gen(function* () {
    yield* decodeCount(input)
    const body: JsonObject = isObject(input) ? input : {}
    const conversation = yield* Either.mapLeft(messages.readRequest(body), invalid)
    return needsOf(asChat(conversation).form).inputTokens
  })

/** The chat that routing looks at, and whether only upstreams of the protocol itself can take the request. */
const asChat = (conversation: Conversation): { readonly form: JsonObject; readonly isNative: boolean } => {
  // Thoughts that a model may have, or not, are no need.
  const reasoning = conversation.reasoning?.mode === "adaptive" ? null : conversation.reasoning
  const asked = { ...conversation, reasoning }
  const whole = chat.writeRequest(asked, anybody)
  if (Either.isRight(whole)) return { form: whole.right.body, isNative: false }
  const plain = chat.writeRequest(textOnly(asked), anybody)
  return { form: Either.isRight(plain) ? plain.right.body : { messages: [] }, isNative: true }
}

const textOnly = (conversation: Conversation): Conversation => ({
  ...conversation,
  tools: conversation.tools.filter(({ type }) => type === "function"),
  turns: conversation.turns.map((turn) => ({ ...turn, parts: turn.parts.filter(({ type }) => type === "text") }))
})
