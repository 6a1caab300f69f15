import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { nearestName } from "../../domain/NearestName.ts"
import type { Catalog, Provider } from "../../services/ModelCatalog.ts"
import { fail, type Findings, inMillis, type Line, pass, warn } from "./Check.ts"
import { ask, type Answer, hostOf, type Unreachable } from "./Http.ts"

const isLeftOut = (notice: string) => notice.startsWith("provider ")

/** What the file says, before anybody is asked. */
export const catalogLines = ({ models, notices, providers }: Catalog, production: boolean): ReadonlyArray<Line> => {
  const usable = models.filter((model) => model.unavailable === null)
  const isSimulated = models.some((model) => model.simulated)
  const unpriced = usable.filter((model) => model.inputUsdPerMTok === null || model.outputUsdPerMTok === null)
  const names = `${usable.length} of ${models.length} can be chosen, of ${providers.size} provider(s)`
  return [
    ...notices
      .filter(isLeftOut)
      .map((notice) => warn("models", notice, "set it, or take the provider out of the file")),
    isSimulated
      ? production
        ? warn(
            "models",
            `${usable.length}, simulated: no answer is a model's`,
            "set CONDUIT_SIMULATE=false for real ones"
          )
        : pass("models", `${usable.length}, simulated: no provider is called`)
      : unpriced.length === 0
        ? pass("models", names)
        : warn(
            "models",
            `${names}; no price for ${unpriced.map((model) => model.id).join(", ")}: cost is not weighed, and max_cost_usd excludes them`,
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

/** Each provider is asked for its list, with its key: the one request that costs nothing. */
export const providerFindings = (catalog: Catalog): Effect.Effect<Findings> => {
  const lacking = new Set(catalog.notices.filter(isLeftOut).map((notice) => notice.split(" ")[1]))
  const probed = [...catalog.providers.values()].filter(({ kind, name }) => kind !== "simulated" && !lacking.has(name))
  return Effect.forEach(
    probed,
    (provider) =>
      Effect.map(Effect.either(ask(`${provider.baseUrl}/models`, provider.apiKey)), (asked) => {
        const wanted = catalog.models
          .filter((model) => model.provider === provider.name && model.unavailable === null)
          .map((model) => model.upstream)
        const answer = Either.getOrNull(asked)
        return {
          line: providerLine(provider, [...new Set(wanted)], asked),
          // The header is of whole seconds.
          clocks:
            answer === null || answer.dateMs === null
              ? []
              : [
                  {
                    whose: `provider ${provider.name}`,
                    aheadMs: answer.dateMs + 500 - (answer.sentMs + answer.answeredMs) / 2,
                    errorMs: 500 + (answer.answeredMs - answer.sentMs) / 2
                  }
                ]
        }
      }),
    { concurrency: 8 }
  ).pipe(Effect.map((all) => ({ lines: all.map(({ line }) => line), clocks: all.flatMap(({ clocks }) => clocks) })))
}
