import { capabilities, type Capability } from "../routing/Capability.ts"
import { type MoreRates, noMoreRates, type Price } from "../routing/Cost.ts"
import { arrayOf, isObject, type JsonObject, parseJson, textOf } from "./Json.ts"

// What upstreams say of their models in `GET /models` beyond OpenAI's id, as tables of keys. Read on 2026-11-30:
//   Anthropic   platform.claude.com/docs/en/api/models/list
//   Conduit     `GET /v1/models` of another Conduit
//   DeepInfra   api.deepinfra.com/v1/openai/models, as Roo Code's schema has it
//   Google      ai.google.dev/api/models#Model
//   Groq        console.groq.com/docs/models, groq-sdk's clients
//   LiteLLM     docs.litellm.ai/docs/proxy/model_management, `GET /model/info`
//   llama.cpp   github.com/ggml-org/llama.cpp, tools/server (`n_ctx_train` is not what the server takes)
//   LM Studio   lmstudio.ai/docs/developer/rest/endpoints, `/api/v0/models`
//   Mistral     github.com/mistralai/client-ts, BaseModelCard and ModelCapabilities
//   OpenRouter  openrouter.ai/docs/models
//   Together    api.together.xyz/v1/models, as its clients' types have it
//   vLLM        `max_model_len` of its model card; SGLang has the same
// Not read again, from what was known of it: Vercel's gateway. A price in another unit than is thought is refused by its size.

/** The end of a model, as its provider announces it. */
export interface Retirement {
  /** `deprecated`: it answers still, and will not for ever; `retired`: it does not answer any more. */
  readonly state: "deprecated" | "retired"
  /** Since when, or from when on, Unix milliseconds; null if only the fact is said. */
  readonly atMillis: number | null
  /** What the provider recommends instead; null if nothing. */
  readonly replacement: string | null
}

/** What a list says of one model; null, or not there, where it says nothing. */
export interface ListedModel {
  /** Tokens of prompt and answer together. */
  readonly contextWindow: number | null
  readonly maxOutputTokens: number | null
  readonly capabilities: { readonly [C in Capability]?: boolean }
  readonly price: (Price & { readonly moreRates: MoreRates }) | null
  readonly retirement: Retirement | null
}

/** By the names that the upstream takes. */
export type ModelList = ReadonlyMap<string, ListedModel>

const at = (item: JsonObject, path: string): unknown =>
  path.split(".").reduce<unknown>((value, key) => (isObject(value) ? value[key] : undefined), item)

const first = <A>(item: JsonObject, paths: ReadonlyArray<string>, read: (value: unknown) => A | null): A | null => {
  for (const path of paths) {
    const value = read(at(item, path))
    if (value !== null) return value
  }
  return null
}

/** The most that any model takes is a hundredth of it. */
const mostTokens = 1_000_000_000
const tokensOf = (value: unknown): number | null =>
  typeof value === "number" && Number.isInteger(value) && value > 0 && value <= mostTokens ? value : null

const windowPaths = [
  // LM Studio: what is loaded may be less than the model could.
  "loaded_context_length",
  // OpenRouter, Together, Conduit.
  "context_length",
  // Groq, Vercel.
  "context_window",
  // vLLM, SGLang.
  "max_model_len",
  // Mistral, LM Studio.
  "max_context_length",
  // Anthropic.
  "max_input_tokens",
  // Google.
  "inputTokenLimit",
  "model_info.max_input_tokens",
  "metadata.context_length",
  // llama.cpp.
  "meta.n_ctx"
]

const outputPaths = [
  // Google.
  "outputTokenLimit",
  "top_provider.max_completion_tokens",
  "max_completion_tokens",
  "max_output_tokens",
  "model_info.max_output_tokens",
  "metadata.max_tokens",
  // Anthropic, Vercel.
  "max_tokens"
]

/** Whether the value at a path says that the model can; undefined if it says nothing. */
type Sign = readonly [path: string, says: (value: unknown) => boolean | undefined]

const flag = (path: string): Sign => [
  path,
  (value) => {
    const said = isObject(value) ? (value["supported"] ?? value["can"]) : value
    return typeof said === "boolean" ? said : undefined
  }
]
/** A list of everything that the model can: what is not there it cannot. */
const oneOf = (path: string, word: string): Sign => [
  path,
  (value) => (Array.isArray(value) ? value.includes(word) : undefined)
]
/** A list of some of what the model can. */
const tagged = (path: string, word: string): Sign => [
  path,
  (value) => (Array.isArray(value) && value.includes(word) ? true : undefined)
]

