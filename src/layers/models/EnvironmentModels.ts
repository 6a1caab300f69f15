import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import { ModelId } from "../../domain/basics/Ids.ts"
import type { ModelList } from "../../domain/models/ModelList.ts"
import {
  chatModels,
  chosenModels,
  type Preset,
  presetAddress,
  presetKey,
  type PresetName,
  presetOf,
  presetsIn,
  unmeantIn
} from "../../domain/models/Presets.ts"
import { capabilities } from "../../domain/routing/Capability.ts"
import { EnvironmentModels, type EnvironmentModelsFound, type Offer } from "../../services/models/EnvironmentModels.ts"
import { Environment } from "../../services/running/Environment.ts"
import { Settings, type SettingsShape } from "../../services/running/Settings.ts"
import { configuredFrom, modelsFrom } from "./CatalogModels.ts"
import { isListing, listOf } from "./ModelLists.ts"
import { apiKeyOf, baseUrlOf } from "./ProviderValues.ts"
import * as ShippedPrices from "./ShippedPrices.ts"
import { upstreamOf } from "./UpstreamPools.ts"

/** Of one provider, and of all together. */
const mostOfOne = 4
const mostOfAll = 12
/** The start waits for it. */
const listLimit = Duration.seconds(5)

const mostEach = (providers: number) => Math.max(1, Math.min(mostOfOne, Math.floor(mostOfAll / providers)))

/** What the environment says of the providers that it names, without asking anybody. */
const providersOf = (names: ReadonlyArray<PresetName>) =>
  Object.fromEntries(names.map((name) => [name, { preset: name }]))

/** A configuration of the providers that the environment has keys for, with the models that they list. */
export const environmentModels = (
  models: SettingsShape["models"],
  variables: ReadonlyMap<string, string>
): Effect.Effect<EnvironmentModelsFound> =>
  Effect.gen(function* () {
    const named = presetsIn(variables)
    const wrong = named.flatMap((name) => problemOf(name, variables))
    const names = named.filter((name) => problemOf(name, variables).length === 0)
    const { providers } = configuredFrom({ providers: providersOf(names) }, variables, "the environment")
    const asks = !Duration.equals(models.listInterval, Duration.zero)
    const found = yield* Effect.forEach(
      names,
      (name) => {
        const provider = providers.get(name)
        const isAsked = asks && provider !== undefined && isListing(provider) && presetOf(name).modelsIn === undefined
        return Effect.map(isAsked ? Effect.either(askedOnce(provider, models)) : notAsked, (list) =>
          chosen(name, list, variables, mostEach(names.length))
        )
      },
      { concurrency: 4 }
    )
    const seen = new Set<string>()
    return {
      content: {
        providers: providersOf(
          names.filter((name) => found.some((one) => one.name === name && one.upstreams.length > 0))
        ),
        models: found.flatMap(({ name, upstreams }) => upstreams.map((upstream) => entryOf(name, upstream, seen)))
      },
      notices: [...wrong, ...unmeantIn(variables), ...found.map(({ notice }) => notice)],
      presets: names
    }
  })

export const layer: Layer.Layer<EnvironmentModels, never, Settings | Environment> = Layer.effect(
  EnvironmentModels,
  Effect.gen(function* () {
    const { models } = yield* Settings
    const { variables } = yield* Environment
    return EnvironmentModels.of({
      found: environmentModels(models, variables),
      offered: (name, more) => offered(models, name, new Map([...variables, ...more]))
    })
  })
)

