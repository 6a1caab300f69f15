import { isOtherModel } from "../routing/ModelName.ts"
import type { ModelList } from "./ModelList.ts"
import type { ProviderKind } from "./ProviderKind.ts"

/** Where a provider is reached: an address of the environment, or its public one. */
interface Address {
  /** The variable by which the vendor's own clients are sent elsewhere. */
  readonly variable: string
  /** Null where there is no public one: without the variable it is not there. `{AWS_REGION}` is Amazon's region. */
  readonly byDefault: string | null
  /** What the vendor's clients put behind such an address, and the operations stand under. */
  readonly suffix: string
  /** Where the address names none. */
  readonly port?: number
}

/** A provider that is known by its name. */
export interface Preset {
  /** For people. */
  readonly title: string
  readonly kind: ProviderKind
  /** Variables of the key, as the vendor's own clients read them; the first that is set counts. None: it takes no key. */
  readonly keys: ReadonlyArray<string>
  /** It answers without one. */
  readonly isKeyOptional?: boolean
  /** What the key is set for besides: alone it is no wish that prompts go there, the variable of the address is. */
  readonly keyIsFor?: string
  readonly address: Address
  /** The address by which the catalogue of prices knows it, whatever it is reached by; null where its own list has them. */
  readonly pricedAt: string | null
  /** It runs on one's own machines: a token costs nothing. */
  readonly isFree?: boolean
  /** A few current chat models, the most capable first: what is chosen where nobody configures any. */
  readonly models: ReadonlyArray<string>
  /** The variable that names models instead, where only the customer knows them. */
  readonly modelsIn?: string
  /** Where the vendor says so. */
  readonly source: string
}

