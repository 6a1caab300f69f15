import * as Schema from "effect/Schema"
import { version } from "../../domain/basics/Version.ts"
import { contract, type RouteContract, type Tag } from "./Contract.ts"
import { type Json, JsonSchemas } from "./JsonSchemas.ts"
import { AnthropicError, ChatCompletionChunk, GoogleError, ErrorEnvelope } from "./Responses.ts"
import { routeNames, type RouteRow, routes } from "./Routes.ts"
import { reasons } from "../../domain/routing/Decision.ts"

const header = (description: string, schema: Json = { type: "string" }) => ({ description, schema })

const requestId = { "x-request-id": header("The client's own, if it sent 1 to 128 characters of A-Z a-z 0-9 . _ -.") }
const retryAfter = { "retry-after": header("Seconds.", { type: "integer" }) }
const choiceHeaders = {
  "x-conduit-decision-id": header("Name it in feedback."),
  "x-conduit-model": header("The model that answered."),
  "x-conduit-reason": header("Why it was chosen.", { type: "string", enum: reasons }),
  "x-conduit-propensity": header("Probability of the first choice.", { type: "number" })
}
/** On what a key with limits, or with a budget, is answered. */
const limitHeaders = {
  "x-ratelimit-limit-requests": header("Of a minute, where the key has such a limit; the same for `tokens`."),
  "x-ratelimit-remaining-requests": header("What is left of it."),
  "x-ratelimit-reset-requests": header("When it begins anew, as OpenAI writes a time: `20ms`, `6m0s`."),
  "x-conduit-limits": header("Who counts.", { type: "string", enum: ["shared", "replica"] }),
  "x-conduit-budget-remaining-usd": header("Of the budget that has least left.", { type: "number" }),
  "x-conduit-budget-reset": header("When it begins anew.")
}
const answerHeaders = {
  ...choiceHeaders,
  ...limitHeaders,
  "x-conduit-overhead-ms": header("Time not spent waiting for the model.", { type: "number" }),
  "x-conduit-cost-usd": header("Sum over all attempts; not on streams, whose usage chunk has it.", { type: "number" }),
  "x-conduit-adjusted": header("What was spelt differently for this model: `max_tokens->max_completion_tokens`."),
  "x-conduit-upstream-request-id": header("By which the upstream knows the call that answered, where it said so."),
  "x-conduit-simulated": header("`true` if the model is simulated.")
}

const statuses: Readonly<Record<number, readonly [description: string, headers?: Json]>> = {
  400: ["Malformed or out of range; the model's own refusal too, in its words. `param` names the path."],
  401: ["No or wrong key.", { "www-authenticate": header("Bearer") }],
  402: ["The model that was named is not paid for, in the words of its provider."],
  403: [
    "The key lacks the scope that this needs (`insufficient_scope`); or the model that was named may not be used so, in the words of its provider."
  ],
  404: ["Unknown; the provider of the model that was named may say so too."],
  405: ["Wrong method.", { allow: header("The methods of this path.") }],
  408: ["The body did not arrive in time."],
  409: [
    "There is a key of this name already, this Idempotency-Key was used with other content, the decision has another outcome, or the provider of the model that was named says so."
  ],
  413: ["The body is too large, for us or for the model."],
  415: ["Not JSON, or in a content coding that is not read.", { "accept-encoding": header("The codings that are.") }],
  422: [
    "Well-formed but impossible: `details.excluded` says which constraint excludes which model. Or the database cannot store what the request says: `not_storable`."
  ],
  429: [
    "A limit or budget of the key, or the router's, is reached; or every model that could answer is rate limited.",
    retryAfter
  ],
  431: ["The header fields are too large."],
  500: ["A bug in this service, or a statement that the database refuses; its log has more under the request id."],
  502: ["Every model that was tried failed."],
  503: [
    "Starting, shutting down, overloaded, only open circuits left, too much asked of `/v1/stats`, or the database is away or full of what waits.",
    retryAfter
  ],
  504: ["No model answered in time."]
}

/** What an answer has after models were asked, and refused or failed. */
const failedHeaders = {
  "x-conduit-decision-id": header("Of a request that models were asked: its decision keeps the attempts."),
  "x-should-retry": header("`false` where sending the same again cannot help.")
}
const failedStatuses = [400, 402, 403, 404, 409, 413, 422, 429, 502, 503, 504]

const keyed: ReadonlyArray<Json> = [{ bearer: [] }, { apiKey: [] }, { azureKey: [] }, { googleKey: [] }]
/** Where there are no keys nobody needs one, except for what only an admin may. */
const keys: { readonly [Access in RouteRow["access"]]: ReadonlyArray<Json> } = {
  open: [],
  key: [...keyed, {}],
  route: [...keyed, {}],
  feedback: [...keyed, {}],
  read: [...keyed, {}],
  admin: keyed,
  metrics: [...keyed, {}],
  docs: [...keyed, { basic: [] }, {}],
  index: [...keyed, { basic: [] }, {}]
}

const tags: ReadonlyArray<Tag> = ["Routing", "Learning", "Audit", "Administration", "Operations"]

