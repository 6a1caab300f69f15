import { arrayOf, isObject, type JsonObject, textOf } from "./Json.ts"
import { type PresetName, presetOf } from "./Presets.ts"
import type { ProviderKind } from "./ProviderKind.ts"

// LiteLLM's config.yaml as a conduit.yaml. https://docs.litellm.ai/docs/proxy/config_settings

/** What stands before a model's name there, and who that is here. */
const vendors: Readonly<Record<string, PresetName>> = {
  anthropic: "anthropic",
  azure: "azure",
  bedrock: "bedrock",
  cohere: "cohere",
  cohere_chat: "cohere",
  deepseek: "deepseek",
  gemini: "google",
  groq: "groq",
  hosted_vllm: "vllm",
  huggingface: "huggingface",
  lm_studio: "lmstudio",
  mistral: "mistral",
  ollama: "ollama",
  ollama_chat: "ollama",
  openai: "openai",
  openrouter: "openrouter",
  text_completion_openai: "openai",
  together_ai: "together",
  xai: "xai"
}

/** Prices of a token there, of a million here. */
const prices = {
  input_cost_per_token: "inputUsdPerMTok",
  output_cost_per_token: "outputUsdPerMTok",
  cache_read_input_token_cost: "cachedInputUsdPerMTok",
  cache_creation_input_token_cost: "cacheWriteUsdPerMTok",
  output_cost_per_reasoning_token: "reasoningUsdPerMTok",
  input_cost_per_audio_token: "audioInputUsdPerMTok",
  output_cost_per_audio_token: "audioOutputUsdPerMTok"
} as const

const abilities = {
  supports_vision: "vision",
  supports_audio_input: "audio",
  supports_pdf_input: "files",
  supports_function_calling: "tools",
  supports_response_schema: "json_schema",
  supports_reasoning: "reasoning"
} as const

/** Of a deployment: what is read of it. */
const readParams: ReadonlySet<string> = new Set([
  "model",
  "api_key",
  "api_base",
  "base_url",
  "stream_timeout",
  ...Object.keys(prices)
])

/** What Conduit does by itself, or by something else, where LiteLLM has a setting. */
const elsewhere: Readonly<Record<string, string>> = {
  "litellm_params.rpm": "limits of a provider are read from its answers; those of a caller belong to its key",
  "litellm_params.tpm": "limits of a provider are read from its answers; those of a caller belong to its key",
  "litellm_params.max_budget": "budgets belong to keys",
  "litellm_params.timeout":
    "CONDUIT_REQUEST_TIMEOUT is for all requests; a model may have firstByteTimeout and idleTimeout",
  "litellm_params.max_retries": "another model is tried instead",
  "litellm_params.weight": "shares follow from what is learned",
  "litellm_params.order": "the order of models decides while learning cannot",
  "litellm_settings.drop_params": "fields that a model does not take are left out by its dialect",
  "litellm_settings.num_retries": "another model is tried instead",
  "litellm_settings.request_timeout": "CONDUIT_REQUEST_TIMEOUT",
  "litellm_settings.callbacks": "traces and metrics go out by OTLP (OTEL_EXPORTER_OTLP_ENDPOINT)",
  "litellm_settings.success_callback": "traces and metrics go out by OTLP (OTEL_EXPORTER_OTLP_ENDPOINT)",
  "litellm_settings.failure_callback": "traces and metrics go out by OTLP (OTEL_EXPORTER_OTLP_ENDPOINT)",
  "litellm_settings.context_window_fallbacks": "a request goes to models whose window it fits",
  "litellm_settings.content_policy_fallbacks": "policy.passesOnRefusals",
  "router_settings.routing_strategy": "policy.algorithm and policy.preference",
  "router_settings.num_retries": "another model is tried instead",
  "router_settings.allowed_fails": "circuits open by themselves",
  "router_settings.cooldown_time": "circuits open by themselves",
  "router_settings.redis_host": "REDIS_URL",
  "router_settings.redis_password": "REDIS_URL",
  "router_settings.redis_port": "REDIS_URL",
  "general_settings.master_key": "CONDUIT_API_KEYS",
  "general_settings.database_url": "DATABASE_URL, of a database of its own",
  environment_variables: "the environment"
}

export interface Imported {
  /** As `conduit.yaml` has it. */
  readonly file: JsonObject
  /** What has no counterpart, or another one, a line each. */
  readonly notes: ReadonlyArray<string>
}

interface Deployment {
  /** The name that callers use. */
  readonly name: string
  readonly upstream: string
  readonly provider: string
  readonly more: JsonObject
}