const signs: Readonly<Record<Capability, ReadonlyArray<Sign>>> = {
  vision: [
    oneOf("architecture.input_modalities", "image"),
    flag("capabilities.vision"),
    flag("capabilities.image_input"),
    flag("model_info.supports_vision"),
    tagged("tags", "vision"),
    tagged("metadata.tags", "vision"),
    // LM Studio has a type for models that see.
    ["type", (value) => (value === "vlm" ? true : undefined)]
  ],
  audio: [
    oneOf("architecture.input_modalities", "audio"),
    flag("capabilities.audio"),
    flag("model_info.supports_audio_input")
  ],
  files: [
    // OpenRouter reads files for models that cannot.
    tagged("architecture.input_modalities", "file"),
    flag("capabilities.pdf_input"),
    flag("model_info.supports_pdf_input"),
    tagged("tags", "file-input")
  ],
  tools: [
    oneOf("supported_parameters", "tools"),
    flag("capabilities.function_calling"),
    flag("model_info.supports_function_calling"),
    tagged("capabilities", "tool_use"),
    tagged("tags", "tool-use")
  ],
  json_schema: [
    oneOf("supported_parameters", "structured_outputs"),
    flag("capabilities.structured_outputs"),
    flag("model_info.supports_response_schema")
  ],
  reasoning: [
    oneOf("supported_parameters", "reasoning"),
    flag("capabilities.reasoning"),
    flag("capabilities.thinking"),
    flag("thinking"),
    flag("model_info.supports_reasoning"),
    tagged("tags", "reasoning"),
    tagged("metadata.tags", "reasoning")
  ],
  logprobs: [oneOf("supported_parameters", "logprobs")],
  choices: [],
  native_tools: []
}

const capabilityOf = (item: JsonObject, capability: Capability): boolean | undefined => {
  const asConduit: Sign = flag(`conduit.capabilities.${capability}`)
  for (const [path, says] of [...signs[capability], asConduit]) {
    const said = says(at(item, path))
    if (said !== undefined) return said
  }
  return undefined
}

const capabilitiesOf = (item: JsonObject): ListedModel["capabilities"] => {
  const said: { [C in Capability]?: boolean } = {}
  for (const capability of capabilities) {
    const can = capabilityOf(item, capability)
    if (can !== undefined) said[capability] = can
  }
  return said
}

/** Where a list has its prices, and what they are of. */
interface PriceForm {
  readonly input: string
  readonly output: string
  readonly cachedInput?: string
  readonly cacheWrite?: string
  readonly reasoning?: string
  readonly audioInput?: string
  /** USD each; a price of a request that is not 0 is none that tokens could be given. */
  readonly request?: string
  readonly type: "string" | "number"
  readonly usdPer: "token" | "million tokens"
  /** Together and DeepInfra write 0 for what they do not sell by the token; elsewhere 0 is free. */
  readonly isZeroUnknown: boolean
}

const priceForms: ReadonlyArray<PriceForm> = [
  // OpenRouter: texts.
  {
    input: "pricing.prompt",
    output: "pricing.completion",
    cachedInput: "pricing.input_cache_read",
    cacheWrite: "pricing.input_cache_write",
    reasoning: "pricing.internal_reasoning",
    audioInput: "pricing.audio",
    request: "pricing.request",
    type: "string",
    usdPer: "token",
    isZeroUnknown: false
  },
  // Vercel: texts.
  {
    input: "pricing.input",
    output: "pricing.output",
    cachedInput: "pricing.input_cache_read",
    cacheWrite: "pricing.input_cache_write",
    type: "string",
    usdPer: "token",
    isZeroUnknown: false
  },
  // Together: numbers.
  {
    input: "pricing.input",
    output: "pricing.output",
    cachedInput: "pricing.cached_input",
    type: "number",
    usdPer: "million tokens",
    isZeroUnknown: true
  },
  // DeepInfra.
  {
    input: "metadata.pricing.input_tokens",
    output: "metadata.pricing.output_tokens",
    cachedInput: "metadata.pricing.cache_read_tokens",
    type: "number",
    usdPer: "million tokens",
    isZeroUnknown: true
  },
  // LiteLLM.
  {
    input: "model_info.input_cost_per_token",
    output: "model_info.output_cost_per_token",
    cachedInput: "model_info.cache_read_input_token_cost",
    cacheWrite: "model_info.cache_creation_input_token_cost",
    reasoning: "model_info.output_cost_per_reasoning_token",
    audioInput: "model_info.input_cost_per_audio_token",
    type: "number",
    usdPer: "token",
    isZeroUnknown: true
  },
  // Conduit.
  {
    input: "conduit.input_usd_per_mtok",
    output: "conduit.output_usd_per_mtok",
    type: "number",
    usdPer: "million tokens",
    isZeroUnknown: false
  }
]

/** Dearer than any model by far: a price in another unit. */
const mostUsdPerMTok = 10_000

