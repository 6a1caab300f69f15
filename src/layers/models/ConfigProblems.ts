import * as Either from "effect/Either"
import { nearestName } from "../../domain/basics/NearestName.ts"
import { arrayOf, isObject, type JsonObject } from "../../domain/models/Json.ts"
import { apiKeyOf, baseUrlOf, fill } from "./ProviderValues.ts"

/**
 * What is wrong between entries of `conduit.yaml` and in values that name variables. It looks at the content as it came,
 * so that it is told together with what is wrong in an entry by itself.
 */
export const problemsBetween = (content: unknown, variables: ReadonlyMap<string, string>): ReadonlyArray<string> => {
  const file = objectOf(content)
  const providers = objectOf(file["providers"])
  const models = arrayOf(file["models"]).map(objectOf)
  const ids = models.flatMap(({ id }) => (typeof id === "string" ? [id] : []))
  return [
    ...Object.entries(providers).flatMap(([name, entry]) => providerProblems(name, objectOf(entry), variables)),
    ...modelProblems(models, Object.keys(providers)),
    ...aliasProblems(objectOf(file["aliases"]), ids),
    ...policyProblems(objectOf(file["policy"]), ids),
    ...judgeProblems(objectOf(file["policy"])["judge"], models)
  ]
}

const objectOf = (value: unknown): JsonObject => (isObject(value) ? value : {})

/** Values may hold secrets and are not shown. A value that lacks a variable is left out, not wrong. */
const providerProblems = (
  name: string,
  entry: JsonObject,
  variables: ReadonlyMap<string, string>
): ReadonlyArray<string> => {
  const [baseUrl, apiKey] = [entry["baseUrl"], entry["apiKey"]].map((given) =>
    typeof given === "string" ? fill(given, variables) : null
  )
  const lacks = entry["preset"] === undefined ? ["kind", "baseUrl"].filter((field) => entry[field] === undefined) : []
  const lacking = [
    ...lacks.map((field) => `providers.${name}.${field}: is missing`),
    ...(entry["apiKey"] === undefined || entry["apiKeyFile"] === undefined
      ? []
      : [`providers.${name}.apiKeyFile: there is an apiKey already: leave one of them out`])
  ]
  if ((baseUrl?.missing.length ?? 0) + (apiKey?.missing.length ?? 0) > 0) return lacking
  const checked = {
    baseUrl: baseUrl ? baseUrlOf(baseUrl.text) : Either.right(null),
    apiKey: apiKey ? apiKeyOf(apiKey.text) : Either.right(null)
  }
  const wrong = Object.entries(checked).flatMap(([field, value]) =>
    Either.isLeft(value) ? [`providers.${name}.${field}: its value (not shown) is not right: ${value.left}`] : []
  )
  return [...lacking, ...wrong]
}

const modelProblems = (models: ReadonlyArray<JsonObject>, providers: ReadonlyArray<string>): ReadonlyArray<string> => {
  const seen = new Set<unknown>()
  return models.flatMap(({ embeddings, id, params, priorQuality, priorSd, provider }, i) => {
    const isTwice = typeof id === "string" && seen.has(id)
    seen.add(id)
    return [
      ...(isTwice ? [`models[${i}].id: ${JSON.stringify(id)} is there twice: ids are unique`] : []),
      ...(typeof provider !== "string" || providers.includes(provider)
        ? []
        : [
            `models[${i}].provider: ${JSON.stringify(provider)} is not under providers: there are ${providers.join(", ") || "none"}`
          ]),
      ...(priorSd !== undefined && priorQuality === undefined
        ? [`models[${i}].priorSd: there is no priorQuality that it could be the deviation of`]
        : []),
      ...(params !== undefined && embeddings !== undefined
        ? [`models[${i}].params: are of answers, and a model of embeddings gives none`]
        : [])
    ]
  })
}

/** An alias stands for what there is, and never hides a model. */
const aliasProblems = (aliases: JsonObject, ids: ReadonlyArray<string>): ReadonlyArray<string> =>
  Object.entries(aliases).flatMap(([name, entry]) => {
    const { model = "auto", models } = objectOf(entry)
    const isOne = model !== "auto"
    return [
      ...(ids.includes(name) ? [`aliases.${name}: there is a model of this id, which is what it means`] : []),
      ...(isOne && models !== undefined
        ? [`aliases.${name}.models: there is a model already: leave one of them out`]
        : []),
      ...[...(isOne ? [model] : []), ...arrayOf(models)].flatMap((id) => {
        if (typeof id !== "string" || ids.includes(id)) return []
        const nearest = nearestName(id, ["auto", ...ids])
        return [
          `aliases.${name}: ${JSON.stringify(id)} is not under models${nearest === null ? "" : `: did you mean ${nearest}?`}`
        ]
      })
    ]
  })

/** Who judges answers is one that answers. */
const judgeProblems = (judge: unknown, models: ReadonlyArray<JsonObject>): ReadonlyArray<string> => {
  const { model } = objectOf(judge)
  if (typeof model !== "string") return []
  const found = models.find(({ id }) => id === model)
  if (found === undefined) return [`policy.judge.model: ${JSON.stringify(model)} is not under models`]
  return found["embeddings"] === undefined ? [] : [`policy.judge.model: ${model} makes vectors and judges nothing`]
}

/** Who observes choices must make them, and needs a model that serves meanwhile. */
const policyProblems = (
  { algorithm, mode = "serve", observe }: JsonObject,
  ids: ReadonlyArray<string>
): ReadonlyArray<string> => {
  if (mode !== "observe") return observe === undefined ? [] : ["policy.observe: counts only with mode: observe"]
  if (algorithm === "static") return ["policy.mode: static makes no choice that could be observed"]
  if (ids.length === 0) return ["policy.mode: there is no model that could serve meanwhile"]
  return typeof observe !== "string" || ids.includes(observe)
    ? []
    : [`policy.observe: ${JSON.stringify(observe)} is not under models: there are ${ids.join(", ")}`]
}
