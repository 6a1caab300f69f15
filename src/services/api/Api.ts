import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Schema from "effect/Schema"
import { version } from "../../domain/basics/Version.ts"
import { DecisionsQuery } from "./DecisionsQuery.ts"
import {
  ChatRequest,
  CompleteRequest,
  ConduitHeaders,
  FeedbackHeaders,
  FeedbackRequest,
  OutcomeRequest,
  RouteRequest
} from "./Requests.ts"
import {
  ChatCompletion,
  CompleteAnswer,
  DecisionEntry,
  DecisionList,
  ErrorEnvelope,
  FeedbackAnswer,
  ModelEntry,
  ModelList,
  OutcomeAnswer,
  SessionFeedbackAnswer
} from "./Responses.ts"
import { documented } from "./Documentation.ts"
import { StatsAnswer } from "./StatsResponse.ts"
import { StatsQuery } from "./StatsQuery.ts"

// The contract, from the schemas that decode the requests. It is read, never run: the handlers are leaner than what
// HttpApiBuilder would make of it. Loaded only when somebody asks for it.

const id = HttpApiSchema.param("id", Schema.String)
const markdown = (summary: string, description: string) => OpenApi.annotations({ summary, description })

const routing = HttpApiGroup.make("Routing", { topLevel: true })
  .add(
    HttpApiEndpoint.post("chatCompletions", "/v1/chat/completions")
      .setHeaders(ConduitHeaders)
      .setPayload(ChatRequest)
      .addSuccess(ChatCompletion)
      .annotateContext(
        markdown(
          "Chat, as OpenAI's",
          '`model: "auto"` routes, a model\'s id pins it. With `stream: true` the answer is server-sent events that end with `[DONE]`; a stream that breaks ends with `event: error`, whose data is the error envelope, and no `[DONE]`. The usage chunk carries `conduit.cost_usd`.'
        )
      )
  )
  .add(
    HttpApiEndpoint.post("complete", "/v1/complete")
      .setHeaders(ConduitHeaders)
      .setPayload(CompleteRequest)
      .addSuccess(CompleteAnswer)
      .annotateContext(markdown("A prompt, an answer", "The simple form of a chat."))
  )
  .add(
    HttpApiEndpoint.post("route", "/v1/route")
      .setHeaders(ConduitHeaders)
      .setPayload(RouteRequest)
      .addSuccess(DecisionEntry)
      .annotateContext(
        markdown(
          "Decide only",
          "The caller calls the chosen model itself and reports what came of it to `/v1/outcomes`."
        )
      )
  )

const learning = HttpApiGroup.make("Learning", { topLevel: true })
  .add(
    HttpApiEndpoint.post("outcomes", "/v1/outcomes")
      .setPayload(OutcomeRequest)
      .addSuccess(OutcomeAnswer)
      .annotateContext(markdown("Report an outcome", "What came of a decision that `/v1/route` made."))
  )
  .add(
    HttpApiEndpoint.post("feedback", "/v1/feedback")
      .setHeaders(FeedbackHeaders)
      .setPayload(FeedbackRequest)
      .addSuccess(Schema.Union(FeedbackAnswer, SessionFeedbackAnswer))
      .annotateContext(
        markdown(
          "Judge an answer, or a session",
          "What Conduit learns quality from. Acknowledged after it is durable, never before. With `session_id` instead of `decision_id` all of it is stored or nothing, and a session that has no answered decision is 404. Repeating an `Idempotency-Key` credits nothing again."
        )
      )
  )

