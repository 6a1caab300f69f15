import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { operationUrl } from "../../domain/models/Endpoint.ts"
import { nearestName } from "../../domain/basics/NearestName.ts"
import type { Catalog, Provider } from "../../services/models/ModelCatalog.ts"
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
  const counted = `${usable.length} of ${models.length} can be chosen, of ${providers.size} provider(s)`
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

const ListOfModels = Schema.decodeUnknownEither(
  Schema.parseJson(Schema.Struct({ data: Schema.Array(Schema.Struct({ id: Schema.String })) }))
)

const listLine = (name: string, where: string, list: ReadonlyArray<string>, wanted: ReadonlyArray<string>): Line => {
  // Google's names its models `models/...`, and is called by either.
  const known = new Set(list.flatMap((id) => [id, id.replace(/^models\//, "")]))
  const unknown = wanted.filter((upstream) => !known.has(upstream))
  if (unknown.length === 0) {
    return pass(name, `${where}${wanted.length === 0 ? "" : `, has ${wanted.join(", ")}`}`)
  }
  const meant = unknown.map((upstream) => {
    const nearest = nearestName(upstream, [...known])
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
  const list = ListOfModels(text)
  if (status !== 200 || Either.isLeft(list)) {
    const what = status === 200 ? "is no list of models" : `is ${status}`
    return warn(
      line,
      `${where}, but GET /models ${what}: its models cannot be compared`,
      "check that baseUrl ends as the provider says, often in /v1"
    )
  }
  return listLine(
    line,
    where,
    list.right.data.map(({ id }) => id),
    wanted
  )
}

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
const examined = ({ models }: Catalog, provider: Provider): Effect.Effect<Findings, never, HttpProbe> => {
  const { apiKey, baseUrl, missing, name } = provider
  if (missing.length > 0) {
    const detail = `left out with its models: ${missing.join(", ")} not set`
    return Effect.succeed(found(warn(`provider ${name}`, detail, "set it, or take the provider out of the file")))
  }
  const wanted = models.filter((model) => model.provider === name && model.unavailable === null)
  return Effect.gen(function* () {
    const url = operationUrl(baseUrl, "models").href
    const asked = yield* Effect.either(ask(url, apiKey))
    const line = providerLine(provider, [...new Set(wanted.map((model) => model.upstream))], asked)
    const isUntried = apiKey !== null && line.status === "pass" && (yield* isPublic(url))
    return {
      lines: [
        isUntried ? { ...line, detail: `${line.detail}; it asks nobody for a key there, so yours was not tried` } : line
      ],
      clocks: Either.match(asked, { onLeft: () => [], onRight: (answer) => skewOf(provider, answer) })
    }
  })
}

/** Every provider that calls somebody. */
export const providerFindings = (catalog: Catalog): Effect.Effect<Findings, never, HttpProbe> =>
  Effect.forEach(
    [...catalog.providers.values()].filter(({ kind }) => kind !== "simulated"),
    (provider) => examined(catalog, provider),
    { concurrency: 8 }
  ).pipe(
    Effect.map((all) => ({ lines: all.flatMap(({ lines }) => lines), clocks: all.flatMap(({ clocks }) => clocks) }))
  )
