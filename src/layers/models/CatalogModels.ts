import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import type { Alias } from "../../domain/routing/Alias.ts"
import { ModelId } from "../../domain/basics/Ids.ts"
import { type ListedModel, type ModelList, retirementText } from "../../domain/models/ModelList.ts"
import { amazonRegion, presetOf } from "../../domain/models/Presets.ts"
import { providerKinds } from "../../domain/models/ProviderKind.ts"
import { type Abilities, type Ability, capabilities, type Capability } from "../../domain/routing/Capability.ts"
import type { LimitSource, Model, SilenceLimits } from "../../domain/routing/Model.ts"
import { familyOf } from "../../domain/routing/ModelFamilies.ts"
import type { AmazonCredentials, Provider } from "../../services/models/ModelCatalog.ts"
import { type ConfigFile, timeoutMillis } from "./ConfigFile.ts"
import { configuredPrice, type ModelEntry, type Priced, shippedPriceOf } from "./CatalogPrices.ts"
import { addressIn, apiKeyOf, baseUrlOf, keyIn } from "./ProviderValues.ts"
import type { KeyFiles } from "./KeyFiles.ts"
import type * as ShippedPrices from "./ShippedPrices.ts"

/** The newest lists, by provider. */
export type ModelLists = ReadonlyMap<string, ModelList>

/** What the file says once the environment is filled in. */
export interface Configured {
  readonly fileName: string
  readonly file: ConfigFile
  /** What was left out and why. */
  readonly notices: ReadonlyArray<string>
  readonly providers: ReadonlyMap<string, Provider>
  readonly aliases: ReadonlyArray<Alias>
}

/** What lacks a variable is left out with a notice; the file has no problems (`parseConfigFile`). */
export const configuredFrom = (
  file: ConfigFile,
  variables: ReadonlyMap<string, string>,
  fileName: string,
  keyFiles: KeyFiles = new Map()
): Configured => {
  const notices: Array<string> = []
  const providers = new Map<string, Provider>()
  for (const [name, entry] of Object.entries(file.providers ?? {})) {
    const baseUrl = addressIn(entry, variables)
    const apiKey = keyIn(entry, variables, keyFiles.get(name))
    const preset = entry.preset === undefined ? null : presetOf(entry.preset)
    const address = baseUrlOf(baseUrl.text)
    const key = apiKeyOf(apiKey.text)
    const kind = entry.kind ?? preset?.kind ?? "openai-compatible"
    const amazon = kind === "bedrock" && apiKey.text === "" ? amazonIn(variables, address) : null
    const keyMissing = kind !== "bedrock" || apiKey.text !== "" ? apiKey.missing : amazon === null ? amazonKeys : []
    const missing = [...new Set([...baseUrl.missing, ...keyMissing])]
    if (missing.length > 0) notices.push(`provider ${name} is left out: ${notSet(missing)}`)
    providers.set(name, {
      name,
      kind,
      ...(preset === null || preset.pricedAt === null ? {} : { pricedAt: preset.pricedAt }),
      baseUrl: Either.getOrElse(address, () => ""),
      apiKey: Either.match(key, {
        onLeft: () => null,
        onRight: (text) => (text === null ? null : Redacted.make(text))
      }),
      ...(amazon === null ? {} : { amazon }),
      streamUsage: entry.streamUsage ?? true,
      modelList: entry.modelList === false ? null : (entry.modelList ?? providerKinds[kind].modelList),
      missing
    })
  }
  return { fileName, file, providers, aliases: aliasesFrom(file), notices }
}

/** One of them is needed: a key of Bedrock's own, or credentials that calls are signed by. */
const amazonKeys = ["AWS_BEARER_TOKEN_BEDROCK or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"]

const amazonIn = (
  variables: ReadonlyMap<string, string>,
  address: Either.Either<string, string>
): AmazonCredentials | null => {
  const accessKeyId = variables.get("AWS_ACCESS_KEY_ID")
  const secret = variables.get("AWS_SECRET_ACCESS_KEY")
  if (accessKeyId === undefined || secret === undefined) return null
  const session = variables.get("AWS_SESSION_TOKEN")
  // A signature is for the region of the address that it goes to.
  const named = /\/\/bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\./.exec(Either.getOrElse(address, () => ""))?.[1]
  return {
    accessKeyId,
    secretAccessKey: Redacted.make(secret),
    sessionToken: session === undefined ? null : Redacted.make(session),
    region: named ?? amazonRegion(variables)
  }
}

const aliasesFrom = ({ aliases = {} }: ConfigFile): ReadonlyArray<Alias> =>
  Object.entries(aliases).map(([name, { model = "auto", models = null, preference = null }]) => ({
    name,
    model: model === "auto" ? null : ModelId(model),
    models: models === null ? null : models.map((id) => ModelId(id)),
    preference
  }))

const notSet = (missing: ReadonlyArray<string>) =>
  `${missing.join(", ")} ${missing.length === 1 ? "is" : "are"} not set`

/** What is known besides the file. */
interface Known {
  readonly lists: ModelLists
  readonly shippedPrice: ShippedPrices.ShippedPrices
  readonly nowMillis: number
}

/** `conduit.yaml` over the provider's own list over what ships, value by value. */
export const modelsFrom = (configured: Configured, known: Known): ReadonlyArray<Model> => {
  const entries = configured.file.models ?? []
  const models = entries.map((entry) => modelOf(entry, configured, known, true))
  // What a list says of the end of a model never takes the last one away.
  return models.some(({ unavailable }) => unavailable === null)
    ? models
    : entries.map((entry) => modelOf(entry, configured, known, false))
}

