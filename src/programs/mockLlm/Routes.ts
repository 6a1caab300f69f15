import type * as NodeHttp from "node:http"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { problemWith } from "../../domain/simulation/ChatRequest.ts"
import type { JsonObject } from "../../domain/models/Json.ts"
import { embeddedTokens, embeddingsOf, problemWithEmbeddings } from "../../domain/simulation/Embeddings.ts"
import { problemWithGemini, requestFromGemini } from "../../domain/simulation/GeminiRequest.ts"
import { geminiError } from "../../domain/simulation/GeminiWire.ts"
import { problemWithMessages, requestFromMessages } from "../../domain/simulation/MessagesRequest.ts"
import { errorBody } from "../../domain/simulation/MessagesScenario.ts"
import { problemWithResponses } from "../../domain/simulation/ResponsesRequest.ts"
import type { ModelScript } from "../../domain/simulation/Script.ts"
import { chat } from "./Chat.ts"
import type { Gates } from "./Gates.ts"
import { readObject, sendError, sendJson } from "./Http.ts"
import type { Journal, JournalEntry } from "./Journal.ts"
import { sendGoogleList, sendInfo, sendList } from "./Listing.ts"
import { Behaviour, type Models } from "./MockScript.ts"
import { chatWire, geminiWire, messagesWire, responsesWire, type Wire } from "./Wires.ts"

/** What the routes of one server share. */
export interface Shared {
  readonly gates: Gates
  readonly journal: Journal
  readonly models: Models
  readonly seed: string
  /** With a key, calls without it are 401. */
  readonly apiKey: Option.Option<Redacted.Redacted>
}

/** One request, what its path names, and what the server shares. */
interface Exchange extends Shared {
  readonly request: NodeHttp.IncomingMessage
  readonly response: NodeHttp.ServerResponse
  /** The gate or the model in the path; empty without one. */
  readonly name: string
  readonly query: URLSearchParams
}

/** A long poll answers at the latest after this, with what is. */
const longPollLimit = "30 seconds"

const decodeBehaviour = Schema.decodeUnknownEither(Behaviour, { onExcessProperty: "error", errors: "all" })
const decodeName = Option.liftThrowable(decodeURIComponent)

const refuse = (response: NodeHttp.ServerResponse, status: number, code: string, message: string) =>
  sendError(response, status, { message, type: "invalid_request_error", code })

const notFound = (response: NodeHttp.ServerResponse) => refuse(response, 404, "not_found", "there is nothing here")

/** A call of a protocol whose body is fine. */
const called = Effect.fnUntraced(function* (
  { journal, response, seed, ...services }: Exchange,
  wire: Wire,
  script: ModelScript,
  entry: JournalEntry,
  stream: boolean = entry.body["stream"] === true
) {
  let broken = false
  journal.began(entry)
  response.once("close", () => {
    const left = !response.writableFinished && !broken
    journal.ended(entry.model, response.headersSent ? response.statusCode : null, left)
  })
  const number = journal.total()
  const call = {
    wire,
    script,
    body: entry.body,
    stream,
    seed: `${seed}/${number}`,
    id: `${wire.idPrefix}${number}`,
    response,
    breaking: () => {
      broken = true
    }
  }
  yield* chat(call, { journal, gates: services.gates })
})

/** A call of one of OpenAI's endpoints: what is wrong is said in its envelope, or `proceed` goes on. */
const ofOpenAi = (
  problemWith: (body: JsonObject) => string | null,
  proceed: (exchange: Exchange, script: ModelScript, entry: JournalEntry) => Effect.Effect<void>
) =>
  Effect.fnUntraced(function* (exchange: Exchange) {
    const { apiKey, models, request, response } = exchange
    const body = yield* readObject(request)
    const { authorization } = request.headers
    if (Option.isSome(apiKey) && authorization !== `Bearer ${Redacted.value(apiKey.value)}`) {
      return refuse(response, 401, "invalid_api_key", "Incorrect API key provided")
    }
    if (body === null) return refuse(response, 400, "invalid_request", "the body must be a JSON object")
    const problem = problemWith(body)
    if (problem !== null) return refuse(response, 400, "invalid_request", problem)
    const model = String(body["model"])
    const script = models.find(model)
    if (script === undefined) return refuse(response, 404, "model_not_found", `The model \`${model}\` does not exist`)
    const authorized = authorization?.startsWith("Bearer ") === true
    yield* proceed(exchange, script, { model, authorized, body })
  })

const completions = ofOpenAi(problemWith, (exchange, script, entry) => called(exchange, chatWire, script, entry))

const responses = ofOpenAi(problemWithResponses, (exchange, script, entry) =>
  called(exchange, responsesWire, script, entry)
)

const embeddings = ofOpenAi(problemWithEmbeddings, ({ journal, response }, { inputUsdPerMTok, name }, entry) =>
  Effect.sync(() => {
    journal.began(entry)
    response.once("close", () => journal.ended(entry.model, response.statusCode, !response.writableFinished))
    journal.billed((embeddedTokens(entry.body) * inputUsdPerMTok) / 1e6)
    sendJson(response, 200, embeddingsOf(entry.body, name))
  })
)

