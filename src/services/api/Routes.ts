/** One row for each route: dispatch, methods, keys, metrics and the documentation all follow from it. */
export interface RouteRow {
  readonly method: "GET" | "POST"
  /** What metrics and traces call it; `{id}` at the end stands for the rest of the path, `{model}` for the model asked. */
  readonly path: string
  /** Other paths of the same route; `{model}` stands for the model that the request is for. */
  readonly aliases?: ReadonlyArray<string>
  /**
   * Which keys open it: none, any of the API, those with that scope, or those of `/metrics`. The pages `docs` and `index` take
   * those that read, unless everybody may read them.
   */
  readonly access: "open" | "key" | "route" | "feedback" | "read" | "admin" | "metrics" | "docs" | "index"
  /**
   * Who answers: the socket itself, in every phase; the plain functions that carry the load; or a handler, which gets
   * a fiber.
   */
  readonly servedBy: "socket" | "core" | "handler"
  /** Whether it counts as a request: what watches the service does not. */
  readonly counted: boolean
  /** Whose envelope of errors and header fields its clients expect; OpenAI's if it does not say. */
  readonly dialect?: "anthropic" | "google"
}

const health = { method: "GET", access: "open", servedBy: "socket", counted: false } as const
const page = { method: "GET", access: "docs", servedBy: "handler", counted: true } as const
const load = { method: "POST", access: "route", servedBy: "core", counted: true } as const
const submission = { method: "POST", access: "route", servedBy: "handler", counted: true } as const
const lookup = { method: "GET", access: "read", servedBy: "handler", counted: true } as const
const administration = { access: "admin", servedBy: "handler", counted: true } as const

/** Google's clients name the model, and what is asked of it, in the path: of one version in those to 2, of another in 3. */
const googleModel = <const Operation extends string>(operation: Operation) =>
  ({
    path: `/v1beta/models/{model}:${operation}`,
    aliases: [`/v1/models/{model}:${operation}`],
    dialect: "google"
  }) as const

/** The table. A route needs a row here, what serves it and what describes it, or nothing compiles. */
export const routes = {
  chatCompletions: {
    ...load,
    path: "/v1/chat/completions",
    aliases: ["/chat/completions", "/openai/deployments/{model}/chat/completions"]
  },
  responses: { ...load, path: "/v1/responses", aliases: ["/responses"] },
  embeddings: {
    ...load,
    path: "/v1/embeddings",
    aliases: ["/embeddings", "/openai/deployments/{model}/embeddings"]
  },
  completions: { ...load, path: "/v1/completions", aliases: ["/completions"] },
  messages: { ...load, path: "/v1/messages", aliases: ["/messages"], dialect: "anthropic" },
  countTokens: { ...submission, path: "/v1/messages/count_tokens", dialect: "anthropic" },
  generateContent: { ...load, ...googleModel("generateContent") },
  streamGenerateContent: { ...load, ...googleModel("streamGenerateContent") },
  countContentTokens: { ...submission, ...googleModel("countTokens") },
  googleModels: { ...lookup, path: "/v1beta/models", access: "key", dialect: "google" },
  googleModel: { ...lookup, path: "/v1beta/models/{id}", access: "key", dialect: "google" },
  complete: { ...load, path: "/v1/complete" },
  route: { ...submission, path: "/v1/route" },
  outcomes: { ...submission, path: "/v1/outcomes" },
  feedback: { ...submission, path: "/v1/feedback", access: "feedback" },
  decisions: { ...lookup, path: "/v1/decisions" },
  decision: { ...lookup, path: "/v1/decisions/{id}" },
  stats: { ...lookup, path: "/v1/stats" },
  budgets: { ...lookup, path: "/v1/budgets" },
  models: { ...lookup, path: "/v1/models", aliases: ["/models"], access: "key" },
  model: { ...lookup, path: "/v1/models/{id}", access: "key" },
  events: { ...lookup, path: "/v1/events", counted: false },
  keys: { ...administration, method: "GET", path: "/v1/keys" },
  createKey: { ...administration, method: "POST", path: "/v1/keys" },
  rotateKey: { ...administration, method: "POST", path: "/v1/keys/rotate" },
  revokeKey: { ...administration, method: "POST", path: "/v1/keys/revoke" },
  audit: { ...administration, method: "GET", path: "/v1/audit" },
  health: { ...health, path: "/health" },
  live: { ...health, path: "/health/live" },
  ready: { ...health, path: "/health/ready" },
  startup: { ...health, path: "/health/startup" },
  metrics: { ...lookup, path: "/metrics", access: "metrics", counted: false },
  openapi: { ...page, path: "/openapi.json" },
  docs: { ...page, path: "/docs" },
  index: { ...page, path: "/", access: "index" }
} as const satisfies Readonly<Record<string, RouteRow>>

