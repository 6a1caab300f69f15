import type { Capability } from "./Capability.ts"
import type { Dialect } from "./Dialect.ts"

/** What is known of a family of models by its name. */
export interface Family {
  /** Of the name at its provider, without what stands before the last slash, in lower case. */
  readonly pattern: RegExp
  /** Tokens of prompt and answer together. */
  readonly contextWindow: number | null
  readonly maxOutputTokens: number | null
  /** What is not here is not known, and excludes nothing. */
  readonly capabilities: { readonly [C in Capability]?: boolean }
  readonly dialect: Dialect
  /** Where its vendor says so. */
  readonly source: string
  /**
   * What was read: the page itself, or what states the same of it: LiteLLM's model_prices_and_context_window.json of
   * 2026-07-24 together with genai-prices 0.1.8.
   */
  readonly read: "page" | "tables"
  /** The day of that. */
  readonly readOn: string
}

const readOn = "2026-11-30"

/** Reasoning models of OpenAI count their thoughts in the limit, and sample in one way only. */
const reasoning: Dialect = { max_tokens: "max_completion_tokens", temperature: null }
/** From 5.1 on they sample as they are told where `reasoning_effort` is none, which is what is meant without one. */
const laterReasoning: Dialect = { max_tokens: "max_completion_tokens" }

const sees = { vision: true, files: true, audio: false, tools: true, json_schema: true } as const
const reads = { vision: false, files: false, audio: false } as const

/**
 * Well-known families; the first that matches counts. Each row was held against what it names, entry by entry; where they
 * disagree a comment says so. A model that answers on other endpoints only (`-pro`, `-codex`, `-realtime`, `-tts`) has no
 * row, and neither have open weights, whose window is that of whoever serves them and mostly listed. `conduit.yaml` beats
 * it, and so do the provider's own list and what a model refuses. Whole, because the first row that matches counts.
 */
