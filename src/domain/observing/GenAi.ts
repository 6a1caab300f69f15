import { hash64 } from "../basics/Rng.ts"
import type { Said } from "../models/Said.ts"
import type { Decision } from "../routing/Decision.ts"
import type { Model } from "../routing/Model.ts"
import type { Outcome, OutcomeDetails } from "../routing/Outcome.ts"
import type { TokenUsage } from "../routing/Usage.ts"

// OpenTelemetry's semantic conventions for generative AI, v0.1.0, span `gen_ai.client.inference`,
// https://github.com/open-telemetry/semantic-conventions-genai/blob/v0.1.0/docs/gen-ai/client-inference.md, and the
// attributes under `conduit.`, which are this service's own. No text of a prompt or an answer is among them.

/** The conventions' names of providers, by the end of the host. */
const namesByHost: ReadonlyArray<readonly [host: string, name: string]> = [
  ["api.openai.com", "openai"],
  ["openai.azure.com", "azure.ai.openai"],
  ["services.ai.azure.com", "azure.ai.inference"],
  ["models.ai.azure.com", "azure.ai.inference"],
  ["api.anthropic.com", "anthropic"],
  ["generativelanguage.googleapis.com", "gcp.gemini"],
  ["aiplatform.googleapis.com", "gcp.vertex_ai"],
  ["api.groq.com", "groq"],
  ["api.mistral.ai", "mistral_ai"],
  ["api.cohere.com", "cohere"],
  ["api.cohere.ai", "cohere"],
  ["api.deepseek.com", "deepseek"],
  ["api.perplexity.ai", "perplexity"],
  ["api.moonshot.ai", "moonshot_ai"],
  ["api.moonshot.cn", "moonshot_ai"],
  ["ml.cloud.ibm.com", "ibm.watsonx.ai"],
  ["api.x.ai", "x_ai"]
]

/** Of all that runs at Amazon. */
const bedrock = /^bedrock[a-z-]*\.[a-z0-9-]+\.amazonaws\.com$/

/** What people call these providers in a configuration, where the host is a proxy's. */
const namesByKey: Readonly<Record<string, string>> = {
  azure: "azure.ai.openai",
  bedrock: "aws.bedrock",
  gemini: "gcp.gemini",
  google: "gcp.gen_ai",
  mistral: "mistral_ai",
  moonshot: "moonshot_ai",
  vertex: "gcp.vertex_ai",
  watsonx: "ibm.watsonx.ai",
  xai: "x_ai"
}

const providerName = (key: string, hostname: string): string => {
  if (bedrock.test(hostname)) return "aws.bedrock"
  const known = namesByHost.find(([host]) => hostname === host || hostname.endsWith(`.${host}`))
  return known?.[1] ?? namesByKey[key.toLowerCase()] ?? key
}

/** Who is called, and where; no address if `baseUrl` is empty. */
export const providerFacts = (key: string, baseUrl: string) => {
  const url = URL.canParse(baseUrl) ? new URL(baseUrl) : null
  return {
    "gen_ai.provider.name": providerName(key, url?.hostname ?? ""),
    "server.address": url?.hostname,
    "server.port": url === null ? null : Number(url.port) || (url.protocol === "https:" ? 443 : 80)
  }
}

const operation = "chat"

export const spanName = ({ upstream }: Model) => `${operation} ${upstream}`

export const modelFacts = ({ id, upstream }: Model) => ({
  "gen_ai.operation.name": operation,
  "gen_ai.request.model": upstream,
  "conduit.model": id
})

const number = (value: unknown) => (typeof value === "number" && Number.isFinite(value) ? value : null)

/** Groups the calls of a session without its name, which is the client's own and stays in the decision. */
export const conversationOf = (sessionId: string): string =>
  hash64(sessionId)
    .map((half) => half.toString(16).padStart(8, "0"))
    .join("")

/** What the caller asked for, as far as it is a number; null where the conventions want no attribute. */
export const requestFacts = (
  body: Readonly<Record<string, unknown>>,
  { sessionId, stream }: { readonly sessionId: string | null; readonly stream: boolean }
) => ({
  "gen_ai.conversation.id": sessionId === null ? null : conversationOf(sessionId),
  "gen_ai.request.stream": stream ? true : null,
  "gen_ai.request.max_tokens":
    number(body["max_completion_tokens"]) ?? number(body["max_tokens"]) ?? number(body["max_output_tokens"]),
  "gen_ai.request.choice.count": body["n"] === 1 ? null : number(body["n"]),
  "gen_ai.request.temperature": number(body["temperature"]),
  "gen_ai.request.top_p": number(body["top_p"]),
  "gen_ai.request.top_k": number(body["top_k"]),
  "gen_ai.request.frequency_penalty": number(body["frequency_penalty"]),
  "gen_ai.request.presence_penalty": number(body["presence_penalty"]),
  "gen_ai.request.seed": number(body["seed"])
})

const maxNameChars = 200
const name = (text: string | null | undefined) => text?.slice(0, maxNameChars)

/** Ids of answers as providers make them: an upstream can put any text there, and texts do not leave by traces. */
const idForm =
  /^(?:(?:chatcmpl|cmpl|resp|msg|gen|run|req)[-_][\w-]{1,128}|[\da-f]{8}(?:-?[\da-f]{4}){3}-?[\da-f]{12}|[\da-f]{32})$/i
const responseId = (id: string | null | undefined) => (id !== null && id !== undefined && idForm.test(id) ? id : null)

/** What a model says of its answer; null of one that said nothing. */
export const responseFacts = (answer: {
  readonly said: Pick<Said, "id" | "finishReason" | "servedModel"> | null
  readonly usage: Pick<TokenUsage, "inputTokens" | "outputTokens"> | null
  readonly details: OutcomeDetails | null
  readonly costUsd: number | null
  readonly firstTokenMs: number | null
}) => {
  const { costUsd, details, firstTokenMs, said, usage } = answer
  const finishReason = name(said?.finishReason)
  return {
    "gen_ai.response.id": responseId(said?.id),
    "gen_ai.response.model": name(said?.servedModel),
    "gen_ai.response.finish_reasons": finishReason === undefined ? null : [finishReason],
    "gen_ai.response.time_to_first_chunk": firstTokenMs === null ? null : firstTokenMs / 1000,
    "gen_ai.usage.input_tokens": usage?.inputTokens,
    "gen_ai.usage.output_tokens": usage?.outputTokens,
    "gen_ai.usage.cache_read.input_tokens": details?.cachedTokens,
    "gen_ai.usage.cache_write.input_tokens": details?.writtenTokens,
    "gen_ai.usage.reasoning.output_tokens": details?.reasoningTokens,
    "conduit.cost_usd": costUsd,
    "conduit.first_token_ms": firstTokenMs
  }
}

export const decisionFacts = (decision: Decision) => ({
  "conduit.decision_id": decision.id,
  "conduit.model": decision.chosen,
  "conduit.reason": decision.reason,
  "conduit.propensity": decision.propensity
})

/** Of a whole request, over what its decision said. */
export const outcomeFacts = ({ chosen, reason }: Decision, { costUsd, model }: Outcome) => ({
  "conduit.model": model,
  "conduit.reason": model === chosen ? reason : "fallback",
  "conduit.cost_usd": costUsd
})
