import * as Schema from "effect/Schema"
import { BudgetList } from "./BudgetSchemas.ts"
import { DecisionsQuery } from "./DecisionsQuery.ts"
import {
  AuditList,
  AuditQuery,
  KeyList,
  MadeKey,
  NewKeyRequest,
  Revoked,
  RevokeRequest,
  RotateRequest
} from "./KeySchemas.ts"
import {
  ChatRequest,
  CompleteRequest,
  CompletionsRequest,
  ContentTokensRequest,
  ConduitHeaders,
  CountTokensRequest,
  EmbeddingsRequest,
  FeedbackHeaders,
  FeedbackRequest,
  GenerateContentRequest,
  MessagesRequest,
  OutcomeRequest,
  ResponsesRequest,
  RouteRequest
} from "./Requests.ts"
import {
  AnthropicMessage,
  ChatCompletion,
  CompleteAnswer,
  ContentTokens,
  DecisionEntry,
  DecisionList,
  EmbeddingList,
  FeedbackAnswer,
  GenerateContentAnswer,
  GoogleModel,
  GoogleModels,
  ModelEntry,
  ModelList,
  OutcomeAnswer,
  ResponseObject,
  SessionFeedbackAnswer,
  TextCompletion,
  TokenCount
} from "./Responses.ts"
import type { RouteName } from "./Routes.ts"
import { StatsAnswer } from "./StatsResponse.ts"
import { StatsQuery } from "./StatsQuery.ts"

// The contract of each route, one row each, with the schemas that decode its requests. Loaded only when somebody asks for it.

export type Tag = "Routing" | "Learning" | "Audit" | "Administration" | "Operations"

export interface RouteContract {
  readonly tag: Tag
  readonly summary: string
  readonly description: string
  readonly headers?: Schema.Schema.AnyNoContext
  readonly query?: Schema.Schema.AnyNoContext
  readonly body?: Schema.Schema.AnyNoContext
  /** Bodies that are answered 200 by a service that has the decision, by what they show. */
  readonly examples?: Readonly<Record<string, unknown>>
  /** What a 200 has. */
  readonly answer: Schema.Schema.AnyNoContext | { readonly contentType: string }
  /** It may answer as server-sent events too. */
  readonly streams?: boolean
  /** The headers of an answer: those of a choice, and of a model's answer. */
  readonly answerHeaders?: "choice" | "answer"
  /** Further statuses than the 400, 405, 431, 500 and 503 that every route has. */
  readonly errors: ReadonlyArray<number>
}

const Health = Schema.Struct(
  { status: Schema.String },
  Schema.Record({ key: Schema.String, value: Schema.Unknown })
).annotations({ identifier: "Health" })
const Document = Schema.Record({ key: Schema.String, value: Schema.Unknown })
const html = { contentType: "text/html" }

const exampleId = "01985b0e-7c3a-7d2e-9f4b-3c1d5e7a9b2f"
const bodyErrors = [400, 401, 403, 408, 413, 415]

