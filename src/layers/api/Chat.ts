import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import type { ModelId } from "../../domain/basics/Ids.ts"
import { completionText } from "../../domain/models/Completions.ts"
import { isObject, parseJson } from "../../domain/models/Json.ts"
import { rememberSource, sourceOf } from "../../domain/models/RequestText.ts"
import type { Preference } from "../../domain/routing/Weights.ts"
import type { CompleteAnswer } from "../../services/api/Responses.ts"
import type { RoutesOf } from "../../services/api/Routes.ts"
import type { ModelCatalogShape } from "../../services/models/ModelCatalog.ts"
import type { TracingShape } from "../../services/observing/Tracing.ts"
import type { Answer, Chat, RouterError, RouterShape, StreamHead, StreamSink } from "../../services/routing/Router.ts"
import { type BodyLimits, readJson } from "./Body.ts"
import { completionsForm, fromCompletions } from "./CompletionsDoor.ts"
import { embeddingsText, fromEmbeddings } from "./EmbeddingsDoor.ts"
import type { AnyError } from "./ErrorTable.ts"
import type { Exchange } from "./Exchange.ts"
import { usdText } from "./Present.ts"
import { json, type Reply } from "./Reply.ts"
import { formFor, fromContents } from "./GeminiDoor.ts"
import { fromMessages } from "./MessagesDoor.ts"
import { fromResponses, ResponsesForm } from "./ResponsesDoor.ts"
import { fromChat, fromComplete, type RoutingInput } from "./RoutingInput.ts"
import type { Serving } from "./Serving.ts"
import { SseSink } from "./SseSink.ts"

export interface ChatDependencies {
  readonly router: Pick<RouterShape, "begin">
  readonly catalog: Pick<ModelCatalogShape, "current">
  readonly tracing: Pick<TracingShape, "step">
  readonly serving: Serving
  readonly limits: BodyLimits
  /** Between two signs of life in a stream; 0 for none. */
  readonly keepAliveMs: number
  /** Of the policy, for requests that name none. */
  readonly preferred: () => Preference
}

/** The routes that carry the load: plain functions, from the body that is read to the router that is asked. Whole, because they share their limits. */
export const make = ({
  catalog,
  keepAliveMs,
  limits,
  preferred,
  router,
  serving,
  tracing
}: ChatDependencies): { readonly [Name in RoutesOf<"core">]: (exchange: Exchange) => void } => {
  /** Reads the body, decodes it, and goes on with what it says. */
  const received = <A extends RoutingInput>(
    exchange: Exchange,
    decode: (body: unknown) => Either.Either<A, AnyError>,
    proceed: (input: A) => void
  ) => {
    const step = tracing.step(exchange.span?.span, "decode")
    const stop = readJson(exchange, limits, (body) =>
      serving.call(exchange, () => {
        exchange.stoppedBy(null)
        const input = Either.flatMap(body, decode)
        step?.end({}, Either.isLeft(input) ? input.left._tag : null)
        if (Either.isLeft(input)) exchange.fail(input.left)
        else proceed(input.right)
      })
    )
    if (stop === null) return
    exchange.stoppedBy(() => {
      stop()
      step?.end({}, "interrupted")
    })
  }

  const begin = (exchange: Exchange, input: RoutingInput, open: Chat["open"], onEnd: Chat["onEnd"]) =>
    router.begin({
      request: input.request,
      body: input.body,
      form: input.form,
      protocol: input.protocol,
      forwarded: input.forwarded,
      caller: exchange.caller,
      onCall: (model) => noteModel(exchange, model),
      span: exchange.span?.span,
      log: (line) => serving.log(exchange, line),
      open,
      onEnd
    })

  const completed = (exchange: Exchange, input: RoutingInput, present: (answer: Answer) => Reply) =>
    serving.run(exchange, (ended) =>
      begin(exchange, input, null, (exit, about) => ended(presented(exit, present), about))
    )

  const streamed = (exchange: Exchange, input: RoutingInput, open: (head: StreamHead) => StreamSink) =>
    serving.run(exchange, (ended) => begin(exchange, input, open, (exit, about) => ended(Exit.as(exit, null), about)))

  const contents = (exchange: Exchange, stream: boolean) => {
    const { request, target } = exchange
    return received(
      exchange,
      (body) => fromContents(body, { model: target?.model ?? "auto", stream }, request.headers, preferred()),
      (input) =>
        stream
          ? streamed(
              exchange,
              input,
              (head) => new SseSink(exchange, headHeaders(head), keepAliveMs, formFor(request.url ?? ""))
            )
          : completed(exchange, input, chatReply)
    )
  }

  return {
    chatCompletions: (exchange) =>
      received(
        exchange,
        (body) => fromChat(forModel(body, exchange.target?.model ?? null), exchange.request.headers, preferred()),
        (input) =>
          input.request.stream
            ? streamed(exchange, input, (head) => new SseSink(exchange, headHeaders(head), keepAliveMs))
            : completed(exchange, input, chatReply)
      ),
    responses: (exchange) =>
      received(
        exchange,
        (body) => fromResponses(body, exchange.request.headers, preferred(), catalog.current()),
        (input) =>
          input.request.stream
            ? streamed(
                exchange,
                input,
                (head) => new SseSink(exchange, headHeaders(head), keepAliveMs, new ResponsesForm(head, input))
              )
            : completed(exchange, input, chatReply)
      ),
    embeddings: (exchange) =>
      received(
        exchange,
        (body) =>
          fromEmbeddings(
            forModel(body, exchange.target?.model ?? null),
            exchange.request.headers,
            preferred(),
            catalog.current()
          ),
        (input) => completed(exchange, input, (answer) => chatReply({ ...answer, text: embeddingsText(answer, input) }))
      ),
    completions: (exchange) =>
      received(
        exchange,
        (body) => fromCompletions(body, exchange.request.headers, preferred()),
        (input) =>
          input.request.stream
            ? streamed(
                exchange,
                input,
                (head) => new SseSink(exchange, headHeaders(head), keepAliveMs, completionsForm)
              )
            : completed(exchange, input, (answer) => chatReply({ ...answer, text: completionText(answer.text) }))
      ),
    messages: (exchange) =>
      received(
        exchange,
        (body) => fromMessages(body, exchange.request.headers, preferred()),
        (input) =>
          input.request.stream
            ? streamed(
                exchange,
                input,
                (head) => new SseSink(exchange, headHeaders(head), keepAliveMs, exchange.door.stream)
              )
            : completed(exchange, input, chatReply)
      ),
    generateContent: (exchange) => contents(exchange, false),
    streamGenerateContent: (exchange) => contents(exchange, true),
    complete: (exchange) =>
      received(
        exchange,
        (body) => fromComplete(body, exchange.request.headers, preferred()),
        (input) => completed(exchange, input, completeReply)
      )
  }
}

