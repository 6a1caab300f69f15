import * as JSONSchema from "effect/JSONSchema"
import type * as Schema from "effect/Schema"
import { version } from "../../domain/basics/Version.ts"
import { contract, type RouteContract, type Tag } from "./Contract.ts"
import { ErrorEnvelope } from "./Responses.ts"
import { routeNames, type RouteRow, routes } from "./Routes.ts"
import { reasons } from "../../domain/routing/Decision.ts"

type Json = Readonly<Record<string, unknown>>

const header = (description: string, schema: Json = { type: "string" }) => ({ description, schema })

const requestId = { "x-request-id": header("The client's own, if it sent 1 to 128 characters of A-Z a-z 0-9 . _ -.") }
const retryAfter = { "retry-after": header("Seconds.", { type: "integer" }) }
const choiceHeaders = {
  "x-conduit-decision-id": header("Name it in feedback."),
  "x-conduit-model": header("The model that answered."),
  "x-conduit-reason": header("Why it was chosen.", { type: "string", enum: reasons }),
  "x-conduit-propensity": header("Probability of the first choice.", { type: "number" })
}
const answerHeaders = {
  ...choiceHeaders,
  "x-conduit-overhead-ms": header("Time not spent waiting for the model.", { type: "number" }),
  "x-conduit-cost-usd": header("Sum over all attempts; not on streams, whose usage chunk has it.", { type: "number" }),
  "x-conduit-adjusted": header("What was spelt differently for this model: `max_tokens->max_completion_tokens`."),
  "x-conduit-simulated": header("`true` if the model is simulated.")
}

const statuses: Readonly<Record<number, readonly [description: string, headers?: Json]>> = {
  400: ["Malformed or out of range; the model's own refusal too, in its words. `param` names the path."],
  401: ["No or wrong key.", { "www-authenticate": header("Bearer") }],
  402: ["The model that was named is not paid for, in the words of its provider."],
  403: ["The model that was named may not be used so, in the words of its provider."],
  404: ["Unknown; the provider of the model that was named may say so too."],
  405: ["Wrong method.", { allow: header("The methods of this path.") }],
  408: ["The body did not arrive in time."],
  409: [
    "This Idempotency-Key was used with other content, the decision has another outcome, or the provider of the model that was named says so."
  ],
  413: ["The body is too large, for us or for the model."],
  415: ["Not JSON."],
  422: [
    "Well-formed but impossible: `details.excluded` says which constraint excludes which model. Or the database cannot store what the request says: `not_storable`."
  ],
  429: ["Every model that could answer is rate limited.", retryAfter],
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

const keys: { readonly [Access in RouteRow["access"]]: ReadonlyArray<Json> } = {
  open: [],
  api: [{ bearer: [] }, { apiKey: [] }, {}],
  metrics: [{ bearer: [] }, { apiKey: [] }, {}]
}

const tags: ReadonlyArray<Tag> = ["Routing", "Learning", "Audit", "Operations"]

/** The OpenAPI 3.1 document, from the table of routes and their contract. */
export const specification = (): { readonly info: { readonly version: string } & Json } & Json => {
  const schemas = new SchemaCollector()
  const error = { "application/json": { schema: schemas.schemaOf(ErrorEnvelope) } }
  const paths: Record<string, Record<string, Json>> = {}
  for (const name of routeNames) {
    const row = routes[name]
    const item = (paths[row.path] ??= {})
    item[row.method.toLowerCase()] = operation(name, row, contract[name], schemas, error)
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
        bearer: { type: "http", scheme: "bearer", description: "As OpenAI's clients send it." },
        apiKey: { type: "apiKey", in: "header", name: "x-api-key" }
      }
    }
  }
}

const operation = (
  name: string,
  row: RouteRow,
  described: RouteContract,
  schemas: SchemaCollector,
  error: Json
): Json => ({
  tags: [described.tag],
  operationId: name,
  summary: described.summary,
  description: described.description,
  parameters: [
    ...(row.path.endsWith("/{id}") ? [{ name: "id", in: "path", required: true, schema: { type: "string" } }] : []),
    ...parameters(described.query, "query", schemas),
    ...parameters(described.headers, "header", schemas)
  ],
  ...(described.body === undefined
    ? {}
    : {
        requestBody: { required: true, content: { "application/json": { schema: schemas.schemaOf(described.body) } } }
      }),
  responses: responses(row, described, schemas, error),
  security: keys[row.access]
})

const parameters = (
  schema: Schema.Schema.AnyNoContext | undefined,
  location: "query" | "header",
  schemas: SchemaCollector
): ReadonlyArray<Json> => {
  if (schema === undefined) return []
  const { properties, required } = schemas.schemaOf(schema)
  const isRequired = (name: string) => Array.isArray(required) && required.includes(name)
  return Object.entries(record(properties)).map(([name, value]) => {
    const { description } = record(value)
    return {
      name,
      in: location,
      required: isRequired(name),
      schema: value,
      ...(description === undefined ? {} : { description })
    }
  })
}

const responses = (row: RouteRow, described: RouteContract, schemas: SchemaCollector, error: Json): Json => {
  const { answer, errors } = described
  const content =
    "contentType" in answer
      ? { [answer.contentType]: { schema: { type: "string" } } }
      : { "application/json": { schema: schemas.schemaOf(answer) } }
  if (row.servedBy === "socket") {
    return {
      200: { description: "Success", content },
      ...(row.path === "/health/live" ? {} : { 503: { description: "Not now.", content } })
    }
  }
  const all: Record<string, Json> = {
    200: {
      description: "Success",
      headers: { ...requestId, ...headersOf(described) },
      content: {
        ...content,
        ...(described.streams === true
          ? { "text/event-stream": { schema: { type: "string", description: "OpenAI's chunks, then [DONE]." } } }
          : {})
      }
    }
  }
  for (const status of [...errors, 405, 500, 503].sort((a, b) => a - b)) {
    const [description, headers] = statuses[status] ?? ["Error"]
    const isFailure = described.answerHeaders === "answer" && failedStatuses.includes(status)
    all[String(status)] = {
      description,
      headers: { ...requestId, ...headers, ...(isFailure ? failedHeaders : {}) },
      content: error
    }
  }
  return all
}

const headersOf = ({ answerHeaders: kind }: RouteContract): Json =>
  kind === undefined ? {} : kind === "choice" ? choiceHeaders : answerHeaders

/** Turns schemas into JSON Schema; those that have a name are kept once, and referred to. */
class SchemaCollector {
  readonly named: Record<string, JSONSchema.JsonSchema7> = {}

  schemaOf(schema: Schema.Schema.AnyNoContext): Json {
    return {
      ...JSONSchema.fromAST(schema.ast, {
        definitions: this.named,
        definitionPath: "#/components/schemas/",
        target: "openApi3.1"
      })
    }
  }
}

const record = (value: unknown): Json => (typeof value === "object" && value !== null ? { ...value } : {})