/** Null if it has no list of models. */
export const fromLiteLlm = (content: unknown): Imported | null => {
  if (!isObject(content) || !Array.isArray(content["model_list"])) return null
  const importing = new Importing()
  const deployments = arrayOf(content["model_list"]).flatMap((entry, i) => importing.deployment(entry, i))
  const [router, settings] = [objectOf(content["router_settings"]), objectOf(content["litellm_settings"])]
  const fallbacks = new Map<string, ReadonlyArray<string>>()
  for (const one of [...arrayOf(settings["fallbacks"]), ...arrayOf(router["fallbacks"])]) {
    for (const [name, others] of Object.entries(objectOf(one))) fallbacks.set(name, textsOf(others))
  }
  const named = namedModels(deployments, fallbacks)
  importing.aliases(named, objectOf(router["model_group_alias"]))
  for (const [name, others] of fallbacks) importing.fallback(named, name, others)
  importing.rest(content)
  const aliases = Object.fromEntries(named.aliases)
  return {
    file: {
      providers: Object.fromEntries(importing.providers),
      models: named.models,
      ...(named.aliases.size === 0 ? {} : { aliases })
    },
    notes: importing.notes
  }
}

const objectOf = (value: unknown): JsonObject => (isObject(value) ? value : {})
const textsOf = (value: unknown): ReadonlyArray<string> => arrayOf(value).flatMap((one) => textOf(one) ?? [])

interface Named {
  readonly models: Array<JsonObject>
  readonly aliases: Map<string, JsonObject>
  /** By the name that callers use. */
  readonly ids: Map<string, ReadonlyArray<string>>
}

/** A name of one deployment is its id. One of several, or with fallbacks, is an alias: ids are then those of the upstream. */
const namedModels = (
  deployments: ReadonlyArray<Deployment>,
  fallbacks: ReadonlyMap<string, ReadonlyArray<string>>
): Named => {
  const names = new Set(deployments.map(({ name }) => name))
  const isGroup = (name: string) =>
    fallbacks.has(name) || deployments.filter((deployment) => deployment.name === name).length > 1
  const models: Array<JsonObject> = []
  const ids = new Map<string, ReadonlyArray<string>>()
  const taken = new Set<string>(names)
  const free = (wanted: string): string => {
    for (let n = 1; ; n++) {
      const id = n === 1 ? wanted : `${wanted}-${n}`
      if (!taken.has(id)) return id
    }
  }
  for (const { more, name, provider, upstream } of deployments) {
    const id = isGroup(name) ? free(`${provider}/${upstream}`) : name
    taken.add(id)
    ids.set(name, [...(ids.get(name) ?? []), id])
    models.push({ id, provider, ...(id === upstream ? {} : { upstream }), ...more })
  }
  const groups = [...names].filter(isGroup)
  return { models, ids, aliases: new Map(groups.map((name) => [name, { models: ids.get(name) ?? [] }])) }
}

/** What LiteLLM's models are for that have a place here. */
const modes: Readonly<Record<string, true>> = { chat: true, completion: true, responses: true, embedding: true }

const environmentForm = /^os\.environ\/([A-Za-z_][A-Za-z0-9_]*)$/

/** A configuration while it is read. Whole, because what cannot be taken over is noted in one place. */
class Importing {
  readonly providers = new Map<string, JsonObject>()
  readonly notes: Array<string> = []

  deployment(given: unknown, i: number): ReadonlyArray<Deployment> {
    const entry = objectOf(given)
    const params = objectOf(entry["litellm_params"])
    const info = objectOf(entry["model_info"])
    const [name, model] = [textOf(entry["model_name"]), textOf(params["model"])]
    const where = `model_list[${i}]${name === null ? "" : ` (${name})`}`
    if (name === null || model === null) return this.#left(where, "it has no model_name or no litellm_params.model")
    if (`${name}${model}`.includes("*")) return this.#left(where, "a name with * stands for no model: name each one")
    const slash = model.indexOf("/")
    const prefix = slash === -1 ? "openai" : model.slice(0, slash)
    const preset = Object.hasOwn(vendors, prefix) ? vendors[prefix] : undefined
    if (preset === undefined) return this.#left(where, `${prefix} is none of the providers that are known here`)
    const mode = textOf(info["mode"])
    if (mode !== null && !Object.hasOwn(modes, mode)) return this.#left(where, `it is for ${mode}`)
    const upstream = slash === -1 ? model : model.slice(slash + 1)
    for (const key of Object.keys(params)) if (!readParams.has(key)) this.#note(`${where}: `, `litellm_params.${key}`)
    return [
      {
        name,
        upstream,
        provider: this.#provider(preset, params, where, mode === "responses" ? "openai-responses" : null),
        // Vectors of equal models can be compared; of which others besides, nobody says there.
        more: { ...moreOf(params, info), ...(mode === "embedding" ? { embeddings: { space: upstream } } : {}) }
      }
    ]
  }