/** Names, addresses, keys and current models of vendors, as their pages and clients had them on 2026-11-30. Whole, because it is a table. */
export const presets = {
  openai: {
    title: "OpenAI",
    kind: "openai-compatible",
    keys: ["OPENAI_API_KEY"],
    address: { variable: "OPENAI_BASE_URL", byDefault: "https://api.openai.com", suffix: "/v1" },
    pricedAt: "https://api.openai.com/v1",
    models: ["gpt-5.6-sol", "gpt-5.6-terra", "gpt-5.4-mini", "gpt-5.6-luna"],
    source: "https://platform.openai.com/docs/models"
  },
  anthropic: {
    title: "Anthropic",
    kind: "anthropic",
    keys: ["ANTHROPIC_API_KEY"],
    address: { variable: "ANTHROPIC_BASE_URL", byDefault: "https://api.anthropic.com", suffix: "/v1" },
    pricedAt: "https://api.anthropic.com",
    models: ["claude-opus-5-5", "claude-sonnet-5", "claude-haiku-4-5"],
    source: "https://platform.claude.com/docs/en/models/overview"
  },
  google: {
    title: "Google Gemini",
    // Its compatible endpoint loses thoughts and their signatures.
    kind: "gemini",
    keys: ["GEMINI_API_KEY", "GOOGLE_API_KEY"],
    address: {
      variable: "GOOGLE_GEMINI_BASE_URL",
      byDefault: "https://generativelanguage.googleapis.com",
      suffix: "/v1beta"
    },
    pricedAt: "https://generativelanguage.googleapis.com",
    models: ["gemini-3.1-pro-preview", "gemini-3.7-flash", "gemini-3.5-flash-lite", "gemini-2.5-flash"],
    source: "https://ai.google.dev/gemini-api/docs/models"
  },
  groq: {
    title: "Groq",
    kind: "openai-compatible",
    keys: ["GROQ_API_KEY"],
    address: { variable: "GROQ_BASE_URL", byDefault: "https://api.groq.com", suffix: "/openai/v1" },
    pricedAt: "https://api.groq.com",
    models: ["openai/gpt-oss-120b", "llama-3.3-70b-versatile", "openai/gpt-oss-20b", "llama-3.1-8b-instant"],
    source: "https://console.groq.com/docs/models"
  },
  mistral: {
    title: "Mistral",
    kind: "openai-compatible",
    keys: ["MISTRAL_API_KEY"],
    address: { variable: "MISTRAL_BASE_URL", byDefault: "https://api.mistral.ai", suffix: "/v1" },
    pricedAt: "https://api.mistral.ai",
    models: ["mistral-large-latest", "mistral-medium-latest", "mistral-small-latest", "ministral-8b-latest"],
    source: "https://docs.mistral.ai/getting-started/models"
  },
  cohere: {
    title: "Cohere",
    kind: "openai-compatible",
    keys: ["CO_API_KEY", "COHERE_API_KEY"],
    address: { variable: "CO_API_URL", byDefault: "https://api.cohere.ai", suffix: "/compatibility/v1" },
    pricedAt: "https://api.cohere.ai",
    models: ["command-a-03-2025", "command-r-plus-08-2024", "command-r-08-2024", "command-r7b-12-2024"],
    source: "https://docs.cohere.com/docs/compatibility-api"
  },
  huggingface: {
    title: "Hugging Face",
    kind: "openai-compatible",
    keys: ["HF_TOKEN"],
    keyIsFor: "downloads of models",
    address: { variable: "HF_ROUTER_BASE_URL", byDefault: "https://router.huggingface.co", suffix: "/v1" },
    pricedAt: null,
    models: ["openai/gpt-oss-120b", "meta-llama/Llama-3.3-70B-Instruct", "Qwen/Qwen3-32B", "openai/gpt-oss-20b"],
    source: "https://huggingface.co/docs/inference-providers"
  },
  bedrock: {
    title: "Amazon Bedrock",
    kind: "bedrock",
    keys: ["AWS_BEARER_TOKEN_BEDROCK"],
    address: {
      variable: "AWS_ENDPOINT_URL_BEDROCK_RUNTIME",
      byDefault: "https://bedrock-runtime.{AWS_REGION}.amazonaws.com",
      suffix: ""
    },
    pricedAt: "https://bedrock-runtime.us-east-1.amazonaws.com",
    models: ["global.anthropic.claude-sonnet-4-5-20250929-v1:0", "amazon.nova-pro-v1:0", "amazon.nova-lite-v1:0"],
    source: "https://docs.aws.amazon.com/bedrock/latest/userguide/models-supported.html"
  },
  azure: {
    title: "Azure OpenAI",
    kind: "openai-compatible",
    keys: ["AZURE_OPENAI_API_KEY"],
    address: { variable: "AZURE_OPENAI_ENDPOINT", byDefault: null, suffix: "/openai/v1" },
    pricedAt: "https://conduit.openai.azure.com",
    models: [],
    modelsIn: "AZURE_OPENAI_DEPLOYMENT",
    source: "https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle"
  },
  openrouter: {
    title: "OpenRouter",
    kind: "openai-compatible",
    keys: ["OPENROUTER_API_KEY"],
    address: { variable: "OPENROUTER_BASE_URL", byDefault: "https://openrouter.ai", suffix: "/api/v1" },
    pricedAt: "https://openrouter.ai",
    models: ["anthropic/claude-opus-5.5", "openai/gpt-5.6-terra", "deepseek/deepseek-v4-flash", "openai/gpt-5.6-luna"],
    source: "https://openrouter.ai/docs/quickstart"
  },
  together: {
    title: "Together",
    kind: "openai-compatible",
    keys: ["TOGETHER_API_KEY"],
    address: { variable: "TOGETHER_BASE_URL", byDefault: "https://api.together.xyz", suffix: "/v1" },
    pricedAt: "https://api.together.xyz",
    models: [
      "meta-llama/Meta-Llama-3.1-405B-Instruct-Turbo",
      "meta-llama/Llama-3.3-70B-Instruct-Turbo",
      "meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8",
      "meta-llama/Meta-Llama-3.1-8B-Instruct-Turbo"
    ],
    source: "https://docs.together.ai/docs/serverless-models"
  },
  deepseek: {
    title: "DeepSeek",
    kind: "openai-compatible",
    keys: ["DEEPSEEK_API_KEY"],
    address: { variable: "DEEPSEEK_BASE_URL", byDefault: "https://api.deepseek.com", suffix: "/v1" },
    pricedAt: "https://api.deepseek.com",
    models: ["deepseek-v4-pro", "deepseek-v4-flash"],
    source: "https://api-docs.deepseek.com/quick_start/pricing"
  },
  xai: {
    title: "xAI",
    kind: "openai-compatible",
    keys: ["XAI_API_KEY"],
    address: { variable: "XAI_BASE_URL", byDefault: "https://api.x.ai", suffix: "/v1" },
    pricedAt: "https://api.x.ai",
    models: ["grok-4.6", "grok-4.3", "grok-4-1-fast-reasoning", "grok-4-1-fast-non-reasoning"],
    source: "https://docs.x.ai/docs/models"
  },
  ollama: {
    title: "Ollama",
    kind: "openai-compatible",
    keys: [],
    address: { variable: "OLLAMA_HOST", byDefault: null, suffix: "/v1", port: 11434 },
    pricedAt: null,
    isFree: true,
    models: [],
    source: "https://docs.ollama.com/openai"
  },
  vllm: {
    title: "vLLM",
    kind: "openai-compatible",
    keys: ["VLLM_API_KEY"],
    isKeyOptional: true,
    address: { variable: "VLLM_BASE_URL", byDefault: null, suffix: "/v1" },
    pricedAt: null,
    isFree: true,
    models: [],
    source: "https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html"
  },
  lmstudio: {
    title: "LM Studio",
    kind: "openai-compatible",
    keys: ["LM_STUDIO_API_KEY"],
    isKeyOptional: true,
    address: { variable: "LM_STUDIO_BASE_URL", byDefault: null, suffix: "/v1" },
    pricedAt: null,
    isFree: true,
    models: [],
    source: "https://lmstudio.ai/docs/developer/openai-compat"
  }
} as const satisfies Readonly<Record<string, Preset>>

