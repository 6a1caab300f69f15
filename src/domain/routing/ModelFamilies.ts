import type { Capability } from "./Capability.ts"
import type { Dialect } from "./Dialect.ts"

/** What is known of a family of models by its name. */
export interface Family {
  /** Tokens of prompt and answer together. */
  readonly contextWindow: number | null
  readonly maxOutputTokens: number | null
  readonly capabilities: { readonly [C in Capability]?: boolean }
  readonly dialect: Dialect
}

/** Reasoning models of OpenAI count their thoughts in the limit, and sample in one way only. */
const openAiReasoning: Dialect = { max_tokens: "max_completion_tokens", temperature: null }

const family = (
  pattern: RegExp,
  contextWindow: number,
  maxOutputTokens: number | null,
  capabilities: Family["capabilities"],
  dialect: Dialect = {}
) => [pattern, { contextWindow, maxOutputTokens, capabilities, dialect }] as const

const seen = { vision: true, tools: true, json_schema: true, files: true } as const

/**
 * Well-known families, by the end of the name that the provider knows a model by (`openai/gpt-5-mini`,
 * `gpt-5-mini-2025-08-07`); the first match counts. Common knowledge of these families as of 2026-11-30, not yet checked
 * entry by entry against the vendors' pages (platform.openai.com/docs/models, docs.anthropic.com/en/docs/about-claude/models,
 * ai.google.dev/gemini-api/docs/models, api-docs.deepseek.com). `conduit.yaml` beats it, and so does what a model refuses.
 */
const families: ReadonlyArray<readonly [RegExp, Family]> = [
  family(
    /^gpt-5(?!.*-chat)/,
    400_000,
    128_000,
    { ...seen, audio: false, reasoning: true, logprobs: false },
    openAiReasoning
  ),
  family(
    /^o1-mini|^o1-preview/,
    128_000,
    65_536,
    { vision: false, audio: false, tools: false, json_schema: false, logprobs: false },
    { ...openAiReasoning, parallel_tool_calls: null }
  ),
  family(
    /^o3-mini/,
    200_000,
    100_000,
    { vision: false, audio: false, tools: true, json_schema: true, reasoning: true, logprobs: false },
    { ...openAiReasoning, parallel_tool_calls: null }
  ),
  family(
    /^(?:o1|o3|o4-mini)/,
    200_000,
    100_000,
    { ...seen, audio: false, reasoning: true, logprobs: false },
    { ...openAiReasoning, parallel_tool_calls: null }
  ),
  family(/^gpt-4\.1/, 1_047_576, 32_768, { ...seen, audio: false, reasoning: false, logprobs: true }),
  family(/^gpt-4o(?!.*-(?:audio|realtime|search|transcribe|tts))/, 128_000, 16_384, {
    ...seen,
    audio: false,
    reasoning: false,
    logprobs: true
  }),
  family(/^gpt-4-turbo/, 128_000, 4096, {
    vision: true,
    audio: false,
    tools: true,
    json_schema: false,
    reasoning: false
  }),
  family(/^gpt-4(?:-\d{4})?$/, 8192, 8192, {
    vision: false,
    audio: false,
    files: false,
    tools: true,
    json_schema: false,
    reasoning: false
  }),
  family(/^gpt-3\.5-turbo/, 16_385, 4096, {
    vision: false,
    audio: false,
    files: false,
    tools: true,
    json_schema: false,
    reasoning: false
  }),
  family(/^claude-/, 200_000, null, { vision: true, audio: false, tools: true, files: true, logprobs: false }),
  family(/^gemini-(?:1\.5|2|3)/, 1_048_576, null, { ...seen, audio: true }),
  family(/^deepseek-(?:chat|reasoner)$/, 128_000, null, { vision: false, audio: false, files: false, tools: true }),
  family(/^(?:meta-)?llama-?3\.[13]-(?:8|70|405)b/, 131_072, null, { vision: false, audio: false, files: false })
]

/** The part of a name after the last slash, in lower case. */
const bare = (upstream: string) => upstream.slice(upstream.lastIndexOf("/") + 1).toLowerCase()

/** Null for a name that no family has. */
export const familyOf = (upstream: string): Family | null => {
  const name = bare(upstream)
  return families.find(([pattern]) => pattern.test(name))?.[1] ?? null
}