const audit = HttpApiGroup.make("Audit", { topLevel: true })
  .add(
    HttpApiEndpoint.get("decisions", "/v1/decisions")
      .setUrlParams(DecisionsQuery)
      .addSuccess(DecisionList)
      .annotateContext(
        markdown(
          "Decisions, newest first",
          "Those of the asking key. A decision is listed once it is stored: outcomes are written behind, so for the flush interval (`CONDUIT_FLUSH_INTERVAL`, and longer while the database is away) the newest may be missing here though `GET /v1/decisions/{id}` on the same replica has them. Paging by `cursor` shows each decision once, whatever is stored meanwhile."
        )
      )
  )
  .add(
    HttpApiEndpoint.get("decision")`/v1/decisions/${id}`
      .addSuccess(DecisionEntry)
      .annotateContext(
        markdown(
          "One decision, explained",
          "Candidates with their predicted parts, what excluded whom, the propensity, outcome and feedback. Visible within a second of its outcome."
        )
      )
  )
  .add(
    HttpApiEndpoint.get("stats", "/v1/stats")
      .setUrlParams(StatsQuery)
      .addSuccess(StatsAnswer)
      .annotateContext(
        markdown(
          "Decisions, added up",
          "Those of the asking key, from stored rows: counts, tokens, cost, latency, how much is judged, quality and reward, by model, task and time, and what routing saved against always the best and always the dearest model. Adding up takes about four seconds for a million decisions; a window with more than can be added up within five is 503 `window_too_long`. They are added up one at a time: who had to wait too long gets 503 `stats_busy`."
        )
      )
  )
  .add(
    HttpApiEndpoint.get("models", "/v1/models")
      .addSuccess(ModelList)
      .annotateContext(markdown("The models", "OpenAI's list, each with what was learned about it."))
  )
  .add(
    HttpApiEndpoint.get("model")`/v1/models/${id}`
      .addSuccess(ModelEntry)
      .annotateContext(markdown("One model", "As in the list."))
  )

const Health = Schema.Struct(
  { status: Schema.String },
  Schema.Record({ key: Schema.String, value: Schema.Unknown })
).annotations({
  identifier: "Health"
})
const html = HttpApiSchema.Text({ contentType: "text/html" })

const operations = HttpApiGroup.make("Operations", { topLevel: true })
  .add(
    HttpApiEndpoint.get("health", "/health")
      .addSuccess(Health)
      .annotateContext(
        markdown("Healthy or not", "503 from the moment shutdown begins; 200 while the database is away.")
      )
  )
  .add(
    HttpApiEndpoint.get("live", "/health/live")
      .addSuccess(Health)
      .annotateContext(markdown("Liveness", "Touches nothing."))
  )
  .add(
    HttpApiEndpoint.get("ready", "/health/ready")
      .addSuccess(Health)
      .annotateContext(markdown("Readiness", "503 while starting or draining, with phase, in_flight and the reasons."))
  )
  .add(
    HttpApiEndpoint.get("startup", "/health/startup")
      .addSuccess(Health)
      .annotateContext(markdown("Start-up", "503 until everything learned is recovered."))
  )
  .add(
    HttpApiEndpoint.get("metrics", "/metrics")
      .addSuccess(HttpApiSchema.Text({ contentType: "text/plain" }))
      .annotateContext(
        markdown(
          "Metrics",
          "Prometheus text exposition format 0.0.4. Its keys are its own, `CONDUIT_METRICS_KEYS`: those of `/v1` do not open it."
        )
      )
  )
  .add(
    HttpApiEndpoint.get("openapi", "/openapi.json")
      .addSuccess(Schema.Record({ key: Schema.String, value: Schema.Unknown }))
      .annotateContext(markdown("This document", "OpenAPI 3.1."))
  )
  .add(
    HttpApiEndpoint.get("docs", "/docs")
      .addSuccess(html)
      .annotateContext(markdown("This document, to read", "Self-contained."))
  )
  .add(HttpApiEndpoint.get("index", "/").addSuccess(html).annotateContext(markdown("What this is", "And what to try.")))

export const Api = HttpApi.make("conduit")
  .add(routing)
  .add(learning)
  .add(audit)
  .add(operations)
  .annotate(HttpApi.AdditionalSchemas, [ErrorEnvelope, FeedbackRequest])
  .annotateContext(
    OpenApi.annotations({
      title: "Conduit",
      version,
      description:
        "Chooses, for every request, which large language model should answer it, calls that model, and learns from the outcome which model suits which kind of request. Every path answers OPTIONS with 204 and `Allow`; HEAD is GET without the body; another method is 405 with `Allow`.",
      license: { name: "Apache-2.0" },
      transform: documented
    })
  )

/** The OpenAPI 3.1 document. */
export const specification = (): OpenApi.OpenAPISpec => OpenApi.fromApi(Api)