/** What one provider offers for chats, whatever else the environment names. */
const offered = Effect.fnUntraced(function* (
  models: SettingsShape["models"],
  name: PresetName,
  variables: ReadonlyMap<string, string>
): Effect.fn.Return<Offer> {
  const preset = presetOf(name)
  const { url } = presetAddress(preset, variables)
  const [wrong = null] = problemOf(name, variables)
  if (wrong !== null) return { baseUrl: url, models: [], problem: wrong }
  const providers = providersOf([name])
  const provider = configuredFrom({ providers }, variables, "the environment").providers.get(name)
  const isAsked = provider !== undefined && isListing(provider) && preset.modelsIn === undefined
  const asked = isAsked ? yield* Effect.either(askedOnce(provider, models)) : Either.right(null)
  const list = Either.getOrElse(asked, () => null)
  const usual = chosenModels(preset, list, variables, mostOfOne)
  const upstreams = [...new Set([...usual, ...(list === null ? preset.models : chatModels(list))])]
  const entries = upstreams.map((upstream) => entryOf(name, upstream, new Set()))
  const shippedPrice = yield* ShippedPrices.load
  const nowMillis = yield* Clock.currentTimeMillis
  const lists = list === null ? new Map<string, ModelList>() : new Map([[name, list]])
  const configured = configuredFrom({ providers, models: entries }, variables, "the environment")
  return {
    baseUrl: url,
    problem: Either.match(asked, { onLeft: (why) => why, onRight: () => null }),
    models: modelsFrom(configured, { lists, shippedPrice, nowMillis }).map((model) => ({
      upstream: model.upstream,
      isUsual: usual.includes(model.upstream),
      inputUsdPerMTok: model.inputUsdPerMTok,
      outputUsdPerMTok: model.outputUsdPerMTok,
      contextWindow: model.contextWindow,
      can: capabilities.filter((capability) => model.abilities[capability]?.can === true)
    }))
  }
})

/** Values may hold secrets and are not shown. */
const problemOf = (name: PresetName, variables: ReadonlyMap<string, string>): ReadonlyArray<string> => {
  const preset = presetOf(name)
  const address = baseUrlOf(presetAddress(preset, variables).url)
  const key = apiKeyOf(presetKey(preset, variables).key)
  const wrong = (variable: string, right: string) =>
    `${preset.title} is left out: the value of ${variable} (not shown) is not right: ${right}`
  return [
    ...(Either.isLeft(address) ? [wrong(preset.address.variable, address.left)] : []),
    ...(Either.isLeft(key) ? [wrong(namedBy(preset, variables), key.left)] : [])
  ]
}

const notAsked: Effect.Effect<Either.Either<ModelList | null, string>> = Effect.succeed(
  Either.left("no list is asked for")
)

const askedOnce = (provider: Parameters<typeof listOf>[0], models: SettingsShape["models"]) =>
  Effect.acquireUseRelease(
    Effect.sync(() => upstreamOf(new URL(provider.baseUrl).origin, models)),
    ({ dispatcher }) =>
      listOf(provider, dispatcher).pipe(
        Effect.timeoutFail({
          duration: listLimit,
          onTimeout: () => `no answer within ${Duration.toSeconds(listLimit)} s`
        })
      ),
    ({ destroy }) => Effect.promise(() => destroy().catch(() => undefined))
  )

interface Chosen {
  readonly name: PresetName
  readonly upstreams: ReadonlyArray<string>
  readonly notice: string
}

const chosen = (
  name: PresetName,
  asked: Either.Either<ModelList | null, string>,
  variables: ReadonlyMap<string, string>,
  most: number
): Chosen => {
  const preset = presetOf(name)
  const list = Either.getOrElse(asked, () => null)
  const upstreams = chosenModels(preset, list, variables, most)
  const why = whyOf(preset, asked, list)
  const notice =
    upstreams.length === 0
      ? `${preset.title} is left out, ${namedBy(preset, variables)} is set and no model known: ${preset.modelsIn === undefined ? why : `set ${preset.modelsIn}`}`
      : `${preset.title} answers, as ${namedBy(preset, variables)} is set, by ${upstreams.join(", ")} (${why})`
  return { name, upstreams, notice }
}

const namedBy = ({ address, keys }: Preset, variables: ReadonlyMap<string, string>): string =>
  keys.find((key) => variables.has(key)) ?? address.variable

const whyOf = (
  { modelsIn }: Preset,
  asked: Either.Either<ModelList | null, string>,
  list: ModelList | null
): string => {
  if (modelsIn !== undefined) return `of ${modelsIn}`
  if (Either.isLeft(asked)) return `not compared with its list: ${asked.left}`
  return list === null ? "it has no list" : `of the ${list.size} that it lists`
}

/** Two providers may serve a model of one name: then the later one is called with its provider's before it. */
const entryOf = (provider: PresetName, upstream: string, seen: Set<string>) => {
  const id = seen.has(upstream) ? `${provider}/${upstream}` : upstream
  seen.add(id)
  return {
    id: ModelId(id),
    provider,
    ...(id === upstream ? {} : { upstream }),
    ...(presetOf(provider).isFree === true ? { inputUsdPerMTok: 0, outputUsdPerMTok: 0 } : {})
  }
}
