import { readFile } from "node:fs/promises"
import { basename } from "node:path"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { costReferenceUsd } from "../../domain/routing/Cost.ts"
import { ModelId } from "../../domain/basics/Ids.ts"
import { type Abilities, type Ability, capabilities, type Capability } from "../../domain/routing/Capability.ts"
import { familyOf } from "../../domain/routing/ModelFamilies.ts"
import type { Model, SilenceLimits } from "../../domain/routing/Model.ts"
import { simulatedModels } from "../../domain/simulation/SimulatedModel.ts"
import { Environment } from "../../services/running/Environment.ts"
import { type Catalog, ModelCatalog, type Provider } from "../../services/models/ModelCatalog.ts"
import { InvalidSettings, Settings, type SettingsShape } from "../../services/running/Settings.ts"
import * as ShippedPrices from "./ShippedPrices.ts"
import { CatalogListeners } from "./CatalogListeners.ts"
import { changesBetween } from "./Changes.ts"
import { type ConfigFile, parseConfigFile, timeoutMillis } from "./ConfigFile.ts"
import { moreRatesOf, withShippedPrice } from "./ConfiguredPrices.ts"
import { apiKeyOf, baseUrlOf, fill } from "./ProviderValues.ts"

/** The models of `conduit.yaml`; or, labelled as such, the simulated ones. Never both. */
export const layer: Layer.Layer<ModelCatalog, InvalidSettings, Settings | Environment> = Layer.effect(
  ModelCatalog,
  Effect.gen(function* () {
    const settings = yield* Settings
    const { variables } = yield* Environment
    const read = readCatalog(settings, variables)
    const oneAtATime = yield* Effect.makeSemaphore(1)
    const listeners = new CatalogListeners()
    let current = yield* read

    const reload = Effect.gen(function* () {
      const next = yield* read
      if (isSimulated(next) !== isSimulated(current)) return yield* switched(next)
      const changes = changesBetween(current, next)
      current = next
      yield* listeners.tell(next)
      for (const notice of next.notices) yield* Effect.logWarning(notice)
      yield* Effect.logInfo(
        changes.length === 0
          ? "the configuration was read again: nothing changed"
          : `the configuration was read again: ${changes.join("; ")}`
      )
      return next
    }).pipe(
      Effect.tapError((error) =>
        Effect.logError(`the configuration was read again and is not used, the one before it stays: ${error.message}`)
      )
    )
    return ModelCatalog.of({
      current: () => current,
      onChange: (made) => listeners.add(made, () => current),
      reload: oneAtATime.withPermits(1)(reload)
    })
  })
)

const isSimulated = ({ models }: Catalog) => models.some((model) => model.simulated)

const switched = (next: Catalog) =>
  new InvalidSettings({
    problems: [
      isSimulated(next)
        ? "without a usable model simulated ones would answer: a reload does not switch to them; complete the configuration, or restart the service"
        : "the models are simulated, and a reload does not switch to configured ones: restart the service"
    ]
  })

/** A file system that does not answer must not hold up the next reload for ever. */
const readLimit = Duration.seconds(10)

/** What the file and the environment say now. */
const readCatalog = (settings: SettingsShape, variables: ReadonlyMap<string, string>) =>
  Effect.gen(function* () {
    const file = yield* readConfig(settings.models.configFile)
    const configured = configuredModels(file.content, variables, file.name)
    if (configured.problems.length > 0) {
      return yield* new InvalidSettings({ problems: configured.problems.map((problem) => `${file.name}: ${problem}`) })
    }
    const policy = {
      algorithm: file.content.policy?.algorithm ?? ("auto" as const),
      preference: file.content.policy?.preference ?? ("balanced" as const)
    }
    const usable = configured.models.filter((model) => model.unavailable === null)
    const simulate = Option.getOrElse(settings.models.simulate, () => !settings.production && usable.length === 0)
    if (simulate) {
      const why = Option.isSome(settings.models.simulate) ? "CONDUIT_SIMULATE=true" : "no model is usable"
      return catalogOf(
        simulatedModels,
        simulatedProviders,
        policy,
        [
          ...configured.notices,
          `${why}: simulated models answer, ${simulatedModels.map((model) => model.id).join(", ")}`
        ],
        "simulated"
      )
    }
    if (usable.length === 0) {
      return yield* new InvalidSettings({
        problems: [
          `${file.name}: no model is usable${configured.notices.map((notice) => `; ${notice}`).join("")}: ${file.found ? "complete it" : "write one (conduit.example.yaml shows how), or name one by CONDUIT_CONFIG"}, or set CONDUIT_SIMULATE=true`
        ]
      })
    }
    const { models, notices, providers } = configured
    const isPriced = (model: Model) => model.inputUsdPerMTok !== null || model.outputUsdPerMTok !== null
    if (models.every(isPriced)) return catalogOf(models, providers, policy, notices, file.name)
    const shippedPrice = yield* ShippedPrices.load
    const priced = models.map((model) => (isPriced(model) ? model : withShippedPrice(model, providers, shippedPrice)))
    return catalogOf(priced, providers, policy, notices, file.name, shippedPrice)
  })

const simulatedProviders: ReadonlyMap<string, Provider> = new Map(
  simulatedModels.map((model) => [
    model.provider,
    { name: model.provider, kind: "simulated", baseUrl: "", apiKey: null, streamUsage: true, missing: [] }
  ])
)