export const families: ReadonlyArray<Family> = [
  {
    pattern: /^gpt-5(?:\.\d)?-chat/,
    contextWindow: 128_000,
    maxOutputTokens: 16_384,
    capabilities: { vision: true, audio: false },
    dialect: {},
    source: "https://platform.openai.com/docs/models/gpt-5-chat-latest",
    read: "tables",
    readOn
  },
  {
    // LiteLLM has 400,000 for 5.6; OpenAI's page and genai-prices have this.
    pattern: /^gpt-5\.[4-6](?:-\d{4}-\d{2}-\d{2}|-luna|-sol|-terra)?$/,
    contextWindow: 1_050_000,
    maxOutputTokens: 128_000,
    capabilities: { ...sees, reasoning: true },
    dialect: laterReasoning,
    source: "https://developers.openai.com/api/docs/models/gpt-5.4",
    read: "tables",
    readOn
  },
  {
    pattern: /^gpt-5\.(?:[12]|4-mini|4-nano)(?:-\d{4}-\d{2}-\d{2})?$/,
    contextWindow: 400_000,
    maxOutputTokens: 128_000,
    capabilities: { ...sees, reasoning: true },
    dialect: laterReasoning,
    source: "https://developers.openai.com/api/docs/models/gpt-5.4-mini",
    read: "tables",
    readOn
  },
  {
    pattern: /^gpt-5(?:-mini|-nano)?(?:-\d{4}-\d{2}-\d{2})?$/,
    contextWindow: 400_000,
    maxOutputTokens: 128_000,
    capabilities: { ...sees, reasoning: true, logprobs: false },
    dialect: reasoning,
    source: "https://platform.openai.com/docs/models/gpt-5",
    read: "tables",
    readOn
  },
  {
    pattern: /^o3-mini(?:-\d{4}-\d{2}-\d{2})?$/,
    contextWindow: 200_000,
    maxOutputTokens: 100_000,
    capabilities: { ...reads, tools: true, json_schema: true, reasoning: true, logprobs: false },
    dialect: { ...reasoning, parallel_tool_calls: null },
    source: "https://platform.openai.com/docs/models/o3-mini",
    read: "tables",
    readOn
  },
  {
    pattern: /^(?:o1|o3|o4-mini)(?:-\d{4}-\d{2}-\d{2})?$/,
    contextWindow: 200_000,
    maxOutputTokens: 100_000,
    capabilities: { ...sees, reasoning: true, logprobs: false },
    dialect: { ...reasoning, parallel_tool_calls: null },
    source: "https://platform.openai.com/docs/models/o3",
    read: "tables",
    readOn
  },
  {
    pattern: /^gpt-4\.1(?:-mini|-nano)?(?:-\d{4}-\d{2}-\d{2})?$/,
    contextWindow: 1_047_576,
    maxOutputTokens: 32_768,
    capabilities: { ...sees, reasoning: false, logprobs: true },
    dialect: {},
    source: "https://platform.openai.com/docs/models/gpt-4.1",
    read: "tables",
    readOn
  },
  {
    // The first one, without structured outputs.
    pattern: /^gpt-4o-2024-05-13$/,
    contextWindow: 128_000,
    maxOutputTokens: 4096,
    capabilities: { ...sees, json_schema: false, reasoning: false, logprobs: true },
    dialect: {},
    source: "https://platform.openai.com/docs/models/gpt-4o",
    read: "tables",
    readOn
  },
  {
    pattern: /^gpt-4o(?:-mini)?(?:-\d{4}-\d{2}-\d{2})?$/,
    contextWindow: 128_000,
    maxOutputTokens: 16_384,
    capabilities: { ...sees, reasoning: false, logprobs: true },
    dialect: {},
    source: "https://platform.openai.com/docs/models/gpt-4o",
    read: "tables",
    readOn
  },
  {
    pattern: /^gpt-4-(?:turbo-preview|0125-preview|1106-preview)$/,
    contextWindow: 128_000,
    maxOutputTokens: 4096,
    capabilities: { ...reads, tools: true, json_schema: false, reasoning: false },
    dialect: {},
    source: "https://platform.openai.com/docs/models/gpt-4-turbo-preview",
    read: "tables",
    readOn
  },
  {
    pattern: /^gpt-4-turbo(?:-\d{4}-\d{2}-\d{2})?$/,
    contextWindow: 128_000,
    maxOutputTokens: 4096,
    capabilities: { vision: true, audio: false, tools: true, json_schema: false, reasoning: false },
    dialect: {},
    source: "https://platform.openai.com/docs/models/gpt-4-turbo",
    read: "tables",
    readOn
  },
  {
    // LiteLLM has 4,096 tokens of answer.
    pattern: /^gpt-4(?:-\d{4})?$/,
    contextWindow: 8192,
    maxOutputTokens: 8192,
    capabilities: { ...reads, tools: true, json_schema: false, reasoning: false },
    dialect: {},
    source: "https://platform.openai.com/docs/models/gpt-4",
    read: "tables",
    readOn
  },
  {
    pattern: /^gpt-3\.5-turbo(?:-\d{4}|-16k)?$/,
    contextWindow: 16_385,
    maxOutputTokens: 4096,
    capabilities: { ...reads, tools: true, json_schema: false, reasoning: false },
    dialect: {},
    source: "https://platform.openai.com/docs/models/gpt-3.5-turbo",
    read: "tables",
    readOn
  },
  {
    // LiteLLM has 64,000 tokens of answer for Sonnet 4.6.
    pattern: /^claude-(?:(?:opus|sonnet|fable|mythos)-5|(?:opus|sonnet)-4[-.][6-9])/,
    contextWindow: 1_000_000,
    maxOutputTokens: 128_000,
    capabilities: { vision: true, audio: false, tools: true, reasoning: true, logprobs: false },
    dialect: {},
    source: "https://platform.claude.com/docs/en/models/opus-5/overview",
    read: "page",
    readOn
  },
  {
    pattern: /^claude-(?:opus|sonnet|haiku)-4[-.]5/,
    contextWindow: 200_000,
    maxOutputTokens: 64_000,
    capabilities: { vision: true, audio: false, tools: true, reasoning: true, logprobs: false },
    dialect: {},
    source: "https://platform.claude.com/docs/en/models/sonnet-4-5/overview",
    read: "page",
    readOn
  },
  {
    pattern: /^claude-(?:opus-4|4-opus)/,
    contextWindow: 200_000,
    maxOutputTokens: 32_000,
    capabilities: { vision: true, audio: false, tools: true, reasoning: true, logprobs: false },
    dialect: {},
    source: "https://platform.claude.com/docs/en/models/overview",
    read: "tables",
    readOn
  },
  {
    // A million is for who sends a beta header.
    pattern: /^claude-(?:sonnet-4|4-sonnet|3[-.]7-sonnet)/,
    contextWindow: 200_000,
    maxOutputTokens: 64_000,
    capabilities: { vision: true, audio: false, tools: true, reasoning: true, logprobs: false },
    dialect: {},
    source: "https://platform.claude.com/docs/en/models/overview",
    read: "tables",
    readOn
  },
  {
    pattern: /^claude-3/,
    contextWindow: 200_000,
    maxOutputTokens: null,
    capabilities: { vision: true, audio: false, tools: true, logprobs: false },
    dialect: {},
    source: "https://platform.claude.com/docs/en/models/overview",
    read: "tables",
    readOn
  },
  {
    pattern: /^gemini-2\.0-flash(?:-lite)?(?:-\d{3})?$/,
    contextWindow: 1_048_576,
    maxOutputTokens: 8192,
    capabilities: { vision: true, files: true, audio: true, tools: true, json_schema: true },
    dialect: {},
    source: "https://ai.google.dev/gemini-api/docs/models/gemini-2.0-flash",
    read: "page",
    readOn
  },
  {
    pattern: /^gemini-(?:2\.5|3(?:\.\d)?)-(?:pro|flash|flash-lite)(?:-preview)?(?:-\d{2}-\d{2,4})?$/,
    contextWindow: 1_048_576,
    maxOutputTokens: 65_536,
    capabilities: { vision: true, files: true, audio: true, tools: true, json_schema: true, reasoning: true },
    dialect: {},
    source: "https://ai.google.dev/gemini-api/docs/models/gemini-3.7-flash",
    read: "page",
    readOn
  },
  {
    pattern: /^deepseek-v4-(?:flash|pro)(?:-\d{4})?$/,
    contextWindow: 1_000_000,
    // LiteLLM has 8,192, of the models before it.
    maxOutputTokens: null,
    capabilities: { tools: true, reasoning: true },
    dialect: {},
    source: "https://api-docs.deepseek.com/quick_start/pricing",
    read: "tables",
    readOn
  },
  {
    // Names that DeepSeek itself gave up in July 2026; genai-prices has 64,000, LiteLLM 131,072.
    pattern: /^deepseek-(?:chat|reasoner)$/,
    contextWindow: 128_000,
    maxOutputTokens: null,
    capabilities: { ...reads, tools: true },
    dialect: {},
    source: "https://api-docs.deepseek.com/quick_start/pricing",
    read: "tables",
    readOn
  }
]

/** The part of a name after the last slash, in lower case. */
const bare = (upstream: string) => upstream.slice(upstream.lastIndexOf("/") + 1).toLowerCase()

/** Null for a name that no family has. */
export const familyOf = (upstream: string): Family | null => {
  const name = bare(upstream)
  return families.find(({ pattern }) => pattern.test(name)) ?? null
}
