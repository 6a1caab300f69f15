import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { nearestName } from "../../domain/basics/NearestName.ts"
import { operationUrl } from "../../domain/models/Endpoint.ts"
import { type ModelList, readModelList, retirementText } from "../../domain/models/ModelList.ts"
import type { Model } from "../../domain/routing/Model.ts"
import type { Catalog, ModelCatalogShape, Provider } from "../../services/models/ModelCatalog.ts"
import type { Answer, HttpProbe, Unreachable } from "../../services/running/HttpProbe.ts"
import { fail, type Findings, found, inMillis, type Line, pass, type Skew, warn } from "./Check.ts"
import { ask, hostOf } from "./Http.ts"

/** What the file says, before anybody is asked. */
export const catalogLines = ({ models, notices, providers }: Catalog, production: boolean): ReadonlyArray<Line> => {
  const usable = models.filter((model) => model.unavailable === null)
  const simulated = `${usable.length}, simulated: no answer is a model's (${notices.join("; ")})`
  if (models.some((model) => model.simulated)) {
    return [
      production ? warn("models", simulated, "set CONDUIT_SIMULATE=false for real ones") : pass("models", simulated)
    ]
  }
  const unpriced = usable.filter((model) => model.inputUsdPerMTok === null || model.outputUsdPerMTok === null)
  const counted = `${usable.length} of ${models.length} can be chosen, of ${providers.size} provider(s): ${usable.map(factsText).join("; ")}`
  return [
    unpriced.length === 0
      ? pass("models", counted)
      : warn(
          "models",
          `${counted}; no price for ${unpriced.map((model) => model.id).join(", ")}: cost is not weighed, and max_cost_usd excludes them`,
          "set inputUsdPerMTok and outputUsdPerMTok; 0 where they are free"
        )
  ]
}

/** What is known of a model, and who says so. */
const factsText = ({ contextWindow, id, inputUsdPerMTok, limitSources, outputUsdPerMTok, priceSource }: Model) => {
  const price =
    priceSource === null ? "no price" : `${inputUsdPerMTok ?? "?"}/${outputUsdPerMTok ?? "?"} USD (${priceSource})`
  const window = contextWindow === null ? "window unknown" : `${contextWindow} tokens`
  const source = limitSources?.contextWindow ?? null
  return `${id} ${window}${source === null ? "" : ` (${source})`}, ${price}`
}

const listLine = (name: string, where: string, known: ModelList, wanted: ReadonlyArray<string>): Line => {
  const unknown = wanted.filter((upstream) => !known.has(upstream))
  if (unknown.length === 0) {
    return pass(name, `${where}${wanted.length === 0 ? "" : `, has ${wanted.join(", ")}`}`)
  }
  const meant = unknown.map((upstream) => {
    const nearest = nearestName(upstream, [...known.keys()])
    return `${upstream}${nearest === null ? "" : ` (did you mean ${nearest}?)`}`
  })
  return warn(
    name,
    `${where}, but its list has no ${meant.join(", ")}`,
    "correct `upstream` in conduit.yaml; an alias that is not listed may still work"
  )
}

const providerLine = (
  { apiKey, baseUrl, name }: Provider,
  wanted: ReadonlyArray<string>,
  asked: Either.Either<Answer, Unreachable>
): Line => {
  const line = `provider ${name}`
  const host = hostOf(baseUrl)
  if (Either.isLeft(asked)) {
    return fail(line, `${host}: ${asked.left.message}`, "is it up, baseUrl right, and the network policy open to it?")
  }
  const { answeredMs, sentMs, status, text } = asked.right
  const where = `${host} answers in ${inMillis(answeredMs - sentMs)}${apiKey === null ? ", without a key" : ""}`
  if (status === 401 || status === 403) {
    return apiKey === null
      ? fail(line, `${where}: ${status}, it wants a key`, "set apiKey for it in conduit.yaml")
      : fail(line, `${host}: ${status}, the key is refused`, "set a valid key, and restart: keys are read at start")
  }
  if (status >= 500) return fail(line, `${host}: ${status}`, "look at the provider's status, or at baseUrl")
  if (status === 429) return warn(line, `${host}: 429, it limits this key now`, "raise the limit at the provider")
  const list = readModelList(text, answeredMs)
  if (status !== 200 || list === null) {
    const what = status === 200 ? "is no list of models" : `is ${status}`
    return warn(
      line,
      `${where}, but GET /models ${what}: its models cannot be compared`,
      "check that baseUrl ends as the provider says, often in /v1"
    )
  }
  return listLine(line, where, list, wanted)
}