const catalogOf = (
  models: ReadonlyArray<Model>,
  providers: ReadonlyMap<string, Provider>,
  policy: Catalog["policy"],
  notices: ReadonlyArray<string>,
  source: string,
  shippedPrice: ShippedPrices.ShippedPrices = () => null
): Catalog => ({
  models,
  byId: new Map(models.map((model) => [model.id, model])),
  providers,
  policy,
  costReferenceUsd: costReferenceUsd(models.filter((model) => model.unavailable === null)),
  source,
  shippedPrice,
  notices
})

const readConfig = Effect.fnUntraced(function* (named: Option.Option<string>) {
  const path = Option.getOrElse(named, () => "conduit.yaml")
  const name = basename(path)
  const text = yield* Effect.tryPromise({
    try: () => readFile(path, "utf8"),
    catch: (cause) => (cause instanceof Error && "code" in cause ? String(cause.code) : "unreadable")
  }).pipe(
    Effect.disconnect,
    Effect.timeoutFail({ duration: readLimit, onTimeout: () => `no answer for ${Duration.toSeconds(readLimit)} s` }),
    Effect.asSome,
    Effect.catchAll((code) =>
      code === "ENOENT" && Option.isNone(named)
        ? Effect.succeedNone
        : new InvalidSettings({
            problems: [
              `CONDUIT_CONFIG: ${JSON.stringify(path)} cannot be read (${code}): name a file that exists, for example conduit.yaml`
            ]
          })
    )
  )
  if (Option.isNone(text)) return { name, found: false, content: {} as ConfigFile }
  const content = parseConfigFile(text.value)
  if (Either.isLeft(content)) {
    return yield* new InvalidSettings({ problems: content.left.map((problem) => `${name}: ${problem}`) })
  }
  return { name, found: true, content: content.right }
})

/** What the file says once the environment is filled in; what lacks a variable is left out with a notice. */
const configuredModels = (file: ConfigFile, variables: ReadonlyMap<string, string>, fileName: string) => {
  const problems: Array<string> = []
  const notices: Array<string> = []
  const providers = new Map<string, Provider>()
  const leftOut = new Map<string, string>()

  for (const [name, entry] of Object.entries(file.providers ?? {})) {
    const baseUrl = fill(entry.baseUrl, variables)
    const apiKey = fill(entry.apiKey ?? "", variables)
    const address = baseUrlOf(baseUrl.text)
    const key = apiKeyOf(apiKey.text)
    const missing = [...new Set([...baseUrl.missing, ...apiKey.missing])]
    if (missing.length > 0) {
      const reason = `${missing.join(", ")} ${missing.length === 1 ? "is" : "are"} not set`
      leftOut.set(name, reason)
      notices.push(`provider ${name} is left out: ${reason}`)
    } else {
      for (const [field, value] of Object.entries({ baseUrl: address, apiKey: key })) {
        if (Either.isLeft(value)) {
          problems.push(`providers.${name}.${field}: its value (not shown) is not right: ${value.left}`)
        }
      }
    }
    providers.set(name, {
      name,
      kind: entry.kind,
      baseUrl: Either.getOrElse(address, () => ""),
      apiKey: Either.match(key, {
        onLeft: () => null,
        onRight: (text) => (text === null ? null : Redacted.make(text))
      }),
      streamUsage: entry.streamUsage ?? true,
      missing
    })
  }

  const seen = new Set<string>()
  const models = (file.models ?? []).map((entry, i): Model => {
    if (seen.has(entry.id)) problems.push(`models[${i}].id: ${JSON.stringify(entry.id)} is there twice: ids are unique`)
    seen.add(entry.id)
    if (!providers.has(entry.provider)) {
      problems.push(
        `models[${i}].provider: ${JSON.stringify(entry.provider)} is not under providers: there are ${[...providers.keys()].join(", ") || "none"}`
      )
    }
    if (entry.priorSd !== undefined && entry.priorQuality === undefined) {
      problems.push(`models[${i}].priorSd: there is no priorQuality that it could be the deviation of`)
    }
    const family = familyOf(entry.upstream ?? entry.id)
    const priced = entry.inputUsdPerMTok !== undefined || entry.outputUsdPerMTok !== undefined
    return {
      id: ModelId(entry.id),
      provider: entry.provider,
      upstream: entry.upstream ?? entry.id,
      inputUsdPerMTok: entry.inputUsdPerMTok ?? null,
      outputUsdPerMTok: entry.outputUsdPerMTok ?? null,
      moreRates: moreRatesOf(entry),
      priceSource: priced ? fileName : null,
      contextWindow: entry.contextWindow ?? family?.contextWindow ?? null,
      maxOutputTokens: entry.maxOutputTokens ?? family?.maxOutputTokens ?? null,
      abilities: {
        ...abilitiesOf(family?.capabilities ?? {}, "families"),
        ...abilitiesOf(entry.capabilities ?? {}, "configuration")
      },
      dialect: { ...family?.dialect, ...entry.dialect },
      timeouts: timeoutsOf(entry, file.providers?.[entry.provider]),
      priorQuality: entry.priorQuality ?? null,
      ...(entry.priorSd === undefined ? {} : { priorSd: entry.priorSd }),
      unavailable: entry.disabled === true ? `disabled in ${fileName}` : (leftOut.get(entry.provider) ?? null),
      simulated: false
    }
  })
  return { problems, notices, providers, models }
}

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

const abilitiesOf = (said: { readonly [C in Capability]?: boolean }, source: Ability["source"]): Abilities =>
  Object.fromEntries(
    capabilities.flatMap((name) => {
      const can = said[name]
      return can === undefined ? [] : [[name, { can, source }]]
    })
  )
