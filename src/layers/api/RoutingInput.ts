import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type { IncomingHttpHeaders } from "node:http"
import type { ProtocolName } from "../../domain/models/canonical/Conversation.ts"
import type { Constraints } from "../../domain/routing/Constraint.ts"
import type { RoutingRequest } from "../../domain/routing/Decision.ts"
import { ModelId } from "../../domain/basics/Ids.ts"
import { needsOf } from "../../domain/routing/Needs.ts"
import { sessionMark } from "../../domain/routing/SessionMark.ts"
import { normalise, preferences, type Preference } from "../../domain/routing/Weights.ts"
import {
  ChatRequest,
  CompleteRequest,
  ConduitHeaders,
  RouteRequest,
  type ConduitOptions
} from "../../services/api/Requests.ts"
import type { ChatBody } from "../../services/models/LanguageModels.ts"
import { UnknownModel } from "../../services/routing/Router.ts"
import { decoder } from "./Body.ts"
import type { InvalidRequest } from "./HttpErrors.ts"
import { isPlainChat, type PlainChat } from "./PlainChat.ts"

/** What the router needs, from what came: the decoded view decides, the original object is forwarded. */
export interface RoutingInput {
  readonly request: RoutingRequest
  readonly body: ChatBody
  /** The chat that a body of another protocol would be. */
  readonly form?: ChatBody
  /** That the body is in, where it is no chat. */
  readonly protocol?: ProtocolName
  /** Header fields that go on to an upstream of that protocol. */
  readonly forwarded?: Readonly<Record<string, string>>
}
type Parsed = Either.Either<RoutingInput, InvalidRequest | UnknownModel>

const decodeChat = decoder(ChatRequest)
const decodeComplete = decoder(CompleteRequest)
const decodeRoute = decoder(RouteRequest)
const decodeHeaders = decoder(ConduitHeaders)

/** On the path of every request: without a generator. */
export const fromChat = (input: unknown, headers: IncomingHttpHeaders, policy: Preference): Parsed => {
  const chat: Either.Either<PlainChat | typeof ChatRequest.Type, InvalidRequest> = isPlainChat(input)
    ? Either.right(input)
    : decodeChat(input)
  if (Either.isLeft(chat)) return Either.left(chat.left)
  const given = fromHeaders(headers)
  if (Either.isLeft(given)) return Either.left(given.left)
  return build(chat.right, merge(given.right, chat.right.conduit), policy, asBody(input), headers)
}

/** A request of another protocol: `form` is the chat that it would be, `body` what came and goes on. */
export const fromOther = (form: unknown, body: ChatBody, headers: IncomingHttpHeaders, policy: Preference): Parsed =>
  Either.map(fromChat(form, headers, policy), (routed) => {
    const sessionId = routed.request.sessionId ?? sessionMark(headers, body)
    return { ...routed, body, form: routed.body, request: { ...routed.request, sessionId } }
  })

export const fromComplete = (input: unknown, headers: IncomingHttpHeaders, policy: Preference): Parsed =>
  Either.gen(function* () {
    const complete = yield* decodeComplete(input)
    const options = merge(merge(yield* fromHeaders(headers), complete.conduit), complete)
    const { prompt, context, conduit: _, ...rest } = complete
    const messages = [
      ...(context === undefined ? [] : [{ role: "system", content: contextText(context) }]),
      { role: "user", content: prompt }
    ]
    const body = { ...withoutOptions(rest), messages, stream: false }
    return yield* build({ ...rest, messages, stream: false }, options, policy, body, headers)
  })

/** The body is not used: `/v1/route` only decides. */
export const fromRoute = (input: unknown, headers: IncomingHttpHeaders, policy: Preference): Parsed =>
  Either.gen(function* () {
    const route = yield* decodeRoute(input)
    const options = merge(merge(yield* fromHeaders(headers), route.conduit), route)
    const messages = route.messages ?? [{ role: "user", content: route.prompt ?? "" }]
    return yield* build({ ...route, messages }, options, policy, { ...asBody(input), messages }, headers)
  })

interface ChatLike {
  readonly messages: ReadonlyArray<{ readonly content?: unknown }>
  readonly model?: string | null
  readonly stream?: boolean | null
  readonly max_tokens?: number | null
  readonly max_completion_tokens?: number | null
}

