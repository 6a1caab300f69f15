/** What HttpApi cannot say: response headers, further statuses of one shape, event streams, keys. */
export const documented = (specification: Record<string, unknown>): Record<string, unknown> => ({
  ...specification,
  components: {
    schemas: schemasOf(record(specification["components"])["schemas"]),
    securitySchemes: {
      bearer: { type: "http", scheme: "bearer", description: "As OpenAI's clients send it." },
      apiKey: { type: "apiKey", in: "header", name: "x-api-key" }
    }
  },
  paths: mapValues(record(specification["paths"]), (item, path) =>
    mapValues(record(item), (operation) => documentedOperation(record(operation), path))
  )
})

/** HttpApi's own errors are not ours: nothing refers to them. */
const schemasOf = (all: unknown): Record<string, unknown> => {
  const { HttpApiDecodeError: _, Issue: _1, PropertyKey: _2, ...schemas } = record(all)
  return schemas
}

const header = (description: string, schema: Record<string, unknown> = { type: "string" }) => ({ description, schema })

const requestId = { "x-request-id": header("The client's own, if it sent 1 to 128 characters of A-Z a-z 0-9 . _ -.") }
const retryAfter = { "retry-after": header("Seconds.", { type: "integer" }) }
const chosenHeaders = {
  "x-conduit-decision-id": header("Name it in feedback."),
  "x-conduit-model": header("The model that answered."),
  "x-conduit-reason": header("Why it was chosen.", {
    type: "string",
    enum: ["best", "explore", "pinned", "session", "only_eligible", "fallback", "control", "static"]
  }),
  "x-conduit-propensity": header("Probability of the first choice.", { type: "number" })
}
const answerHeaders = {
  ...chosenHeaders,
  "x-conduit-overhead-ms": header("Time not spent waiting for the model.", { type: "number" }),
  "x-conduit-cost-usd": header("Sum over all attempts; not on streams, whose usage chunk has it.", { type: "number" }),
  "x-conduit-simulated": header("`true` if the model is simulated.")
}

const statuses: Readonly<Record<number, readonly [description: string, headers?: Record<string, unknown>]>> = {
  400: ["Malformed or out of range; the model's own refusal too. `param` names the path."],
  401: ["No or wrong key.", { "www-authenticate": header("Bearer") }],
  404: ["Unknown."],
  405: ["Wrong method.", { allow: header("The methods of this path.") }],
  408: ["The body did not arrive in time."],
  409: ["This Idempotency-Key was used with other content, or the decision has another outcome."],
  413: ["The body is too large, for us or for the model."],
  415: ["Not JSON."],
  422: ["Well-formed but impossible: `details.excluded` says which constraint excludes which model."],
  429: ["Every model that was tried is rate limited.", retryAfter],
  500: ["A bug in this service; its log has more under the request id."],
  502: ["Every model that was tried failed."],
  503: [
    "Starting, shutting down, overloaded, only open circuits left, too much asked of `/v1/stats`, or the database is away or full of what waits.",
    retryAfter
  ],
  504: ["No model answered in time."]
}

const inputErrors = [400, 401, 408, 413, 415]
const errorsOf: Readonly<Record<string, ReadonlyArray<number>>> = {
  "/v1/chat/completions": [...inputErrors, 404, 422, 429, 502, 504],
  "/v1/complete": [...inputErrors, 404, 422, 429, 502, 504],
  "/v1/route": [...inputErrors, 404, 422],
  "/v1/outcomes": [...inputErrors, 404, 409],
  "/v1/feedback": [...inputErrors, 404, 409],
  "/v1/decisions": [400, 401],
  "/v1/decisions/{id}": [401, 404],
  "/v1/stats": [400, 401],
  "/v1/models": [401],
  "/v1/models/{id}": [401, 404],
  "/metrics": [401]
}
const successHeaders: Readonly<Record<string, Record<string, unknown>>> = {
  "/v1/chat/completions": answerHeaders,
  "/v1/complete": answerHeaders,
  "/v1/route": chosenHeaders
}

/** Of a request that was routed, and then refused or not answered by the models. */
const failedHeaders = {
  "x-conduit-decision-id": header("Of a request that models were asked: its decision keeps the attempts.")
}
const failedStatuses = [400, 413, 422, 429, 502, 504]

const errorContent = { "application/json": { schema: { $ref: "#/components/schemas/Error" } } }
const feedbackContent = { "application/json": { schema: { $ref: "#/components/schemas/FeedbackRequest" } } }

const documentedOperation = (operation: Record<string, unknown>, path: string): Record<string, unknown> => {
  const success = record(record(operation["responses"])["200"])
  const isHealth = path.startsWith("/health")
  const responses: Record<string, unknown> = {
    200: {
      ...success,
      headers: { ...(isHealth ? {} : requestId), ...successHeaders[path] },
      ...(path === "/v1/chat/completions"
        ? {
            content: {
              ...record(success["content"]),
              "text/event-stream": { schema: { type: "string", description: "OpenAI's chunks, then [DONE]." } }
            }
          }
        : {})
    }
  }
  if (isHealth) {
    if (path !== "/health/live") responses["503"] = { ...success, description: "Not now." }
  } else {
    for (const status of [...(errorsOf[path] ?? []), 405, 500, 503].sort((a, b) => a - b)) {
      const [description, headers] = statuses[status] ?? ["Error"]
      const isFailure = successHeaders[path] === answerHeaders && failedStatuses.includes(status)
      responses[String(status)] = {
        description,
        headers: { ...requestId, ...headers, ...(isFailure ? failedHeaders : {}) },
        content: errorContent
      }
    }
  }
  return {
    ...operation,
    // HttpApi takes a union for several payloads and nests them.
    ...(path === "/v1/feedback" ? { requestBody: { required: true, content: feedbackContent } } : {}),
    responses,
    security: path.startsWith("/v1/") || path === "/metrics" ? [{ bearer: [] }, { apiKey: [] }, {}] : []
  }
}

const record = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null ? { ...value } : {}

const mapValues = (
  values: Record<string, unknown>,
  f: (value: unknown, key: string) => unknown
): Record<string, unknown> => Object.fromEntries(Object.entries(values).map(([key, value]) => [key, f(value, key)]))
