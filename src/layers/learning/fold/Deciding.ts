import * as Hierarchical from "../../../domain/learning/bandit/Hierarchical.ts"
import { isExplored } from "../../../domain/learning/BudgetPacing.ts"
import { type Rule, rules } from "../../../domain/learning/algorithms/Rules.ts"
import { audited, choose, type Option } from "../../../domain/routing/Choice.ts"
import { excludedBy } from "../../../domain/routing/Constraint.ts"
import type { Candidate, Decision, Reason } from "../../../domain/routing/Decision.ts"
import type { ModelId, Position, RouterId } from "../../../domain/basics/Ids.ts"
import { answerLimit } from "../../../domain/models/ModelParams.ts"
import type { Model } from "../../../domain/routing/Model.ts"
import { chooseByShares } from "../../../domain/routing/ShareChoice.ts"
import { compose } from "../../../domain/routing/Score.ts"
import type { DecideInput } from "../../../services/learning/BanditState.ts"
import { NoEligibleModel } from "../../../services/learning/BanditState.ts"
import { type ChoiceRuleShape, sharesBy } from "../../../services/learning/ChoiceRule.ts"
import type { Catalog } from "../../../services/models/ModelCatalog.ts"
import * as Weighing from "./Weighing.ts"
import { neutral, referenceLatencySeconds, referenceTokens } from "../../../domain/routing/Reference.ts"

/** What a choice is made with, besides the request. */
export interface Deciding {
  readonly catalog: Catalog
  /** Models that an operator took out of the choice. */
  readonly disabled: ReadonlySet<string>
  readonly router: { readonly id: RouterId; readonly seed: string }
  readonly featuresVersion: string
  /** Chooses instead of the algorithm of the configuration. */
  readonly own?: ChoiceRuleShape | null
}

type Prospects = ReadonlyArray<Option>

interface Choice {
  readonly candidates: ReadonlyArray<Candidate>
  readonly chosen: ModelId
  readonly propensity: number
  readonly reason: Reason
  readonly exploration: boolean
}

/** The choice by what was learned. */
export const decide = (
  deciding: Deciding,
  state: Hierarchical.State,
  position: Position,
  input: DecideInput
): Decision | NoEligibleModel => {
  const { catalog, router } = deciding
  const { request, session } = input
  const { features } = input
  const predict = (model: Model) => Hierarchical.predict(state, model.id, model.priorQuality, request.task, features)
  const weighing = Weighing.weighingOf(catalog, input)
  const staying = weighing === null ? null : stayingOf(deciding, weighing, predict)
  const open = prospectsOf(deciding, input, weighing, predict)
  const prospects = weighing === null ? open : Weighing.withinBudget(weighing, staying, open)
  const { algorithm } = catalog.policy
  const { own = null } = deciding
  const isDrawn = algorithm === "auto" || algorithm === "thompson" || algorithm === "static"
  const rule: Rule | null = own !== null ? (options) => sharesBy(own, options) : isDrawn ? null : rules[algorithm]
  const policy = {
    algorithm: own !== null ? own.name : rule === null ? Hierarchical.algorithm : algorithm,
    version: Hierarchical.version,
    position
  }
  const answer = (choice: Choice) => {
    const decision = decisionOf(deciding, input, features, policy, choice)
    const chosen = weighing === null ? undefined : prospects.find(({ model }) => model === choice.chosen)
    return weighing === null || chosen === undefined
      ? decision
      : { ...decision, turn: Weighing.decidedTurn(weighing, staying, chosen) }
  }

  const excluded = nobodyLeft(prospects, request.pinned)
  if (excluded !== null) return excluded
  if (request.pinned !== null) return answer(undrawn(prospects, request.pinned, "pinned"))
  if (own === null && algorithm === "static") return inOrder(deciding, input, features, position, prospects)

  const drawn = () => {
    const { control, epsilon, mostProbes } = state.parameters
    const keys = { seed: router.seed, key: request.sessionId ?? input.id, decisionId: input.id }
    return rule === null
      ? choose({ candidates: prospects, control, epsilon, mostProbes, ...keys })
      : chooseByShares({ candidates: prospects, control, ...keys }, (options) => rule(options, state))
  }
  const { observing } = catalog.policy
  if (observing !== undefined) return answer(observed(drawn(), prospects, observing))
  if (
    session !== null &&
    (weighing === null || input.isToolResult) &&
    // A replica that has folded more than this one may have chosen it.
    session.epoch >= Hierarchical.epoch(state, session.model) &&
    isEligible(prospects, session.model)
  ) {
    return answer(undrawn(prospects, session.model, "session"))
  }
  return answer(drawn())
}

/** What staying with the session's first model costs; null in its first turn. */
const stayingOf = (
  { catalog }: Deciding,
  weighing: Weighing.Weighing,
  predict: (model: Model) => Pick<Hierarchical.Prediction, "outputTokens">
): Weighing.Staying | null => {
  const { before, input } = weighing
  const first = before === null ? undefined : catalog.byId.get(before.first)
  if (first === undefined) return null
  const { outputTokens } = predict(first)
  return Weighing.stayingWith(
    weighing,
    first,
    Math.min(outputTokens, answerLimit(first, input.request.maxTokens) ?? outputTokens)
  )
}

/** The fixed model serves, or the first eligible one of the configuration; the candidates keep what the draw says of them. */
const observed = (drawn: Choice, prospects: Prospects, observing: ModelId): Choice => ({
  ...drawn,
  chosen: isEligible(prospects, observing)
    ? observing
    : (prospects.find(({ eligible }) => eligible)?.model ?? drawn.chosen),
  propensity: 1,
  reason: "observe",
  exploration: false
})

