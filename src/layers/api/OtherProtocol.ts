import * as Either from "effect/Either"
import type { IncomingHttpHeaders } from "node:http"
import type { Conversation, ProtocolName, Toward, Unfit } from "../../domain/models/canonical/Conversation.ts"
import { chat } from "../../domain/models/chat/Chat.ts"
import type { JsonObject } from "../../domain/models/Json.ts"
import type { Preference } from "../../domain/routing/Weights.ts"
import type { ConduitOptions } from "../../services/api/Requests.ts"
import type { UnknownModel } from "../../services/routing/Router.ts"
import { InvalidRequest } from "./HttpErrors.ts"
import { fromOther, type RoutingInput } from "./RoutingInput.ts"

// Doors of other protocols than OpenAI's chat: the body goes on as it came, to a model of its protocol byte by byte. What
// routing looks at is the chat that it would be.

/** Nobody is chosen yet, so nothing is known of who answers. */
const anybody: Toward = { abilities: {}, maxOutputTokens: null, upstream: "" }

export const invalid = ({ detail, param }: Unfit) => new InvalidRequest({ param, detail })

interface Asked {
  readonly conversation: Conversation
  /** As it came. */
  readonly body: JsonObject
  /** A model's id, an alias, or nothing. */
  readonly model: string | null | undefined
  readonly conduit: ConduitOptions | undefined
}

/** The request of a door of the conversation's protocol. */
export const fromConversation = (
  { body, conduit, conversation, model }: Asked,
  headers: IncomingHttpHeaders,
  policy: Preference
): Either.Either<RoutingInput & { readonly protocol: ProtocolName }, InvalidRequest | UnknownModel> => {
  const { form, isNative } = asChat(conversation)
  const { messages } = form
  const named = {
    ...form,
    // A request may say nothing new of a conversation that its upstream keeps.
    messages: Array.isArray(messages) && messages.length > 0 ? messages : [{ role: "user", content: "" }],
    ...(model === undefined || model === null ? {} : { model }),
    ...(conduit === undefined ? {} : { conduit })
  }
  return Either.map(fromOther(named, body, headers, policy), (routed) => ({
    ...routed,
    protocol: conversation.of,
    request: {
      ...routed.request,
      protocol: conversation.of,
      needs: isNative ? [...routed.request.needs, "native_tools" as const] : routed.request.needs
    }
  }))
}

/** The chat that routing looks at, and whether only upstreams of the protocol itself can take the request. */
export const asChat = (conversation: Conversation): { readonly form: JsonObject; readonly isNative: boolean } => {
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
