import * as Either from "effect/Either"
import type { IncomingHttpHeaders } from "node:http"
import { uuidV7Millis } from "../../domain/basics/Ids.ts"
import { type Conversation, idPrefixes, type Unfit } from "../../domain/models/canonical/Conversation.ts"
import { isObject, type JsonObject, parseJson, textOf } from "../../domain/models/Json.ts"
import { providerKinds } from "../../domain/models/ProviderKind.ts"
import { ResponsesEventWriter } from "../../domain/models/responses/Events.ts"
import { needsStore, readPart } from "../../domain/models/responses/Request.ts"
import { keptIn } from "../../domain/models/responses/ResponseId.ts"
import { responses } from "../../domain/models/responses/Responses.ts"
import type { RoutingRequest } from "../../domain/routing/Decision.ts"
import { meantBy } from "../../domain/routing/ModelName.ts"
import type { Preference } from "../../domain/routing/Weights.ts"
import { ResponsesRequest } from "../../services/api/Requests.ts"
import type { Catalog, Provider } from "../../services/models/ModelCatalog.ts"
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

/** The models, and how their providers are called. */
type Names = Pick<Catalog, "models" | "providers">

export const fromResponses = (
  input: unknown,
  headers: IncomingHttpHeaders,
  policy: Preference,
  names: Names
): Either.Either<ResponsesInput, InvalidRequest | UnknownModel> =>
  Either.gen(function* () {
    const { conduit, model } = yield* decode(input)
    const body: JsonObject = isObject(input) ? input : {}
    const stored = needsStore(body)
    const keepers =
      stored === null ? null : yield* Either.mapLeft(keepersOf(body, stored, model ?? null, names), invalid)
    const read = keepers === null ? responses.readRequest(body) : readPart(body)
    const conversation = yield* Either.mapLeft(read, invalid)
    const routed = yield* fromConversation({ body, conversation, model, conduit }, headers, policy)
    return { ...routed, conversation, request: keepers === null ? routed.request : among(routed.request, keepers) }
  })

const speaksResponses = ({ kind }: Provider): boolean =>
  kind !== "simulated" && providerKinds[kind].protocol === "responses"

/**
 * Models that can take a request whose conversation an upstream keeps, or a part of it: those of the upstream that the answer
 * before is at, as its id says, or that of the model which is named. Why there are none, where there are none.
 */
const keepersOf = (
  body: JsonObject,
  { detail, param }: Unfit,
  name: string | null,
  { models, providers }: Names
): Either.Either<ReadonlyArray<string>, Unfit> => {
  const refused = (why: string, at = param) => Either.left({ param: at, detail: why, lacks: null })
  const isModel = (id: string) => models.some((model) => model.id === id)
  const asked = name === null ? null : meantBy(name, isModel, (id) => providers.has(id))
  const pinned = models.find(({ id }) => id === asked)
  const previous = textOf(body["previous_response_id"])
  const kept = previous === null ? null : keptIn(previous)
  const at = kept?.provider ?? pinned?.provider
  const provider = at === undefined ? undefined : providers.get(at)
  if (kept !== null && (provider === undefined || !speaksResponses(provider))) {
    return refused(`the provider ${JSON.stringify(at)}, which keeps this answer, is not configured any more`)
  }
  if (kept !== null && pinned !== undefined && pinned.provider !== at) {
    return refused(
      `this answer is kept by ${at}, and ${pinned.id} is called at ${pinned.provider}: name a model of ${at}, or send the whole conversation as input`
    )
  }
  if (provider === undefined || !speaksResponses(provider)) {
    return refused(`${detail}; or name a model whose provider is of kind openai-responses, which keeps them itself`)
  }
  return Either.right(models.filter((model) => model.provider === at).map(({ id }) => id))
}

/** Falls back to nobody else. */
const among = (request: RoutingRequest, models: ReadonlyArray<string>): RoutingRequest => {
  const { allowed_models: stated } = request.constraints
  const both = stated === undefined ? models : models.filter((id) => stated.includes(id))
  return { ...request, constraints: { ...request.constraints, allowed_models: both } }
}

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