/** The choice when nothing that was learned can be used: the masks hold, and the order of the configuration decides. */
export const decideWithoutLearning = (
  deciding: Deciding,
  position: Position,
  input: DecideInput
): Decision | NoEligibleModel => {
  const prospects = prospectsOf(deciding, input, null, ({ priorQuality }) => ({
    quality: priorQuality ?? neutral,
    qualitySd: 0,
    qualityRise: 0,
    probeShare: 0,
    outputTokens: referenceTokens.output,
    latencyScore: neutral,
    latencySeconds: referenceLatencySeconds
  }))
  const { pinned } = input.request
  const excluded = nobodyLeft(prospects, pinned)
  if (excluded !== null) return excluded
  return pinned === null
    ? inOrder(deciding, input, input.features, position, prospects)
    : decisionOf(deciding, input, input.features, staticPolicy(position), undrawn(prospects, pinned, "pinned"))
}

const staticPolicy = (position: Position) => ({ algorithm: "static", version: "1", position })

/** The first eligible model of the configuration; equal scores keep its order for the fallbacks. */
const inOrder = (
  deciding: Deciding,
  input: DecideInput,
  features: Float32Array,
  position: Position,
  prospects: Prospects
) => {
  const chosen = prospects.find((p) => p.eligible)?.model
  return chosen === undefined
    ? noEligible(prospects, prospects)
    : decisionOf(
        deciding,
        input,
        features,
        staticPolicy(position),
        undrawn(
          prospects.map((p) => ({ ...p, mean: 0 })),
          chosen,
          "static"
        )
      )
}

/** Every model of the catalogue, as the masks and the score see it. */
const prospectsOf = (
  { catalog, disabled }: Deciding,
  { barrier, charge, inputTokens: tokensOf, lacks, request }: DecideInput,
  weighing: Weighing.Weighing | null,
  predict: (model: Model) => Omit<Hierarchical.Prediction, "successRate">
): Prospects =>
  catalog.models.map((model) => {
    const prediction = predict(model)
    const inputTokens = tokensOf(model)
    const maxTokens = answerLimit(model, request.maxTokens)
    const { conversationUsd, costUsd, mean, rise, sd } = compose({
      prediction,
      price: model,
      inputTokens,
      maxTokens,
      weights: request.weights,
      costReferenceUsd: catalog.costReferenceUsd,
      charge,
      turn: weighing === null ? undefined : Weighing.turnOn(weighing, model)
    })
    const quality = Math.min(1, Math.max(0, prediction.quality))
    const excluded = excludedBy(
      {
        model: model.id,
        provider: model.provider,
        unavailable: model.unavailable !== null || disabled.has(model.id),
        serves: (model.embeddings !== undefined) === (request.operation === "embeddings"),
        // Who names a model insists on it: barriers keep away only those who let us choose.
        barrier: request.pinned === model.id ? null : barrier(model.id),
        lacks: lacks(model),
        contextWindow: model.contextWindow,
        quality,
        costUsd,
        latencySeconds: prediction.latencySeconds
      },
      request.constraints,
      { inputTokens, maxTokens }
    )
    const prospect = {
      model: model.id,
      eligible: excluded === null,
      excludedBy: excluded,
      mean,
      sd,
      rise,
      probeShare: prediction.probeShare,
      quality,
      qualitySd: prediction.qualitySd,
      costUsd,
      conversationUsd,
      latencySeconds: prediction.latencySeconds
    }
    return charge !== undefined && !isExplored(charge, conversationUsd ?? costUsd)
      ? { ...prospect, isUnexplored: true }
      : prospect
  })

const isEligible = (prospects: Prospects, model: ModelId) => prospects.some((p) => p.model === model && p.eligible)

const noEligible = (asked: Prospects, all: Prospects) =>
  new NoEligibleModel({
    excluded: asked.map((p) => ({ model: p.model, excludedBy: p.excludedBy ?? "disabled" })),
    isAnyEnabled: all.some((p) => p.excludedBy !== "disabled")
  })

const nobodyLeft = (prospects: Prospects, pinned: ModelId | null): NoEligibleModel | null => {
  const asked = pinned === null ? prospects : prospects.filter((p) => p.model === pinned)
  return asked.some((p) => p.eligible) ? null : noEligible(asked, prospects)
}

/** A choice that no draw made: its propensity is 1, and the others stand in the order of their expected score. */
const undrawn = (prospects: Prospects, chosen: ModelId, reason: Reason): Choice => ({
  candidates: prospects.map((p) => audited(p, p.eligible ? p.mean : 0, p.model === chosen ? 1 : 0)),
  chosen,
  propensity: 1,
  reason,
  exploration: false
})

const decisionOf = (
  { featuresVersion, router }: Deciding,
  input: DecideInput,
  features: Float32Array,
  policy: Decision["policy"],
  choice: Choice
): Decision => {
  const { request } = input
  const decision = {
    id: input.id,
    createdAtMillis: input.createdAtMillis,
    routerId: router.id,
    owner: input.owner,
    policy,
    request: {
      task: request.task,
      preference: request.preference,
      weights: request.weights,
      constraints: request.constraints,
      askedModel: request.askedModel,
      userId: request.userId,
      sessionId: request.sessionId,
      stream: request.stream,
      inputTokens: request.inputTokens,
      maxTokens: request.maxTokens,
      featuresVersion
    },
    features,
    candidates: choice.candidates,
    chosen: choice.chosen,
    propensity: choice.propensity,
    reason: choice.reason,
    exploration: choice.exploration,
    seed: router.seed
  }
  return input.charge === undefined ? decision : { ...decision, pacing: input.charge }
}