export type RouteName = keyof typeof routes

/** The routes that are served in one way. */
export type RoutesOf<By extends RouteRow["servedBy"]> = {
  [Name in RouteName]: (typeof routes)[Name]["servedBy"] extends By ? Name : never
}[RouteName]

export const isServedBy = <By extends RouteRow["servedBy"]>(name: RouteName, by: By): name is RoutesOf<By> =>
  routes[name].servedBy === by

/** What clients put before a path of ours because of where they expect the API. */
export const prefixAliases: ReadonlyArray<{ readonly prefix: string; readonly stands: string }> = [
  { prefix: "/openai/v1/", stands: "/v1/" },
  { prefix: "/api/v1/", stands: "/v1/" }
]

/** Paths of APIs that clients may take this service for, and what to use instead; the first that matches counts. */
export const foreignPaths: ReadonlyArray<{ readonly pattern: RegExp; readonly instead: string }> = [
  {
    pattern: /^\/(?:v1(?:beta|alpha)?\/)?(?:models|tunedModels)\/.+:\w+$|^\/v1(?:beta|alpha)\//,
    instead:
      "of Gemini's API there are generateContent, streamGenerateContent and countTokens of /v1beta/models/NAME and GET /v1beta/models"
  },
  {
    pattern: /^\/(?:v1\/)?api\/(?:chat|generate|tags|show|ps|embed|embeddings|version|pull)$/,
    instead: "Ollama's API is not served here: use an OpenAI client and POST /v1/chat/completions"
  },
  {
    pattern: /^\/(?:v1\/)?messages\//,
    instead: "of Anthropic's API there are POST /v1/messages, POST /v1/messages/count_tokens and GET /v1/models"
  },
  {
    pattern: /^\/(?:v1\/)?(?:responses\/|conversations(?:\/|$))/,
    instead:
      "answers are not stored here: POST /v1/responses with the whole conversation as input (store: false); one that a provider of kind openai-responses keeps is fetched from that provider"
  },
  {
    pattern: /^\/(?:v1\/)?engines\/.+$/,
    instead: "engines are models now: POST /v1/completions with `model`"
  },
  {
    pattern: /^\/(?:v1\/)?(?:moderations|audio|images|files|batches|assistants|threads|fine_tuning)(?:\/|$)/,
    instead: "only chats and embeddings are routed here: POST /v1/chat/completions"
  }
]

/** A path with its methods. */
export interface RoutePath {
  readonly path: string
  readonly counted: boolean
  readonly dialect: RouteRow["dialect"] | null
  /** The socket itself answers all its methods. */
  readonly bySocket: boolean
  readonly get: RouteName | null
  readonly post: RouteName | null
  /** Of the `Allow` header: HEAD is GET without the body, and every path answers OPTIONS. */
  readonly allow: string
}

const isNamed = (name: string): name is RouteName => Object.hasOwn(routes, name)
export const routeNames: ReadonlyArray<RouteName> = Object.keys(routes).filter(isNamed)

/** The table by path. */
export const routePaths: ReadonlyArray<RoutePath> = Array.from(
  new Set(routeNames.map((name) => routes[name].path)),
  (path) => {
    const here = routeNames.filter((name) => routes[name].path === path)
    const served = (method: RouteRow["method"]) => here.find((name) => routes[name].method === method) ?? null
    const get = served("GET")
    const post = served("POST")
    return {
      path,
      counted: here.some((name) => routes[name].counted),
      dialect: here.map((name): RouteRow => routes[name]).find(({ dialect }) => dialect !== undefined)?.dialect ?? null,
      bySocket: here.every((name) => isServedBy(name, "socket")),
      get,
      post,
      allow: [...(get === null ? [] : ["GET", "HEAD"]), ...(post === null ? [] : ["POST"]), "OPTIONS"].join(", ")
    }
  }
)
