import * as Redacted from "effect/Redacted"
import { paramsText } from "../../domain/models/ModelParams.ts"
import { retirementText } from "../../domain/models/ModelList.ts"
import { capabilities } from "../../domain/routing/Capability.ts"
import type { Model } from "../../domain/routing/Model.ts"
import type { Catalog, Provider } from "../../services/models/ModelCatalog.ts"

/** What a reload changed, for people: a phrase each, never an address or a key. */
export const changesBetween = (before: Catalog, after: Catalog): ReadonlyArray<string> => [
  ...after.models.flatMap((model) => {
    const old = before.byId.get(model.id)
    return old === undefined ? [`added ${model.id}`] : changesOf(old, model)
  }),
  ...before.models.filter((model) => !after.byId.has(model.id)).map((model) => `removed ${model.id}`),
  ...(isReordered(before, after) ? ["the order changed"] : []),
  ...providerChanges(before.providers, after.providers),
  ...aliasChanges(before.aliases, after.aliases),
  ...(before.policy.algorithm === after.policy.algorithm ? [] : [`policy.algorithm is ${after.policy.algorithm}`]),
  ...(before.policy.observing === after.policy.observing
    ? []
    : [
        after.policy.observing === undefined
          ? "choices are followed again"
          : `${after.policy.observing} serves, and choices are only observed`
      ]),
  ...(before.policy.passesOnRefusals === after.policy.passesOnRefusals
    ? []
    : [`policy.passesOnRefusals is ${after.policy.passesOnRefusals === true}`]),
  ...(before.policy.switchBudget === after.policy.switchBudget
    ? []
    : [`policy.sessions.switchBudget is ${after.policy.switchBudget ?? "not set: a session keeps its model"}`]),
  ...(JSON.stringify(before.policy.signals) === JSON.stringify(after.policy.signals)
    ? []
    : [`policy.signals is ${JSON.stringify(after.policy.signals ?? {})}`]),
  ...(JSON.stringify(before.policy.judge) === JSON.stringify(after.policy.judge)
    ? []
    : [
        after.policy.judge === undefined
          ? "nobody judges answers"
          : `${after.policy.judge.model} judges a share of ${after.policy.judge.share} of the answers`
      ]),
  ...(before.policy.preference === after.policy.preference ? [] : [`policy.preference is ${after.policy.preference}`])
]

const aliasChanges = (before: Catalog["aliases"], after: Catalog["aliases"]): ReadonlyArray<string> => {
  const meant = (all: Catalog["aliases"]) => new Map(all.map((alias) => [alias.name, JSON.stringify(alias)]))
  const [were, are] = [meant(before), meant(after)]
  return [
    ...after.flatMap(({ name }) => (were.get(name) === are.get(name) ? [] : [`alias ${name} is set`])),
    ...before.flatMap(({ name }) => (are.has(name) ? [] : [`alias ${name} is gone`]))
  ]
}

const price = (model: Model) => `${model.inputUsdPerMTok ?? "?"}/${model.outputUsdPerMTok ?? "?"}`

const paramsOf = ({ params = {} }: Model): string => paramsText(params)

const changesOf = (before: Model, after: Model): ReadonlyArray<string> => [
  ...(price(before) === price(after)
    ? []
    : [`repriced ${after.id} from ${price(before)} to ${price(after)} USD per million tokens, in/out`]),
  ...(before.provider === after.provider && before.upstream === after.upstream
    ? []
    : [`${after.id} is ${after.upstream} of provider ${after.provider}`]),
  ...(before.contextWindow === after.contextWindow
    ? []
    : [`context window of ${after.id} is ${after.contextWindow ?? "unknown"}`]),
  ...(before.maxOutputTokens === after.maxOutputTokens
    ? []
    : [`answers of ${after.id} have at most ${after.maxOutputTokens ?? "an unknown number of"} tokens`]),
  ...abilityChanges(before, after),
  ...(paramsOf(before) === paramsOf(after)
    ? []
    : [
        after.params === undefined
          ? `${after.id} is asked as callers say`
          : `${after.id} is asked with ${paramsOf(after)}`
      ]),
  ...(before.priorQuality === after.priorQuality
    ? []
    : [`prior quality of ${after.id} is ${after.priorQuality ?? "unknown"}`]),
  ...(before.priorSd === after.priorSd
    ? []
    : [`deviation of the prior quality of ${after.id} is ${after.priorSd ?? "that of a guess"}`]),
  ...(before.unavailable === after.unavailable
    ? []
    : [after.unavailable === null ? `${after.id} is available` : `${after.id} is not available: ${after.unavailable}`])
]

const abilityChanges = (before: Model, after: Model): ReadonlyArray<string> =>
  capabilities.flatMap((name) => {
    const can = after.abilities[name]?.can
    if (before.abilities[name]?.can === can) return []
    return [`${after.id} ${can === undefined ? "may or may not have" : can ? "has" : "does not have"} ${name}`]
  })

/** Ends of models that were not announced before, and what comes of them. */
export const endsBetween = (before: Catalog, after: Catalog, nowMillis: number): ReadonlyArray<string> =>
  after.models.flatMap(({ id, retirement, unavailable }) => {
    const was = before.byId.get(id)?.retirement
    if (retirement === undefined || JSON.stringify(was) === JSON.stringify(retirement)) return []
    const isLeft = unavailable === null
    const then = retirement.state !== "retired" ? "" : isLeft ? ", it stays in the choice" : ", it is left out"
    return [`${id} ${retirementText(retirement, nowMillis)}${then}`]
  })

/** Of the models that stayed. */
const isReordered = (before: Catalog, after: Catalog) => {
  const stayed = after.models.filter((model) => before.byId.has(model.id))
  const were = before.models.filter((model) => after.byId.has(model.id))
  return stayed.some((model, i) => model.id !== were[i]?.id)
}

const keyOf = ({ apiKey }: Provider) => (apiKey === null ? null : Redacted.value(apiKey))

const providerChanges = (
  before: ReadonlyMap<string, Provider>,
  after: ReadonlyMap<string, Provider>
): ReadonlyArray<string> => [
  ...[...after.values()].flatMap((provider) => {
    const old = before.get(provider.name)
    if (old === undefined) return [`added provider ${provider.name}`]
    return [
      ...(old.baseUrl === provider.baseUrl ? [] : [`provider ${provider.name} has another address`]),
      ...(keyOf(old) === keyOf(provider) ? [] : [`provider ${provider.name} has another key`])
    ]
  }),
  ...[...before.keys()].filter((name) => !after.has(name)).map((name) => `removed provider ${name}`)
]