const nothingListed: ListedModel = {
  contextWindow: null,
  maxOutputTokens: null,
  capabilities: {},
  price: null,
  retirement: null
}

const modelOf = (entry: ModelEntry, configured: Configured, known: Known, retires: boolean): Model => {
  const { file, fileName, providers } = configured
  const upstream = entry.upstream ?? entry.id
  const family = familyOf(upstream)
  const provider = providers.get(entry.provider)
  const listed = known.lists.get(entry.provider)?.get(upstream) ?? nothingListed
  const shipped = provider === undefined ? null : known.shippedPrice(provider, upstream, known.nowMillis)
  const contextWindow = nearest({
    configuration: entry.contextWindow,
    upstream: listed.contextWindow,
    families: family?.contextWindow,
    prices: shipped?.contextWindow
  })
  const maxOutputTokens = nearest({
    configuration: entry.maxOutputTokens,
    upstream: listed.maxOutputTokens,
    families: family?.maxOutputTokens
  })
  return {
    id: ModelId(entry.id),
    provider: entry.provider,
    upstream,
    ...priced(entry, priceOf(entry, configured, listed, shipped)),
    contextWindow: contextWindow.value,
    maxOutputTokens: maxOutputTokens.value,
    limitSources: { contextWindow: contextWindow.source, maxOutputTokens: maxOutputTokens.source },
    ...(listed.retirement === null ? {} : { retirement: listed.retirement }),
    abilities: {
      ...abilitiesOf(family?.capabilities ?? {}, "families"),
      ...abilitiesOf(listed.capabilities, "upstream"),
      ...abilitiesOf(entry.capabilities ?? {}, "configuration"),
      // What there are no words for nobody can say.
      ...(provider === undefined ? {} : unspeakable(provider))
    },
    dialect: { ...family?.dialect, ...entry.dialect },
    ...(entry.params === undefined ? {} : { params: entry.params }),
    timeouts: timeoutsOf(entry, file.providers?.[entry.provider]),
    priorQuality: entry.priorQuality ?? null,
    ...(entry.priorSd === undefined ? {} : { priorSd: entry.priorSd }),
    ...(entry.embeddings === undefined ? {} : { embeddings: entry.embeddings }),
    unavailable: unavailableOf(entry, provider, fileName) ?? (retires ? retiredOf(entry, listed, known) : null),
    simulated: false
  }
}

/** Of what is said about one value, what counts, by the order of the keys. */
const nearest = (said: {
  readonly [S in NonNullable<LimitSource>]?: number | null | undefined
}): { readonly value: number | null; readonly source: LimitSource } => {
  for (const source of ["configuration", "upstream", "families", "prices"] as const) {
    const value = said[source] ?? null
    if (value !== null) return { value, source }
  }
  return { value: null, source: null }
}

const priceOf = (
  entry: ModelEntry,
  { fileName }: Configured,
  listed: ListedModel,
  shipped: ReturnType<ShippedPrices.ShippedPrices>
): Priced =>
  configuredPrice(entry, fileName) ??
  (listed.price === null
    ? shippedPriceOf(entry, shipped)
    : { ...listed.price, priceSource: listSource(entry.provider) })

/** Vectors are no tokens: catalogues state no price of an output that there is none of. */
const priced = ({ embeddings }: ModelEntry, price: Priced): Priced =>
  embeddings === undefined || price.inputUsdPerMTok === null
    ? price
    : { ...price, outputUsdPerMTok: price.outputUsdPerMTok ?? 0 }

export const listSource = (provider: string): string => `models listed by ${provider}`

const unavailableOf = (entry: ModelEntry, provider: Provider | undefined, fileName: string): string | null => {
  if (entry.disabled === true) return `disabled in ${fileName}`
  return provider === undefined || provider.missing.length === 0 ? null : notSet(provider.missing)
}

const retiredOf = (entry: ModelEntry, { retirement }: ListedModel, { nowMillis }: Known): string | null =>
  retirement?.state !== "retired" || entry.disabled === false
    ? null
    : `its provider says that it ${retirementText(retirement, nowMillis)}`

interface TimeoutsEntry {
  readonly firstByteTimeout?: string | number
  readonly idleTimeout?: string | number
}

/** The model's own, else its provider's. */
const timeoutsOf = (model: TimeoutsEntry, provider: TimeoutsEntry = {}): SilenceLimits => {
  const firstByte = model.firstByteTimeout ?? provider.firstByteTimeout
  const idle = model.idleTimeout ?? provider.idleTimeout
  return {
    firstByteMs: firstByte === undefined ? null : timeoutMillis(firstByte),
    idleMs: idle === undefined ? null : timeoutMillis(idle)
  }
}

const unspeakable = ({ kind }: Provider): Abilities =>
  kind === "simulated"
    ? {}
    : Object.fromEntries(providerKinds[kind].lacks.map((name) => [name, { can: false, source: "protocol" as const }]))

const abilitiesOf = (said: { readonly [C in Capability]?: boolean }, source: Ability["source"]): Abilities =>
  Object.fromEntries(
    capabilities.flatMap((name) => {
      const can = said[name]
      return can === undefined ? [] : [[name, { can, source }]]
    })
  )
