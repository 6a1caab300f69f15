import { readFile } from "node:fs/promises"
import { basename, dirname } from "node:path"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type { JudgeSettings } from "../../domain/learning/Judging.ts"
import { costReferenceUsd } from "../../domain/routing/Cost.ts"
import type { Model } from "../../domain/routing/Model.ts"
import { simulatedModels } from "../../domain/simulation/SimulatedModel.ts"
import { type Catalog, ModelCatalog, type Provider } from "../../services/models/ModelCatalog.ts"
import type { EnvironmentModelsFound } from "../../services/models/EnvironmentModels.ts"
import * as EpisodeLog from "../../services/observing/EpisodeLog.ts"
import { Environment } from "../../services/running/Environment.ts"
import { InvalidSettings, Settings, type SettingsShape } from "../../services/running/Settings.ts"
import { configuredFrom, type ModelLists, modelsFrom } from "./CatalogModels.ts"
import { isPriced } from "./CatalogPrices.ts"
import { ModelId } from "../../domain/basics/Ids.ts"
import { type ConfigFile, parseConfigFile } from "./ConfigFile.ts"
import { CurrentCatalog, type ReadConfiguration } from "./CurrentCatalog.ts"
import { environmentModels } from "./EnvironmentModels.ts"
import { type ConfigPlace, isSame, type KeyFiles, readKeyFiles } from "./KeyFiles.ts"
import * as ShippedPrices from "./ShippedPrices.ts"

/** The models of `conduit.yaml`; or, labelled as such, the simulated ones. Never both. */
export const layer: Layer.Layer<ModelCatalog, InvalidSettings, Settings | Environment> = Layer.scoped(
  ModelCatalog,
  Effect.gen(function* () {
    const settings = yield* Settings
    const { variables } = yield* Environment
    const read = readCatalog(settings, variables)
    const catalog = new CurrentCatalog(yield* read, yield* Clock.currentTimeMillis)
    const oneAtATime = (yield* Effect.makeSemaphore(1)).withPermits(1)

    yield* Effect.forkScoped(Effect.forever(Effect.zipRight(untilNextMinute, oneAtATime(catalog.reprice))))

    // The file of a key changes where a secret is mounted, and nobody asks for a reload then.
    const trouble = EpisodeLog.make({
      began: (error: InvalidSettings) =>
        Effect.logError(`keys of providers stay as they were, until their files are right again: ${error.message}`),
      ended: () => Effect.logInfo("the files of the providers' keys are right again")
    })
    const rekey = catalog.rekey.pipe(
      Effect.zipRight(trouble.worked),
      Effect.catchAll((error) => trouble.failed(error))
    )
    yield* Effect.forkScoped(Effect.repeat(oneAtATime(rekey), Schedule.spaced(keyFilesInterval)))

    return ModelCatalog.of({
      current: () => catalog.current,
      onChange: (listener) => catalog.onChange(listener),
      reload: oneAtATime(catalog.reload(read)),
      listed: (provider, list) => oneAtATime(catalog.listed(provider, list))
    })
  })
)

/** A key that has changed counts at the latest after this. */
const keyFilesInterval = Duration.seconds(1)

/** A file system that does not answer must not hold up the next reload for ever. */
const readLimit = Duration.seconds(10)

const nothingShipped: ShippedPrices.ShippedPrices = () => null

const minuteMillis = 60_000
const untilNextMinute = Effect.flatMap(Clock.currentTimeMillis, (now) =>
  Effect.sleep(minuteMillis - (now % minuteMillis))
)
const isUsable = (model: Model) => model.unavailable === null

/** What the file and the environment say now. */
const readCatalog = (
  settings: SettingsShape,
  variables: ReadonlyMap<string, string>
): Effect.Effect<ReadConfiguration, InvalidSettings> =>
  Effect.gen(function* () {
    const file = yield* readConfig(settings.models.configFile, variables)
    const isSimulationStated = Option.getOrElse(settings.models.simulate, () => false)
    const keys = file.found || isSimulationStated ? null : yield* environmentModels(settings.models, variables)
    const whole = keys === null ? file : { ...file, content: keys.content }
    const readKeys = readKeyFiles(whole.content, whole, variables)
    const withKeys = (keyFiles: KeyFiles): Effect.Effect<ReadConfiguration, InvalidSettings> =>
      Effect.map(catalogFrom(settings, variables, whole, keys, keyFiles), (catalog) => ({
        catalog,
        rekeyed: Effect.flatMap(readKeys, (now) => (isSame(keyFiles, now) ? Effect.succeed(null) : withKeys(now)))
      }))
    return yield* Effect.flatMap(readKeys, withKeys)
  })