/** Whole, because it is a table: one row a route. */
export const contract: { readonly [Name in RouteName]: RouteContract } = {
  chatCompletions: {
    tag: "Routing",
    summary: "Chat, as OpenAI's",
    description:
      '`model: "auto"` routes, a model\'s id pins it. With `stream: true` the answer is server-sent events that end with `[DONE]`; a stream that breaks ends with an event `error`, whose data is the error envelope, without `[DONE]`, and its connection is broken. Where nothing comes for a while a comment shows that it lives. The usage chunk carries `conduit.cost_usd`. Generated clients know the whole answer; they read a stream from the raw body, whose events have a ChatCompletionChunk each as their data.',
    headers: ConduitHeaders,
    body: ChatRequest,
    examples: {
      routed: { model: "auto", messages: [{ role: "user", content: "What is the capital of France?" }] },
      streamed: { model: "auto", stream: true, messages: [{ role: "user", content: "Count to ten." }] },
      constrained: {
        model: "auto",
        messages: [{ role: "user", content: "Summarise this ticket: the printer is on fire." }],
        conduit: { task: "summary", preference: "cost", constraints: { max_cost_usd: 0.01, min_quality: 0.5 } }
      }
    },
    answer: ChatCompletion,
    streams: true,
    answerHeaders: "answer",
    errors: [...bodyErrors, 402, 404, 409, 422, 429, 502, 504]
  },
  responses: {
    tag: "Routing",
    summary: "Responses, as OpenAI's",
    description:
      "The same choice for clients of the Responses API, as Codex. Nothing is stored: each request brings its whole conversation as `input`, and thoughts come back sealed in `encrypted_content`. Groups of functions (`namespace`) and custom tools reach models that know functions only; `web_search` is left out, which `x-conduit-adjusted` says. With `stream: true` the events are numbered, each with its name, and the last one is `response.completed`, `response.incomplete` or, where the stream breaks, `response.failed`.",
    headers: ConduitHeaders,
    body: ResponsesRequest,
    examples: {
      text: { model: "auto", input: "What is the capital of France?" },
      streamed: { model: "auto", stream: true, store: false, input: [{ role: "user", content: "Count to ten." }] }
    },
    answer: ResponseObject,
    streams: true,
    answerHeaders: "answer",
    errors: [...bodyErrors, 402, 403, 404, 409, 422, 429, 502, 504]
  },
  embeddings: {
    tag: "Routing",
    summary: "Embeddings, as OpenAI's",
    description:
      "Vectors by a model that declares `embeddings`. `model` is one of them, or the name of a space: models of one space make vectors that can be compared, and may stand in for one another. Spaces are never mixed: with several of them `auto` is 400.",
    headers: ConduitHeaders,
    body: EmbeddingsRequest,
    examples: { texts: { input: ["a text", "another one"], encoding_format: "float" } },
    answer: EmbeddingList,
    answerHeaders: "answer",
    errors: [...bodyErrors, 402, 403, 404, 409, 422, 429, 502, 504]
  },
  completions: {
    tag: "Routing",
    summary: "Completions, as OpenAI's legacy ones",
    description:
      "The prompt is the one message of a chat, and the answer's text is told in the old form, whole or streamed. What a chat cannot do (`suffix`, `echo`, `logprobs`, several prompts) is 400.",
    headers: ConduitHeaders,
    body: CompletionsRequest,
    examples: { prompt: { model: "auto", prompt: "The capital of France is", max_tokens: 16 } },
    answer: TextCompletion,
    streams: true,
    answerHeaders: "answer",
    errors: [...bodyErrors, 402, 403, 404, 409, 422, 429, 502, 504]
  },
  messages: {
    tag: "Routing",
    summary: "Messages, as Anthropic's",
    description:
      "For Anthropic's clients, Claude Code among them, to models of any provider: `model` as for chats, the key in `x-api-key` or as `Authorization: Bearer`, both API versions. Errors have Anthropic's envelope, and `request-id` names the request. With `stream: true` the answer is Anthropic's events, each with its name; `ping` shows that it lives, `message_delta` has the counts and `conduit.cost_usd`; one that breaks ends with an event `error`, without `message_stop`, and its connection is broken.",
    headers: ConduitHeaders,
    body: MessagesRequest,
    examples: {
      routed: {
        model: "auto",
        max_tokens: 1024,
        messages: [{ role: "user", content: "What is the capital of France?" }]
      },
      constrained: {
        model: "auto",
        max_tokens: 1024,
        system: "Be brief.",
        messages: [{ role: "user", content: "Summarise this ticket: the printer is on fire." }],
        conduit: { task: "summary", preference: "cost" }
      }
    },
    answer: AnthropicMessage,
    streams: true,
    answerHeaders: "answer",
    errors: [...bodyErrors, 402, 404, 409, 422, 429, 502, 504]
  },
  countTokens: {
    tag: "Routing",
    summary: "Tokens of a message",
    description: "Estimated, as a choice estimates them: no model is asked.",
    body: CountTokensRequest,
    examples: { simple: { model: "auto", messages: [{ role: "user", content: "What is the capital of France?" }] } },
    answer: TokenCount,
    errors: bodyErrors
  },
  generateContent: {
    tag: "Routing",
    summary: "Content, as Google's",
    description:
      "For Google's clients, Gemini CLI among them, to models of any provider: the path names the model (`auto` routes), the key comes in `x-goog-api-key` or as `?key=`. Errors have Google's envelope, with our own code as the reason of an `ErrorInfo`.",
    headers: ConduitHeaders,
    body: GenerateContentRequest,
    examples: { routed: { contents: [{ role: "user", parts: [{ text: "What is the capital of France?" }] }] } },
    answer: GenerateContentAnswer,
    answerHeaders: "answer",
    errors: [...bodyErrors, 402, 404, 409, 422, 429, 502, 504]
  },
  streamGenerateContent: {
    tag: "Routing",
    summary: "Content, as Google's, streamed",
    description:
      "With `?alt=sse` server-sent events, else the elements of one list in JSON. The last piece has the counts and `conduit.cost_usd`. A stream that breaks ends with an element that is Google's error, and its connection is broken: there is no other sign of its end.",
    headers: ConduitHeaders,
    body: GenerateContentRequest,
    examples: { streamed: { contents: [{ role: "user", parts: [{ text: "Count to ten." }] }] } },
    answer: Schema.Array(GenerateContentAnswer),
    streams: true,
    answerHeaders: "answer",
    errors: [...bodyErrors, 402, 404, 409, 422, 429, 502, 504]
  },
  countContentTokens: {
    tag: "Routing",
    summary: "Tokens of contents",
    description: "Estimated, as a choice estimates them: no model is asked.",
    body: ContentTokensRequest,
    examples: { simple: { contents: [{ parts: [{ text: "What is the capital of France?" }] }] } },
    answer: ContentTokens,
    errors: bodyErrors
  },
  googleModels: {
    tag: "Audit",
    summary: "The models, as Google lists them",
    description: "On one page, each with what was learned about it.",
    answer: GoogleModels,
    errors: [401]
  },
  googleModel: {
    tag: "Audit",
    summary: "One model, as Google has it",
    description: "As in the list.",
    answer: GoogleModel,
    errors: [401, 403, 404]
  },
  complete: {
    tag: "Routing",
    summary: "A prompt, an answer",
    description: "The simple form of a chat.",
    headers: ConduitHeaders,
    body: CompleteRequest,
    examples: { simple: { prompt: "What is 17 * 23?", task: "arithmetic" } },
    answer: CompleteAnswer,
    answerHeaders: "answer",
    errors: [...bodyErrors, 402, 404, 409, 422, 429, 502, 504]
  },
  route: {
    tag: "Routing",
    summary: "Decide only",
    description: "The caller calls the chosen model itself and reports what came of it to `/v1/outcomes`.",
    headers: ConduitHeaders,
    body: RouteRequest,
    examples: { prompt: { prompt: "Translate to German: good morning", task: "translation" } },
    answer: DecisionEntry,
    answerHeaders: "choice",
    errors: [...bodyErrors, 404, 422, 429]
  },
  outcomes: {
    tag: "Learning",
    summary: "Report an outcome",
    description: "What came of a decision that `/v1/route` made.",
    body: OutcomeRequest,
    examples: {
      answered: { decision_id: exampleId, ok: true, input_tokens: 12, output_tokens: 48, latency_ms: 812 },
      failed: { decision_id: exampleId, ok: false, error: "timeout" }
    },
    answer: OutcomeAnswer,
    errors: [...bodyErrors, 404, 409]
  },
  feedback: {
    tag: "Learning",
    summary: "Judge an answer, or a session",
    description:
      "What Conduit learns quality from. Acknowledged after it is durable, never before. With `session_id` instead of `decision_id` all of it is stored or nothing, and a session that has no answered decision is 404. Repeating an `Idempotency-Key` credits nothing again.",
    headers: FeedbackHeaders,
    body: FeedbackRequest,
    examples: {
      score: { decision_id: exampleId, kind: "score", value: 0.9 },
      thumbs: { decision_id: exampleId, kind: "thumbs", value: "up", comment: "exactly what I asked for" },
      session: { session_id: "conversation-17", kind: "rating", value: 4, confidence: 0.5 }
    },
    answer: Schema.Union(FeedbackAnswer, SessionFeedbackAnswer),
    errors: [...bodyErrors, 404, 409]
  },
  decisions: {
    tag: "Audit",
    summary: "Decisions, newest first",
    description:
      "Those of the asking key. A decision is listed once it is stored: outcomes are written behind, so for the flush interval (`CONDUIT_FLUSH_INTERVAL`, and longer while the database is away) the newest may be missing here though `GET /v1/decisions/{id}` on the same replica has them. Paging by `cursor` shows each decision once, whatever is stored meanwhile.",
    query: DecisionsQuery,
    answer: DecisionList,
    errors: [400, 401, 403]
  },
  decision: {
    tag: "Audit",
    summary: "One decision, explained",
    description:
      "Candidates with their predicted parts, what excluded whom, the propensity, outcome and feedback. Visible within a second of its outcome.",
    answer: DecisionEntry,
    errors: [401, 403, 404]
  },
  stats: {
    tag: "Audit",
    summary: "Decisions, added up",
    description:
      "Those of the asking key, from stored rows: counts, tokens, cost, latency, how much is judged, quality and reward, by model, task and time, or by what `group_by` names, and what routing saved against always the best and always the dearest model. Whole hours are added up beforehand, so long windows cost no more than short ones; parts of hours are read decision by decision, and what takes more than five seconds is 503 `window_too_long`. They are added up one at a time: who had to wait too long gets 503 `stats_busy`.",
    query: StatsQuery,
    answer: StatsAnswer,
    errors: [400, 401, 403]
  },
  models: {
    tag: "Audit",
    summary: "The models",
    description: "OpenAI's list, each with what was learned about it.",
    answer: ModelList,
    errors: [401]
  },
  model: {
    tag: "Audit",
    summary: "One model",
    description: "As in the list.",
    answer: ModelEntry,
    errors: [401, 403, 404]
  },
  keys: {
    tag: "Administration",
    summary: "The keys of the database",
    description:
      "Revoked ones too, whose names own what was done with them. Those of settings and files are not listed.",
    answer: KeyList,
    errors: [401, 403]
  },
  createKey: {
    tag: "Administration",
    summary: "Make a key",
    description:
      "The secret is shown this once and kept as its SHA-256. Every replica takes it within a second. A revoked name may be made again: it owns what it owned.",
    body: NewKeyRequest,
    examples: {
      plain: { name: "team-a" },
      limited: {
        name: "team-b",
        scopes: ["route", "feedback"],
        expires_at: "2030-01-01T00:00:00Z",
        limits: { requests_per_minute: 600, usd_per_day: 25 },
        labels: { contact: "b@example.com" }
      }
    },
    answer: MadeKey,
    errors: [...bodyErrors, 409]
  },
  rotateKey: {
    tag: "Administration",
    summary: "Make another secret of a key",
    description:
      "To rotate: make one, move the clients, and let the others end, or drop them by `/v1/keys/revoke`. Decisions, feedback and statistics stay with the name.",
    body: RotateRequest,
    examples: { aDay: { name: "team-a" }, atOnce: { name: "team-a", others_valid_seconds: 0 } },
    answer: MadeKey,
    errors: [...bodyErrors, 404]
  },
  revokeKey: {
    tag: "Administration",
    summary: "Revoke a key, or one of its secrets",
    description: "Every replica refuses it within a second, or once it reaches the database again.",
    body: RevokeRequest,
    examples: { whole: { name: "team-a" } },
    answer: Revoked,
    errors: [...bodyErrors, 404]
  },
  audit: {
    tag: "Administration",
    summary: "Who changed what",
    description:
      "Keys made, rotated and revoked, models reset, disabled and enabled, configurations read again; newest first.",
    query: AuditQuery,
    answer: AuditList,
    errors: [400, 401, 403]
  },
  budgets: {
    tag: "Audit",
    summary: "What is left of budgets",
    description:
      "What is spent by stored rows, by all replicas together, what is put aside, and when it begins anew. A key sees its own budget; one with `read:all` that of the router and those of all keys. Where there are no keys, the router's alone.",
    answer: BudgetList,
    errors: [401, 403]
  },
  events: {
    tag: "Audit",
    summary: "What happens, live",
    description:
      "Server-sent events for as long as the client listens, which the dashboard is made of: `service` (version, phase, requests in flight), `models` (as `/v1/models`), `decisions` (as `/v1/decisions`: the newest 50, then those that are new or of which an outcome or a judgement came) and `trouble` (why there are no decisions now). Each is sent at the beginning and whenever it has changed, at most once a second. It does not count as a request in flight; a shutdown ends it, and so do five minutes: who goes on listening asks again. At most 32 clients watch one replica: 503 `overloaded`.",
    answer: { contentType: "text/event-stream" },
    errors: [401]
  },
  health: {
    tag: "Operations",
    summary: "Healthy or not",
    description: "503 from the moment shutdown begins; 200 while the database is away.",
    answer: Health,
    errors: []
  },
  live: { tag: "Operations", summary: "Liveness", description: "Touches nothing.", answer: Health, errors: [] },
  ready: {
    tag: "Operations",
    summary: "Readiness",
    description: "503 while starting or draining, with phase, in_flight and the reasons.",
    answer: Health,
    errors: []
  },
  startup: {
    tag: "Operations",
    summary: "Start-up",
    description: "503 until everything learned is recovered.",
    answer: Health,
    errors: []
  },
  metrics: {
    tag: "Operations",
    summary: "Metrics",
    description:
      "Prometheus text exposition format 0.0.4. Its keys are its own, `CONDUIT_METRICS_KEYS`: those of `/v1` do not open it, except those that read all.",
    answer: { contentType: "text/plain" },
    errors: [401]
  },
  openapi: {
    tag: "Operations",
    summary: "This document",
    description: "OpenAPI 3.1.",
    answer: Document,
    errors: [401, 403]
  },
  docs: {
    tag: "Operations",
    summary: "This document, to read",
    description: "Self-contained.",
    answer: html,
    errors: [401, 403]
  },
  index: {
    tag: "Operations",
    summary: "The dashboard",
    description: "What it learns, what it costs, and why each choice was made.",
    answer: html,
    errors: [401, 403]
  }
}
