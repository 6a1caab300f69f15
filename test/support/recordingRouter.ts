import { plainUsage } from "../../src/domain/routing/Usage.ts"
import { noMoreRates } from "../../src/domain/routing/Cost.ts"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Decision, RoutingRequest } from "../../src/domain/routing/Decision.ts"
import type { OutcomeReport } from "../../src/domain/routing/DecisionRecord.ts"
import type { FeedbackSubmission, SessionFeedback } from "../../src/domain/learning/Feedback.ts"
import { DecisionId, ModelId, RouterId, uuidV7From } from "../../src/domain/basics/Ids.ts"
import { beginOf, effectfulSink } from "./effectful.ts"
import { noStats, type StatsQuery } from "../../src/domain/stats/Stats.ts"
import type { DecisionQuery } from "../../src/services/storage/Database.ts"
import type { ChatBody } from "../../src/services/models/LanguageModels.ts"
import {
  DecisionNotFound,
  type Answer,
  type AnswerHead,
  type Caller,
  type Chat,
  type RouterShape
} from "../../src/services/routing/Router.ts"

export const small = ModelId("small")
export const freshDecisionId = (ageMillis = 0) => DecisionId(uuidV7From(Date.now() - ageMillis, new Uint8Array(10)))

export const answerHead = (): AnswerHead => ({
  decisionId: freshDecisionId(),
  model: small,
  reason: "best",
  propensity: 0.66,
  adjusted: null,
  simulated: false,
  overheadMs: 0.42,
  upstreamRequestId: null
})

export const answer = (over: Partial<Answer> = {}): Answer => ({
  ...answerHead(),
  status: 200,
  text: JSON.stringify({
    id: "chatcmpl-1",
    object: "chat.completion",
    created: 1_760_000_000,
    model: "small",
    choices: [{ index: 0, message: { role: "assistant", content: "391" }, finish_reason: "stop" }],
    usage: { prompt_tokens: 12, completion_tokens: 3, total_tokens: 15 }
  }),
  usage: plainUsage(12, 3),
  costUsd: 0.0000015,
  latencyMs: 812,
  ...over
})

const vectors = JSON.stringify({
  id: "embd-1",
  object: "list",
  model: "small",
  data: [{ object: "embedding", index: 0, embedding: [0.5, 1] }],
  usage: { prompt_tokens: 12, total_tokens: 12 }
})

/** What a client of Anthropic's protocol is answered. */
const messageText = JSON.stringify({
  id: "msg_1",
  type: "message",
  role: "assistant",
  model: "small",
  content: [{ type: "text", text: "391" }],
  stop_reason: "end_turn",
  stop_sequence: null,
  usage: { input_tokens: 12, output_tokens: 3 }
})

/** What a client of Responses is answered. */
const responseText = JSON.stringify({
  id: "resp_1",
  object: "response",
  created_at: 1,
  status: "completed",
  model: "small",
  output: [
    {
      type: "message",
      id: "msg_1",
      role: "assistant",
      status: "completed",
      content: [{ type: "output_text", text: "391", annotations: [] }]
    }
  ],
  usage: { input_tokens: 12, output_tokens: 3, total_tokens: 15 }
})

/** What a client of Google's is answered. */
const contentText = JSON.stringify({
  candidates: [{ content: { parts: [{ text: "391" }], role: "model" }, finishReason: "STOP", index: 0 }],
  usageMetadata: { promptTokenCount: 12, candidatesTokenCount: 3, totalTokenCount: 15 },
  modelVersion: "small",
  responseId: "answer-1"
})

const textsOf: Readonly<Record<string, string>> = {
  messages: messageText,
  responses: responseText,
  gemini: contentText
}

export const decisionOf = (request: RoutingRequest): Decision => ({
  id: freshDecisionId(),
  createdAtMillis: Date.now(),
  routerId: RouterId("test"),
  owner: null,
  policy: { algorithm: "thompson", version: "1", position: 4711 },
  request: { ...request, featuresVersion: "1" },
  features: new Float32Array([1]),
  candidates: [
    {
      model: small,
      eligible: true,
      excludedBy: null,
      quality: 0.71,
      qualitySd: 0.04,
      costUsd: 0.00004,
      latencySeconds: 0.8,
      score: 0.78,
      propensity: 1
    }
  ],
  chosen: small,
  propensity: 1,
  reason: "only_eligible",
  exploration: false,
  seed: "seed"
})

