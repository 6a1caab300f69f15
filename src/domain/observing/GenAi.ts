import type { Decision } from "../routing/Decision.ts"
import type { Model } from "../routing/Model.ts"
import type { Outcome } from "../routing/Outcome.ts"

// OpenTelemetry's semantic conventions for generative AI, https://opentelemetry.io/docs/specs/semconv/gen-ai/, and the
// attributes under `conduit.`, which are this service's own. Nothing that anybody wrote or answered is among them.

/** Providers that the conventions have a name for, by the end of their host; another one has its name here. */
const wellKnown: ReadonlyArray<readonly [host: string, name: string]> = [
  ["api.openai.com", "openai"],
  ["openai.azure.com", "azure.ai.openai"],
  ["api.anthropic.com", "anthropic"],
  ["amazonaws.com", "aws.bedrock"],
  ["generativelanguage.googleapis.com", "gcp.gemini"],
  ["aiplatform.googleapis.com", "gcp.vertex_ai"],
  ["api.groq.com", "groq"],
  ["api.mistral.ai", "mistral_ai"],
  ["api.cohere.com", "cohere"],
  ["api.cohere.ai", "cohere"],
  ["api.deepseek.com", "deepseek"],
  ["api.perplexity.ai", "perplexity"],
  ["api.x.ai", "x_ai"]
]

/** Who is called, and where; nowhere if `baseUrl` is empty. */
export const place = (provider: string, baseUrl: string) => {
  const url = URL.canParse(baseUrl) ? new URL(baseUrl) : null
  const known = wellKnown.find(([host]) => url?.hostname === host || url?.hostname.endsWith(`.${host}`))
  return {
    "gen_ai.provider.name": known?.[1] ?? provider,
    "server.address": url?.hostname,
    "server.port": url === null ? null : Number(url.port) || (url.protocol === "https:" ? 443 : 80)
  }
}

export const call = ({ id, upstream }: Model) => ({
  "gen_ai.operation.name": "chat",
  "gen_ai.request.model": upstream,
  "conduit.model": id
})

const number = (value: unknown) => (typeof value === "number" && Number.isFinite(value) ? value : null)

/** What the caller asked for, the numbers of it. */
export const asked = (body: Readonly<Record<string, unknown>>) => ({
  "gen_ai.request.max_tokens": number(body["max_completion_tokens"]) ?? number(body["max_tokens"]),
  "gen_ai.request.choice.count": number(body["n"]),
  "gen_ai.request.temperature": number(body["temperature"]),
  "gen_ai.request.top_p": number(body["top_p"]),
  "gen_ai.request.frequency_penalty": number(body["frequency_penalty"]),
  "gen_ai.request.presence_penalty": number(body["presence_penalty"]),
  "gen_ai.request.seed": number(body["seed"])
})

const maxNameChars = 200

/** What a model says of its answer. */
export const said = (answer: {
  readonly usage: { readonly inputTokens: number; readonly outputTokens: number } | null
  readonly costUsd: number | null
  readonly finishReason: string | null
  readonly responseModel: string | null
  readonly firstTokenMs: number | null
}) => ({
  "gen_ai.response.model": answer.responseModel?.slice(0, maxNameChars),
  "gen_ai.response.finish_reasons": answer.finishReason === null ? null : [answer.finishReason.slice(0, maxNameChars)],
  "gen_ai.usage.input_tokens": answer.usage?.inputTokens,
  "gen_ai.usage.output_tokens": answer.usage?.outputTokens,
  "conduit.cost_usd": answer.costUsd,
  "conduit.first_token_ms": answer.firstTokenMs
})

export const decided = (decision: Decision) => ({
  "conduit.decision_id": decision.id,
  "conduit.model": decision.chosen,
  "conduit.reason": decision.reason,
  "conduit.propensity": decision.propensity
})

/** Of a whole request, over what its decision said. */
export const settled = ({ chosen, reason }: Decision, { costUsd, model }: Outcome) => ({
  "conduit.model": model,
  "conduit.reason": model === chosen ? reason : "fallback",
  "conduit.cost_usd": costUsd
})