export type PresetName = keyof typeof presets
export const isPresetName = (name: string): name is PresetName => Object.hasOwn(presets, name)
export const presetNames: ReadonlyArray<PresetName> = Object.keys(presets).filter(isPresetName)
export const presetOf = (name: PresetName): Preset => presets[name]

type Variables = ReadonlyMap<string, string>

/** `0.0.0.0` is what a server listens on; who calls it means this machine. */
const withScheme = (address: string): string => {
  const whole = /^[a-z][a-z0-9+.-]*:\/\//i.test(address) ? address : `http://${address}`
  return whole.replace(/^(https?:\/\/)0\.0\.0\.0(?=[:/]|$)/i, "$1127.0.0.1")
}

/** As Amazon's own clients find it. */
export const amazonRegion = (variables: Variables): string =>
  variables.get("AWS_REGION") ?? variables.get("AWS_DEFAULT_REGION") ?? "us-east-1"

/** The address of its operations, or the name of the variable that has to be set. */
export const presetAddress = (
  { address }: Preset,
  variables: Variables
): { readonly url: string; readonly missing: ReadonlyArray<string> } => {
  const stated = variables.get(address.variable)
  const from = stated ?? address.byDefault?.replace("{AWS_REGION}", amazonRegion(variables)) ?? null
  if (from === null) return { url: "", missing: [address.variable] }
  const whole = withScheme(from).replace(/\/+$/, "")
  if (!URL.canParse(whole)) return { url: whole, missing: [] }
  const url = new URL(whole)
  if (address.port !== undefined && url.port === "" && !whole.startsWith("https")) url.port = String(address.port)
  const path = url.pathname.replace(/\/+$/, "")
  // Some vendors' clients want the whole address there, some its beginning: both are understood.
  const last = address.suffix.slice(address.suffix.lastIndexOf("/"))
  url.pathname = path.endsWith(last) ? path : `${path}${address.suffix}`
  return { url: url.href.replace(/\/+$/, ""), missing: [] }
}

/** Its key, or the variables one of which has to be set. */
export const presetKey = (
  { isKeyOptional, keys }: Preset,
  variables: Variables
): { readonly key: string; readonly missing: ReadonlyArray<string> } => {
  for (const name of keys) {
    const key = variables.get(name)
    if (key !== undefined) return { key, missing: [] }
  }
  return { key: "", missing: isKeyOptional === true ? [] : keys.slice(0, 1) }
}

const hasAll = (preset: Preset, variables: Variables): boolean =>
  presetAddress(preset, variables).missing.length + presetKey(preset, variables).missing.length === 0

const isMeant = ({ address, keyIsFor }: Preset, variables: Variables): boolean =>
  keyIsFor === undefined || variables.has(address.variable)

/** Those that an environment has all for that they need. */
export const presetsIn = (variables: Variables): ReadonlyArray<PresetName> =>
  presetNames.filter((name) => hasAll(presetOf(name), variables) && isMeant(presetOf(name), variables))

/** Why those are left out whose key is there for something else, a line each. */
export const unmeantIn = (variables: Variables): ReadonlyArray<string> =>
  presetNames
    .map(presetOf)
    .filter((preset) => hasAll(preset, variables) && !isMeant(preset, variables))
    .map(
      ({ address, keyIsFor, keys, title }) =>
        `${title} is left out: ${keys.find((key) => variables.has(key))} is set for ${keyIsFor} too, and no prompt goes there for that alone: set ${address.variable} (${address.byDefault}) or name its preset in conduit.yaml`
    )

/** Of names: what does not answer chats. */
const otherKinds =
  /embed|whisper|speech|audio|voice|tts|image|dall-e|sora|video|moderation|rerank|guard|ocr|transcribe|realtime|live|davinci|babbage/i

/** Those that a list has and that look like models for chats. */
export const chatModels = (list: ModelList): ReadonlyArray<string> =>
  servingIn(list).filter((name) => !otherKinds.test(name) && !name.startsWith("models/"))

const servingIn = (list: ModelList): ReadonlyArray<string> =>
  [...list].flatMap(([name, { retirement }]) => (retirement?.state === "retired" ? [] : [name]))

/**
 * The models of a provider that serve where nobody configures any, at most so many: those of its preset that it lists
 * (perhaps with a date behind the name), else the first that it lists and that look like chat models. Without a list,
 * those of its preset.
 */
export const chosenModels = (
  preset: Preset,
  list: ModelList | null,
  variables: Variables,
  most: number
): ReadonlyArray<string> => {
  const stated = preset.modelsIn === undefined ? undefined : variables.get(preset.modelsIn)
  if (stated !== undefined) return stated.split(/[\s,]+/).filter((name) => name !== "")
  // What the list of such a provider has are not the names that it is called by.
  if (preset.modelsIn !== undefined) return []
  if (list === null) return preset.models.slice(0, most)
  const serving = servingIn(list)
  const current = preset.models.flatMap((model) =>
    list.has(model)
      ? serving.filter((name) => name === model)
      : serving.filter((name) => !isOtherModel({ id: model, upstream: model }, name)).slice(0, 1)
  )
  return (current.length > 0 ? current : chatModels(list)).slice(0, most)
}