/** A router that answers everything and remembers what it was asked. */
export interface RecordingRouter extends RouterShape {
  readonly asked: Array<{ readonly request: RoutingRequest; readonly body: ChatBody; readonly caller: Caller }>
  readonly judged: Array<FeedbackSubmission>
  readonly judgedSessions: Array<SessionFeedback>
  readonly listed: Array<DecisionQuery>
  readonly reported: Array<OutcomeReport>
  readonly addedUp: Array<StatsQuery>
}

export const recordingRouter = (over: Partial<RouterShape> = {}): RecordingRouter => {
  const asked: RecordingRouter["asked"] = []
  const judged: RecordingRouter["judged"] = []
  const judgedSessions: RecordingRouter["judgedSessions"] = []
  const listed: RecordingRouter["listed"] = []
  const reported: RecordingRouter["reported"] = []
  const addedUp: RecordingRouter["addedUp"] = []
  const made = {
    asked,
    judged,
    judgedSessions,
    listed,
    reported,
    addedUp,
    complete: (request, body, caller) =>
      Effect.sync(() => {
        asked.push({ request, body, caller })
        return request.operation === "embeddings" ? answer({ text: vectors }) : answer()
      }),
    stream: (request, body, caller, open) =>
      Effect.suspend(() => {
        asked.push({ request, body, caller })
        const sink = effectfulSink(open(answerHead()))
        return Effect.zipRight(sink.events(['{"n":1}', '{"n":2}']), sink.end)
      }),
    route: (request, caller) =>
      Effect.sync(() => {
        asked.push({ request, body: {}, caller })
        return decisionOf(request)
      }),
    report: (report) => Effect.sync(() => void reported.push(report)),
    feedback: (submission) =>
      Effect.sync(() => {
        judged.push(submission)
        return { id: submission.id, status: "recorded" as const }
      }),
    sessionFeedback: (given) =>
      Effect.sync(() => {
        judgedSessions.push(given)
        return { id: "f-1", decisionIds: [freshDecisionId(), freshDecisionId(1)], status: "recorded" as const }
      }),
    decisions: (query) =>
      Effect.sync(() => {
        listed.push(query)
        return []
      }),
    decision: (decisionId) => Effect.fail(new DecisionNotFound({ decisionId })),
    stats: (query) =>
      Effect.sync(() => {
        addedUp.push(query)
        return { ...noStats, savings: null }
      }),
    models: () => [
      {
        model: {
          id: small,
          provider: "local",
          upstream: "small-8b",
          inputUsdPerMTok: 0.1,
          outputUsdPerMTok: 0.1,
          priceSource: "conduit.yaml",
          contextWindow: 128000,
          moreRates: noMoreRates,
          maxOutputTokens: 4096,
          abilities: {},
          dialect: {},
          priorQuality: null,
          unavailable: null,
          simulated: false
        },
        learned: {
          quality: { mean: 0.71, low: 0.62, high: 0.79, observations: 412 },
          tasks: [],
          changes: [],
          successRate: 0.99,
          outputTokensMean: 180.2,
          latencySecondsMean: 0.84,
          share: 0.42
        },
        circuit: "closed",
        abilities: { vision: { can: false, source: "configuration" } },
        dialect: {}
      }
    ],
    ...over
  } satisfies Omit<RecordingRouter, "begin">
  return {
    begin: (chat) => {
      chat.onCall?.(small)
      const text = textsOf[chat.protocol ?? "chat"]
      const onEnd: Chat["onEnd"] =
        text === undefined
          ? chat.onEnd
          : (exit, about) =>
              chat.onEnd(
                Exit.map(exit, (told) => (told === null ? null : { ...told, text })),
                about
              )
      return beginOf(made)({ ...chat, onEnd })
    },
    ...made
  }
}