const build = (
  chat: ChatLike,
  options: ConduitOptions,
  policy: Preference,
  body: ChatBody,
  headers: IncomingHttpHeaders
): Parsed => {
  const pinned = chat.model === undefined || chat.model === null || chat.model === "auto" ? null : chat.model
  if (pinned !== null && Option.isNone(ModelId.option(pinned))) {
    return Either.left(new UnknownModel({ model: pinned.slice(0, 128) }))
  }
  const preference = options.preference ?? policy
  const { capabilities, inputTokens } = needsOf(body)
  const weights = options.weights
  return Either.right({
    body,
    request: {
      text: textOf(chat.messages),
      inputTokens,
      needs: capabilities,
      maxTokens: limitOf(chat.max_completion_tokens) ?? limitOf(chat.max_tokens),
      stream: chat.stream === true,
      task: options.task ?? null,
      preference,
      isPreferenceStated: options.preference !== undefined || weights !== undefined,
      weights: normalise(
        weights === undefined
          ? preferences[preference]
          : { quality: weights.quality ?? 0, cost: weights.cost ?? 0, latency: weights.latency ?? 0 }
      ),
      constraints: options.constraints ?? {},
      userId: options.user_id ?? null,
      sessionId: options.session_id ?? sessionMark(headers, body),
      pinned: pinned === null ? null : ModelId(pinned),
      askedModel: null,
      fallback: options.fallback ?? false,
      isRetry: /^[1-9]\d*$/.test(String(headers["x-stainless-retry-count"]))
    }
  })
}

/** -1 says that there is none. */
const limitOf = (tokens: number | null | undefined): number | null =>
  tokens === undefined || tokens === null || tokens < 0 ? null : tokens

/** What features are taken from: the newest text counts most, and more than this says little about the kind of request. */
const maxTextChars = 32_768

const textOf = (messages: ChatLike["messages"]): string => {
  const newestFirst: Array<string> = []
  let characters = 0
  const add = (text: string) => {
    if (text !== "" && characters < maxTextChars) newestFirst.push(text)
    characters += text.length
  }
  for (let i = messages.length - 1; i >= 0; i--) {
    const content = messages[i]?.content
    if (typeof content === "string") add(content)
    else if (Array.isArray(content)) for (let j = content.length - 1; j >= 0; j--) add(partText(content[j]))
  }
  return newestFirst.reverse().join("\n").slice(-maxTextChars)
}

const partText = (part: unknown): string =>
  typeof part === "object" && part !== null && "text" in part && typeof part.text === "string" ? part.text : ""

const contextText = (context: string | Readonly<Record<string, unknown>>): string =>
  typeof context === "string" ? context : `Context:\n${JSON.stringify(context)}`

const asBody = (input: unknown): ChatBody => (isRecord(input) ? input : {})
const isRecord = (input: unknown): input is ChatBody => typeof input === "object" && input !== null

const withoutOptions = (body: ChatBody & ConduitOptions): ChatBody => {
  const {
    task: _,
    preference: _1,
    weights: _2,
    constraints: _3,
    user_id: _4,
    session_id: _5,
    fallback: _6,
    ...rest
  } = body
  return rest
}

/** Key by key, the constraints' too; `over` wins. */
const merge = (under: ConduitOptions | undefined, over: ConduitOptions | undefined): ConduitOptions => {
  if (over === undefined) return under ?? {}
  if (under === undefined) return over
  const constraints: Constraints = { ...under.constraints, ...over.constraints }
  return { ...under, ...over, constraints }
}

const fromHeaders = (headers: IncomingHttpHeaders): Either.Either<ConduitOptions | undefined, InvalidRequest> => {
  let ours: IncomingHttpHeaders | undefined
  for (const name in headers) {
    // Templated headers are empty where nothing was filled in.
    if (name.startsWith("x-conduit-") && headers[name] !== "") (ours ??= {})[name] = headers[name]
  }
  if (ours === undefined) return Either.right(undefined)
  // A misspelt limit would be no limit: an unknown one is refused.
  return Either.map(decodeHeaders(ours), (h) => {
    const allowed = h["x-conduit-allowed-models"]
    return {
      ...given("task", h["x-conduit-task"]),
      ...given("preference", h["x-conduit-preference"]),
      ...given("user_id", h["x-conduit-user-id"]),
      ...given("session_id", h["x-conduit-session-id"]),
      ...given("fallback", h["x-conduit-fallback"]),
      constraints: {
        ...given("max_cost_usd", h["x-conduit-max-cost-usd"]),
        ...given("max_latency_ms", h["x-conduit-max-latency-ms"]),
        ...given("min_quality", h["x-conduit-min-quality"]),
        ...given("provider", h["x-conduit-provider"]),
        ...given(
          "allowed_models",
          allowed
            ?.split(",")
            .map((id) => id.trim())
            .filter((id) => id !== "")
        )
      }
    }
  })
}

const given = <K extends string, A>(key: K, value: A | undefined): { readonly [P in K]?: A } => {
  const entry: { [P in K]?: A } = {}
  if (value !== undefined) entry[key] = value
  return entry
}