const catalogFrom = (
  settings: SettingsShape,
  variables: ReadonlyMap<string, string>,
  file: ReadFile,
  keys: EnvironmentModelsFound | null,
  keyFiles: KeyFiles
): Effect.Effect<ReadConfiguration["catalog"], InvalidSettings> =>
  Effect.gen(function* () {
    const clock = yield* Effect.clock
    const source = keys === null || keys.presets.length === 0 ? file.name : "the environment"
    const configured = configuredFrom(file.content, variables, source, keyFiles)
    const { aliases, providers } = configured
    const notices = [...configured.notices, ...noticesOf(file, keys)]
    const policy = policyOf(file.content)
    const hasUsable = modelsFrom(configured, { lists: new Map(), shippedPrice: nothingShipped, nowMillis: 0 }).some(
      isUsable
    )
    const simulate = Option.getOrElse(settings.models.simulate, () => !settings.production && !hasUsable)
    if (simulate) {
      const why = Option.isSome(settings.models.simulate) ? "CONDUIT_SIMULATE=true" : "no model is usable"
      const said = `${why}: simulated models answer, ${simulatedModels.map((model) => model.id).join(", ")}`
      const catalog = catalogOf({
        models: simulatedModels,
        providers: simulatedProviders,
        // The others stand for models that are not there.
        aliases: aliases.filter(({ model, models }) => model === null && models === null),
        policy,
        notices: [...notices, said],
        source: "simulated",
        shippedPrice: () => null
      })
      return () => catalog
    }
    if (!hasUsable) {
      return yield* new InvalidSettings({
        problems: [
          `${file.name}: no model is usable${notices.map((notice) => `; ${notice}`).join("")}: ${file.found ? "complete it" : "write one (conduit.example.yaml shows how), name one by CONDUIT_CONFIG, or set the key of a provider such as OPENAI_API_KEY"}, or set CONDUIT_SIMULATE=true`
        ]
      })
    }
    const shippedPrice = (file.content.models ?? []).every(isPriced) ? nothingShipped : yield* ShippedPrices.load
    return (lists: ModelLists, nowMillis: number) =>
      catalogOf({
        models: modelsFrom(configured, { lists, shippedPrice, nowMillis }),
        providers,
        aliases,
        policy,
        notices,
        source,
        shippedPrice: (provider, upstream) => shippedPrice(provider, upstream, clock.unsafeCurrentTimeMillis())
      })
  })

/** What was made of the keys in the environment, where there is no file. */
const noticesOf = (file: ReadFile, keys: EnvironmentModelsFound | null): ReadonlyArray<string> => {
  if (keys === null) return []
  const isServing = (file.content.models ?? []).length > 0
  return [
    ...keys.notices,
    ...(isServing ? [`there is no ${file.name}: \`conduit init\` writes one with these models, to change it`] : [])
  ]
}

const policyOf = ({ models = [], policy = {} }: ConfigFile): Catalog["policy"] => {
  const chats = models.filter(({ embeddings }) => embeddings === undefined)
  const observing = chats.find(({ id }) => policy.observe === undefined || id === policy.observe)?.id
  return {
    algorithm: policy.algorithm ?? "auto",
    preference: policy.preference ?? "balanced",
    ...(policy.passesOnRefusals === true ? { passesOnRefusals: true } : {}),
    ...(policy.sessions === undefined ? {} : { switchBudget: policy.sessions.switchBudget }),
    ...(policy.signals === undefined ? {} : { signals: policy.signals }),
    ...(policy.judge === undefined ? {} : { judge: judgeOf(policy.judge) }),
    ...(policy.mode === "observe" && observing !== undefined ? { observing: ModelId(observing) } : {})
  }
}

const judgeOf = ({
  budgetUsdPerDay,
  concurrency = 2,
  model,
  share,
  weight = 0.5
}: NonNullable<NonNullable<ConfigFile["policy"]>["judge"]>): JudgeSettings => ({
  model: ModelId(model),
  share,
  budgetUsdPerDay,
  weight,
  concurrency
})

const simulatedProviders: ReadonlyMap<string, Provider> = new Map(
  simulatedModels.map((model) => [
    model.provider,
    {
      name: model.provider,
      kind: "simulated",
      baseUrl: "",
      apiKey: null,
      streamUsage: true,
      modelList: null,
      missing: []
    }
  ])
)

const catalogOf = (said: Omit<Catalog, "byId" | "costReferenceUsd">): Catalog => ({
  ...said,
  byId: new Map(said.models.map((model) => [model.id, model])),
  costReferenceUsd: costReferenceUsd(said.models.filter((model) => isUsable(model) && model.embeddings === undefined))
})

interface ReadFile extends ConfigPlace {
  readonly found: boolean
  readonly content: ConfigFile
}

const readConfig = Effect.fnUntraced(function* (named: Option.Option<string>, variables: ReadonlyMap<string, string>) {
  const path = Option.getOrElse(named, () => "conduit.yaml")
  const place: ConfigPlace = { name: basename(path), folder: dirname(path) }
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
  if (Option.isNone(text)) return { ...place, found: false, content: {} } satisfies ReadFile
  const content = parseConfigFile(text.value, variables)
  if (Either.isLeft(content)) {
    return yield* new InvalidSettings({ problems: content.left.map((problem) => `${place.name}: ${problem}`) })
  }
  return { ...place, found: true, content: content.right } satisfies ReadFile
})