/** Anthropic's; what is wrong is said in its envelope. */
const messages = Effect.fnUntraced(function* (exchange: Exchange) {
  const { apiKey, models, request, response } = exchange
  const body = yield* readObject(request)
  const { "anthropic-beta": beta, "anthropic-version": version, "x-api-key": key } = request.headers
  const refused = (status: number, message: string) => sendJson(response, status, errorBody(status, message))
  if (Option.isSome(apiKey) && key !== Redacted.value(apiKey.value)) return refused(401, "invalid x-api-key")
  if (version === undefined) return refused(400, "anthropic-version: header is required")
  if (body === null) return refused(400, "the body must be a JSON object")
  const problem = problemWithMessages(body)
  if (problem !== null) return refused(400, problem)
  const model = String(body["model"])
  const script = models.find(model)
  if (script === undefined) return refused(404, `model: ${model}`)
  const headers = {
    "anthropic-version": String(version),
    ...(beta === undefined ? {} : { "anthropic-beta": String(beta) })
  }
  yield* called(exchange, messagesWire, script, { model, authorized: key !== undefined, body, headers })
})

/** Google's: the model and whether it is streamed stand in the path. */
const contents = Effect.fnUntraced(function* (exchange: Exchange) {
  const { apiKey, models, name, query, request, response } = exchange
  const body = yield* readObject(request)
  const { "x-goog-api-key": key } = request.headers
  const refused = (status: number, message: string) => sendJson(response, status, geminiError(status, message))
  const [, model = "", operation] = /^(.+):(generateContent|streamGenerateContent|countTokens)$/.exec(name) ?? []
  if (operation === undefined) return refused(404, "Not found")
  if (Option.isSome(apiKey) && key !== Redacted.value(apiKey.value)) return refused(400, "API key not valid.")
  if (body === null) return refused(400, "the body must be a JSON object")
  if (operation === "countTokens") return sendJson(response, 200, { totalTokens: requestFromGemini(body).promptTokens })
  const isStream = operation === "streamGenerateContent"
  if (isStream && query.get("alt") !== "sse") return refused(400, "only alt=sse is simulated")
  const problem = problemWithGemini(body, model)
  if (problem !== null) return refused(400, problem)
  const script = models.find(model)
  if (script === undefined) return refused(404, `models/${model} is not found for API version v1beta`)
  yield* called(exchange, geminiWire, script, { model, authorized: key !== undefined, body }, isStream)
})

const countTokens = Effect.fnUntraced(function* ({ request, response }: Exchange) {
  const body = yield* readObject(request)
  const count = requestFromMessages(body ?? {}).promptTokens
  return sendJson(response, 200, { input_tokens: count })
})

const waitAtGate = Effect.fnUntraced(function* ({ gates, name, query, response }: Exchange) {
  const count = Number(query.get("waiting") ?? 0)
  if (!Number.isInteger(count) || count < 0) return notFound(response)
  yield* Effect.timeoutOption(gates.awaitWaiting(name, count), longPollLimit)
  return sendJson(response, 200, gates.state(name))
})

const openGate = ({ gates, name, response }: Exchange) =>
  Effect.sync(() => {
    gates.open(name)
    sendJson(response, 200, gates.state(name))
  })

const patchModel = Effect.fnUntraced(function* ({ models, name, request, response }: Exchange) {
  const decoded = decodeBehaviour(yield* readObject(request))
  if (Either.isLeft(decoded)) return refuse(response, 400, "invalid_request", decoded.left.message)
  return models.patch(name, decoded.right) ? sendJson(response, 200, models.find(name)) : notFound(response)
})

const answering =
  (body: (shared: Shared) => unknown) =>
  (exchange: Exchange): Effect.Effect<void> =>
    Effect.sync(() => sendJson(exchange.response, 200, body(exchange)))

/** Names of several parts in paths, and where they stand. */
const named = /^\/(mock\/gates|mock\/models|v1(?:beta)?\/models)\/(.+)$/

/** By method and path; `*` is a name, never empty. */
const routes: Readonly<Record<string, (exchange: Exchange) => Effect.Effect<void>>> = {
  "POST /v1/chat/completions": completions,
  "POST /v1/responses": responses,
  "POST /v1/embeddings": embeddings,
  "POST /v1/messages": messages,
  "POST /v1/messages/count_tokens": countTokens,
  "GET /v1/models": ({ models, response }) => Effect.sync(() => sendList(response, models)),
  "GET /v1/model/info": ({ models, response }) =>
    Effect.sync(() => (models.list === "litellm" ? sendInfo(response, models) : notFound(response))),
  "GET /health": answering(() => ({ status: "healthy" })),
  "GET /mock/requests": answering(({ journal }) => journal.state()),
  "POST /v1/models/*": contents,
  "GET /v1beta/models": ({ models, response }) => Effect.sync(() => sendGoogleList(response, models)),
  "POST /v1beta/models/*": contents,
  "POST /mock/gates/*": openGate,
  "GET /mock/gates/*": waitAtGate,
  "POST /mock/models/*": patchModel
}

/** Answers one request. */
export const answer = (
  shared: Shared,
  request: NodeHttp.IncomingMessage,
  response: NodeHttp.ServerResponse
): Effect.Effect<void> => {
  const target = `http://mock${request.url ?? "/"}`
  if (!URL.canParse(target)) return Effect.sync(() => notFound(response))
  const { pathname, searchParams: query } = new URL(target)
  const [, place, encoded = ""] =
    routes[`${request.method} ${pathname}`] === undefined ? (named.exec(pathname) ?? []) : []
  const name = Option.getOrElse(decodeName(encoded), () => "")
  const route = routes[`${request.method} ${name === "" ? pathname : `/${place}/*`}`]
  return route === undefined
    ? Effect.sync(() => notFound(response))
    : route({ ...shared, request, response, name, query })
}