  aliases({ aliases, ids }: Named, groups: JsonObject): void {
    for (const [name, target] of Object.entries(groups)) {
      const to = textOf(isObject(target) ? target["model"] : target)
      const models = to === null ? undefined : ids.get(to)
      if (models === undefined || ids.has(name))
        this.#left(`router_settings.model_group_alias.${name}`, "no model has it")
      else aliases.set(name, models.length === 1 ? { model: models[0] } : { models })
    }
  }

  fallback({ aliases, ids }: Named, name: string, others: ReadonlyArray<string>): void {
    const own = ids.get(name)
    if (own === undefined) return void this.#left(`fallbacks of ${name}`, "no model has this name")
    const models = new Set([...own, ...others.flatMap((other) => ids.get(other) ?? [])])
    aliases.set(name, { models: [...models] })
    this.notes.push(
      `fallbacks of ${name}: all of them are allowed models of the alias, and what is learned orders them`
    )
  }

  /** Every other setting, by its path. */
  rest(content: JsonObject): void {
    const known = new Set([
      "model_list",
      "litellm_settings.fallbacks",
      "router_settings.fallbacks",
      "router_settings.model_group_alias"
    ])
    for (const [section, value] of Object.entries(content)) {
      const paths =
        isObject(value) && section !== "environment_variables"
          ? Object.keys(value).map((key) => `${section}.${key}`)
          : [section]
      for (const path of paths) if (!known.has(path)) this.#note("", path)
    }
  }

  #left(where: string, why: string): ReadonlyArray<Deployment> {
    this.notes.push(`${where} is left out: ${why}`)
    return []
  }

  #note(before: string, path: string): void {
    const instead = Object.hasOwn(elsewhere, path) ? elsewhere[path] : undefined
    this.notes.push(`${before}${path}: ${instead === undefined ? "has no counterpart" : `here ${instead}`}`)
  }

  /** One provider for each address and key. */
  #provider(preset: PresetName, params: JsonObject, where: string, kind: ProviderKind | null): string {
    const address = textOf(params["api_base"]) ?? textOf(params["base_url"])
    const key = textOf(params["api_key"])
    const variable = key === null ? null : (environmentForm.exec(key)?.[1] ?? null)
    const presetKey = presetOf(preset).keys[0]
    if (key !== null && variable === null) {
      this.notes.push(`${where}: its key is not copied: set ${presetKey ?? "a variable"} and name it as apiKey`)
    }
    const entry = {
      preset,
      ...(kind === null ? {} : { kind }),
      ...(address === null ? {} : { baseUrl: addressOf(preset, address) }),
      ...(variable === null || variable === presetKey ? {} : { apiKey: `\${${variable}}` })
    }
    for (let n = 1; ; n++) {
      const name = n === 1 ? preset : `${preset}-${n}`
      const known = this.providers.get(name)
      if (known === undefined) this.providers.set(name, entry)
      if (known === undefined || JSON.stringify(known) === JSON.stringify(entry)) return name
    }
  }
}

/** Providers whose address LiteLLM takes without what the operations stand under. */
const bareAddresses: ReadonlySet<PresetName> = new Set(["anthropic", "azure", "ollama"])

const addressOf = (preset: PresetName, text: string): string => {
  const address = text.replace(environmentForm, (_, name: string) => `\${${name}}`).replace(/\/+$/, "")
  const { suffix } = presetOf(preset).address
  return bareAddresses.has(preset) && !address.endsWith(suffix) ? `${address}${suffix}` : address
}

const numberOf = (value: unknown): number | null => {
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value
  return typeof number === "number" && Number.isFinite(number) ? number : null
}

const tokensOf = (value: unknown): number | null => {
  const number = numberOf(value)
  return number !== null && Number.isInteger(number) && number > 0 ? number : null
}

/** What a model says of itself beside its name. */
const moreOf = (params: JsonObject, info: JsonObject): JsonObject => {
  const more: Record<string, unknown> = {}
  for (const [theirs, ours] of Object.entries(prices)) {
    const usd = numberOf(params[theirs]) ?? numberOf(info[theirs])
    // 0.15 USD in a million is 1.5e-7 each: the product has digits of the machine's own behind it.
    if (usd !== null && usd >= 0) more[ours] = Number((usd * 1e6).toPrecision(12))
  }
  const window = tokensOf(info["max_input_tokens"])
  const longest = tokensOf(info["max_output_tokens"]) ?? tokensOf(info["max_tokens"])
  const firstByte = numberOf(params["stream_timeout"])
  const can = Object.entries(abilities).flatMap(([theirs, ours]) =>
    typeof info[theirs] === "boolean" ? [[ours, info[theirs]] as const] : []
  )
  if (window !== null) more["contextWindow"] = window
  if (longest !== null) more["maxOutputTokens"] = longest
  if (firstByte !== null && firstByte > 0) more["firstByteTimeout"] = `${firstByte} seconds`
  if (can.length > 0) more["capabilities"] = Object.fromEntries(can)
  return more
}