/** The OpenAPI 3.1 document, from the table of routes and their contract. */
export const specification = (): { readonly info: { readonly version: string } & Json } & Json => {
  const schemas = new JsonSchemas()
  const errors = {
    openai: { "application/json": { schema: schemas.of(ErrorEnvelope, "open") } },
    anthropic: { "application/json": { schema: schemas.of(AnthropicError, "open") } },
    google: { "application/json": { schema: schemas.of(GoogleError, "open") } }
  }
  // What the events of a stream have; no operation refers to it.
  schemas.of(Schema.Struct({ chunk: ChatCompletionChunk }), "open")
  const paths: Record<string, Record<string, Json>> = {}
  for (const name of routeNames) {
    const row: RouteRow = routes[name]
    const item = (paths[row.path] ??= {})
    item[row.method.toLowerCase()] = operation(name, row, contract[name], schemas, errors[row.dialect ?? "openai"])
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Conduit",
      version,
      description:
        "Chooses, for every request, which large language model should answer it, calls that model, and learns from the outcome which model suits which kind of request. Every path answers OPTIONS with 204 and `Allow`; HEAD is GET without the body; another method is 405 with `Allow`.",
      license: { name: "Apache-2.0" }
    },
    tags: tags.map((name) => ({ name })),
    paths,
    components: {
      schemas: schemas.named,
      securitySchemes: {
        basic: { type: "http", scheme: "basic", description: "For browsers, on GET: a key as the password." },
        bearer: { type: "http", scheme: "bearer", description: "As OpenAI's clients send it." },
        apiKey: { type: "apiKey", in: "header", name: "x-api-key", description: "As Anthropic's clients send it." },
        azureKey: { type: "apiKey", in: "header", name: "api-key", description: "As Azure's clients send it." },
        googleKey: { type: "apiKey", in: "header", name: "x-goog-api-key", description: "As Google's clients send it." }
      }
    }
  }
}

const operation = (name: string, row: RouteRow, described: RouteContract, schemas: JsonSchemas, error: Json): Json => ({
  tags: [described.tag],
  operationId: name,
  summary: described.summary,
  description:
    row.aliases === undefined
      ? described.description
      : `${described.description} The same at ${row.aliases.map((alias) => `\`${alias}\``).join(", ")}.`,
  parameters: [
    ...Array.from(row.path.matchAll(/\{(\w+)\}/g), ([, name]) => ({
      name,
      in: "path",
      required: true,
      schema: { type: "string", minLength: 1 }
    })),
    ...parameters(described.query, "query", schemas),
    ...parameters(described.headers, "header", schemas)
  ],
  ...(described.body === undefined
    ? {}
    : {
        requestBody: {
          required: true,
          content: {
            "application/json": {
              schema: schemas.of(described.body, "closed"),
              examples: mapValues(record(described.examples), (value) => ({ value }))
            }
          }
        }
      }),
  responses: responses(row, described, schemas, error),
  security: keys[row.access]
})

const parameters = (
  schema: Schema.Schema.AnyNoContext | undefined,
  location: "query" | "header",
  schemas: JsonSchemas
): ReadonlyArray<Json> => {
  if (schema === undefined) return []
  const { properties, required } = schemas.of(schema, "closed")
  const isRequired = (name: string) => Array.isArray(required) && required.includes(name)
  return Object.entries(record(properties)).map(([name, value]) => {
    const { description, minLength, ...more } = record(value)
    return {
      name,
      in: location,
      required: isRequired(name),
      // A header field without a value counts as absent.
      schema: location === "header" || minLength === undefined ? more : { minLength, ...more },
      ...(description === undefined ? {} : { description })
    }
  })
}

/** Of requests that HTTP itself refuses, and of bugs: on every route. */
const commonErrors = [400, 405, 431, 500, 503]

const responses = (row: RouteRow, described: RouteContract, schemas: JsonSchemas, error: Json): Json => {
  const { answer, errors } = described
  const content =
    "contentType" in answer
      ? { [answer.contentType]: { schema: { type: "string" } } }
      : { "application/json": { schema: schemas.of(answer, "open") } }
  const all: Record<string, Json> = {
    200: {
      description: "Success",
      headers: { ...requestId, ...headersOf(described) },
      content: { ...content, ...(described.streams === true ? eventStream : {}) }
    }
  }
  for (const status of new Set([...errors, ...commonErrors].sort((a, b) => a - b))) {
    const [description, headers] = statuses[status] ?? ["Error"]
    const isFailure = described.answerHeaders === "answer" && failedStatuses.includes(status)
    all[String(status)] = {
      description,
      headers: { ...requestId, ...headers, ...(isFailure ? failedHeaders : {}) },
      content: error
    }
  }
  // What a probe says when it says no has the form of what it says when it says yes.
  if (row.servedBy === "socket")
    all["503"] = { description: "Not now.", headers: { ...requestId, ...retryAfter }, content }
  return all
}

/** As OpenAPI 3.2 describes events: the schema is that of one of them. */
const eventStream = {
  "text/event-stream": {
    schema: {
      type: "object",
      properties: {
        data: {
          type: "string",
          description:
            "In JSON a ChatCompletionChunk, or `[DONE]` at the end; of Responses an event of theirs, of Google's a piece of the answer."
        },
        event: {
          type: "string",
          description: "`error` for the last event of a broken stream, whose `data` is an Error."
        }
      },
      required: ["data"]
    }
  }
}

const headersOf = ({ answerHeaders: kind }: RouteContract): Json =>
  kind === undefined ? {} : kind === "choice" ? choiceHeaders : answerHeaders

const record = (value: unknown): Json => (typeof value === "object" && value !== null ? { ...value } : {})

const mapValues = (values: Json, f: (value: unknown) => unknown): Json =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [key, f(value)]))