const presented = (
  exit: Exit.Exit<Answer | null, RouterError>,
  present: (answer: Answer) => Reply
): Exit.Exit<Reply | null, RouterError> => {
  try {
    return Exit.map(exit, (answer) => (answer === null ? null : present(answer)))
  } catch (bug) {
    return Exit.die(bug)
  }
}

/** Azure's clients name the model in the path. */
const forModel = (body: unknown, model: string | null): unknown => {
  if (model === null || !isObject(body)) return body
  const named = { ...body, model }
  rememberSource(named, sourceOf(body))
  return named
}

const chatReply = (answer: Answer): Reply => {
  const headers = answerHeaders(answer)
  headers["content-type"] = "application/json"
  return { status: answer.status, headers, body: answer.text }
}

const completeReply = (answer: Answer): Reply => {
  const body = parseJson(answer.text)
  const id = property(body, "id")
  const shown: CompleteAnswer = {
    id: typeof id === "string" ? id : answer.decisionId,
    decision_id: answer.decisionId,
    model: answer.model,
    content: contentOf(body),
    usage:
      answer.usage === null
        ? null
        : {
            prompt_tokens: answer.usage.inputTokens,
            completion_tokens: answer.usage.outputTokens,
            total_tokens: answer.usage.inputTokens + answer.usage.outputTokens
          },
    cost_usd: answer.costUsd,
    latency_ms: answer.latencyMs
  }
  return json(shown, answerHeaders(answer))
}

const answerHeaders = (answer: Answer): Record<string, string> => {
  const headers = headHeaders(answer)
  if (answer.costUsd !== null) headers["x-conduit-cost-usd"] = usdText(answer.costUsd)
  return headers
}

const headHeaders = (head: StreamHead): Record<string, string> => {
  const headers: Record<string, string> = {
    "x-conduit-decision-id": head.decisionId,
    "x-conduit-reason": head.reason,
    "x-conduit-propensity": String(head.propensity),
    "x-conduit-overhead-ms": head.overheadMs.toFixed(3)
  }
  if (head.model !== null) headers["x-conduit-model"] = head.model
  if (head.adjusted !== null) headers["x-conduit-adjusted"] = head.adjusted
  if (head.upstreamRequestId !== null) headers["x-conduit-upstream-request-id"] = head.upstreamRequestId
  if (head.simulated) headers["x-conduit-simulated"] = "true"
  return headers
}

/** The text of the first choice; null if it has none, as when the model calls a tool. */
const contentOf = (body: unknown): string | null => {
  const choices = property(body, "choices")
  const choice: unknown = Array.isArray(choices) ? choices[0] : undefined
  const message = property(choice, "message")
  const content = property(message, "content")
  return typeof content === "string" ? content : null
}

const property = (value: unknown, key: string): unknown =>
  typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined

/** A request that does not drain says which model it waits for. */
const noteModel = ({ inFlight }: Exchange, model: ModelId): void => {
  if (inFlight !== null) inFlight.model = model
}