/** Where a provider's list contradicts what is configured, and what it announces. */
const modelLines = (models: ReadonlyArray<Model>, list: ModelList, nowMillis: number): ReadonlyArray<Line> =>
  models.flatMap(({ contextWindow, id, limitSources, upstream }) => {
    const listed = list.get(upstream)
    if (listed === undefined) return []
    const ends = listed.retirement
    const isTooMuch =
      limitSources?.contextWindow === "configuration" && (listed.contextWindow ?? Infinity) < (contextWindow ?? 0)
    return [
      ...(ends === null
        ? []
        : [
            warn(
              `model ${id}`,
              `its provider says that it ${retirementText(ends, nowMillis)}`,
              "put another in its place"
            )
          ]),
      ...(isTooMuch
        ? [
            warn(
              `model ${id}`,
              `contextWindow is ${contextWindow} in the configuration, and its provider lists ${listed.contextWindow}`,
              "correct contextWindow, or take it out: then the provider's counts"
            )
          ]
        : [])
    ]
  })

const skewOf = (provider: Provider, { answeredMs, dateMs, sentMs }: Answer): ReadonlyArray<Skew> =>
  dateMs === null
    ? []
    : [
        {
          whose: `provider ${provider.name}`,
          // The header is of whole seconds.
          aheadMs: dateMs + 500 - (sentMs + answeredMs) / 2,
          errorMs: 500 + (answeredMs - sentMs) / 2
        }
      ]

/** What a provider shows to everybody says nothing about the key. */
const isPublic = (url: string): Effect.Effect<boolean, never, HttpProbe> =>
  Effect.match(ask(url, null), { onFailure: () => false, onSuccess: ({ status }) => status === 200 })

/** A provider is asked for its list, with its key: the one request that costs nothing. */
const examined = (
  catalog: ModelCatalogShape,
  provider: Provider,
  areListsRead: boolean
): Effect.Effect<Findings, never, HttpProbe> => {
  const { models } = catalog.current()
  const { apiKey, baseUrl, missing, name } = provider
  if (missing.length > 0) {
    const detail = `left out with its models: ${missing.join(", ")} not set`
    return Effect.succeed(found(warn(`provider ${name}`, detail, "set it, or take the provider out of the file")))
  }
  const wanted = models.filter((model) => model.provider === name && model.unavailable === null)
  return Effect.gen(function* () {
    const url = operationUrl(baseUrl, provider.modelList ?? "models").href
    const asked = yield* Effect.either(ask(url, apiKey))
    const line = providerLine(provider, [...new Set(wanted.map((model) => model.upstream))], asked)
    const isUntried = apiKey !== null && line.status === "pass" && (yield* isPublic(url))
    const list = Either.match(asked, {
      onLeft: () => null,
      onRight: ({ answeredMs, status, text }) => (status === 200 ? readModelList(text, answeredMs) : null)
    })
    if (list !== null && areListsRead && provider.modelList !== null) {
      yield* Logger.withMinimumLogLevel(catalog.listed(name, list), LogLevel.None)
    }
    const nowMillis = yield* Clock.currentTimeMillis
    return {
      lines: [
        isUntried
          ? { ...line, detail: `${line.detail}; it asks nobody for a key there, so yours was not tried` }
          : line,
        ...(list === null ? [] : modelLines(wanted, list, nowMillis))
      ],
      clocks: Either.match(asked, { onLeft: () => [], onRight: (answer) => skewOf(provider, answer) })
    }
  })
}

/** Every provider that calls somebody; the catalogue is told what they list, as the service tells it. */
export const providerFindings = (
  catalog: ModelCatalogShape,
  areListsRead: boolean
): Effect.Effect<Findings, never, HttpProbe> =>
  Effect.forEach(
    [...catalog.current().providers.values()].filter(({ kind }) => kind !== "simulated"),
    (provider) => examined(catalog, provider, areListsRead),
    { concurrency: 8 }
  ).pipe(
    Effect.map((all) => ({ lines: all.flatMap(({ lines }) => lines), clocks: all.flatMap(({ clocks }) => clocks) }))
  )