/** USD per million tokens; null for what is no price, such as -1. */
const rateAt = (item: JsonObject, { type, usdPer }: PriceForm, path: string | undefined): number | null => {
  const value = path === undefined ? undefined : at(item, path)
  if (typeof value !== type || value === "") return null
  // 0.15 USD in a million is 1.5e-7 each: the product has digits of the machine's own behind it.
  const usdPerMTok = usdPer === "token" ? Number((Number(value) * 1e6).toPrecision(12)) : Number(value)
  return usdPerMTok >= 0 && usdPerMTok <= mostUsdPerMTok ? usdPerMTok : null
}

const priceIn = (item: JsonObject, form: PriceForm): ListedModel["price"] => {
  const rate = (path: string | undefined) => rateAt(item, form, path)
  const inputUsdPerMTok = rate(form.input)
  const outputUsdPerMTok = rate(form.output)
  if (inputUsdPerMTok === null || outputUsdPerMTok === null) return null
  if (form.isZeroUnknown && inputUsdPerMTok === 0 && outputUsdPerMTok === 0) return null
  const request = form.request === undefined ? undefined : at(item, form.request)
  if (Number(request ?? 0) !== 0) return null
  /** Of the rarer kinds 0 is written for what the model has not. */
  const rarer = (path: string | undefined) => rate(path) || null
  return {
    inputUsdPerMTok,
    outputUsdPerMTok,
    moreRates: {
      ...noMoreRates,
      cachedInputUsdPerMTok: rarer(form.cachedInput),
      cacheWriteUsdPerMTok: rarer(form.cacheWrite),
      reasoningUsdPerMTok: rarer(form.reasoning),
      audioInputUsdPerMTok: rarer(form.audioInput)
    }
  }
}

const priceOf = (item: JsonObject): ListedModel["price"] => {
  for (const form of priceForms) {
    const price = priceIn(item, form)
    if (price !== null) return price
  }
  return null
}

const dateOf = (value: unknown): number | null => {
  const millis = typeof value === "string" ? Date.parse(value) : Number.NaN
  return Number.isNaN(millis) ? null : millis
}

const retirementOf = (item: JsonObject, nowMillis: number): Retirement | null => {
  const replacement = first(item, ["deprecation_replacement_model"], textOf)
  // Groq; Mistral of fine-tuned models.
  if (item["active"] === false || item["archived"] === true) return { state: "retired", atMillis: null, replacement }
  const expires = dateOf(item["expiration_date"])
  if (expires !== null)
    return { state: expires <= nowMillis ? "retired" : "deprecated", atMillis: expires, replacement }
  const deprecated = dateOf(item["deprecation"])
  return deprecated === null ? null : { state: "deprecated", atMillis: deprecated, replacement }
}

/** `data` as OpenAI has it, `models` as LM Studio and Ollama have, or the list itself as Together has. Null if it is none. */
const itemsOf = (body: unknown): ReadonlyArray<JsonObject> | null => {
  const list = isObject(body) ? (body["data"] ?? body["models"]) : body
  return Array.isArray(list) ? arrayOf(list).filter(isObject) : null
}

const namesOf = (item: JsonObject): ReadonlyArray<string> => {
  const id = first(item, ["id", "model_name", "key", "name"], textOf)
  if (id === null) return []
  // Google's are called with and without the prefix.
  return [id, ...(id.startsWith("models/") ? [id.slice("models/".length)] : [])]
}

/** Reads a list of models, in whatever form its upstream has it; null if it is none. */
export const readModelList = (text: string, nowMillis: number): ModelList | null => {
  const items = itemsOf(parseJson(text))
  if (items === null) return null
  const list = new Map<string, ListedModel>()
  const aliases = new Map<string, ListedModel>()
  for (const item of items) {
    const model: ListedModel = {
      contextWindow: first(item, windowPaths, tokensOf),
      maxOutputTokens: first(item, outputPaths, tokensOf),
      capabilities: capabilitiesOf(item),
      price: priceOf(item),
      retirement: retirementOf(item, nowMillis)
    }
    for (const name of namesOf(item)) if (!list.has(name)) list.set(name, model)
    for (const alias of arrayOf(item["aliases"])) if (typeof alias === "string") aliases.set(alias, model)
  }
  for (const [alias, model] of aliases) if (!list.has(alias)) list.set(alias, model)
  return list
}

const dayOf = (millis: number): string => new Date(millis).toISOString().slice(0, 10)

/** For people, behind the name of the model: `is retired since 2026-08-01; its provider recommends x`. */
export const retirementText = ({ atMillis, replacement, state }: Retirement, nowMillis: number): string => {
  const instead = replacement === null ? "" : `; its provider recommends ${replacement.slice(0, 100)}`
  if (atMillis === null) return `is ${state}${instead}`
  return atMillis > nowMillis
    ? `ends on ${dayOf(atMillis)}${instead}`
    : `is ${state} since ${dayOf(atMillis)}${instead}`
}
