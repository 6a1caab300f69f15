import { DecisionId, type Position, uuidV7From } from "../../basics/Ids.ts"
import { draw, type Option } from "../../routing/Choice.ts"
import { chooseByShares } from "../../routing/ShareChoice.ts"
import * as BudgetPacing from "../BudgetPacing.ts"
import { compose, latencyScore, logOutputTokens } from "../../routing/Score.ts"
import type { Answer, Arm, Asked, Learner, World } from "./Algorithm.ts"
import * as Hierarchical from "../bandit/Hierarchical.ts"
import type { LearningEvent } from "../LearningEvent.ts"
import type { Rule } from "./Rules.ts"

/** Another idea of what a model's answers are like than the fold's. */
export interface QualityModel {
  readonly qualityOf: (
    arm: Arm,
    asked: Asked
  ) => Pick<Hierarchical.Prediction, "quality" | "qualitySd" | "qualityRise" | "probeShare">
  /** Learns a judgement itself; answers whether the arm has changed. */
  readonly judged: (
    asked: Asked,
    answer: Answer,
    at: { readonly position: Position; readonly decidedAt: Position }
  ) => boolean
}

/**
 * Chooses as the service does, by a log of events that is folded at once: quality, tokens and latency are learned each for
 * itself, and composed with the price of the request. No control slice: that is for measuring, and earns nothing. Whole,
 * because all of it turns on one log and its position.
 */
export const served = (
  world: World,
  options: { readonly model?: QualityModel; readonly rule?: Rule } = {}
): Learner => {
  const { model = null, rule } = options
  const parameters = Hierarchical.defaultParameters
  const state = Hierarchical.make(parameters, world.dimension)
  const changes = world.arms.map(() => 0)
  const known = new Set<number>()
  /** Of each request, where the log was when it was decided. */
  const decidedAt = new WeakMap<Asked, Position>()
  let position = 0
  const { budgetUsd } = world
  let pacing = BudgetPacing.start(budgetUsd ?? 0)
  const chargeOf = () => (budgetUsd === null ? undefined : BudgetPacing.chargeOf(pacing, budgetUsd))
  const fold = (event: LearningEvent) => Hierarchical.fold(state, ++position, event)

  /** A model is told to the log when it can be chosen for the first time. */
  const meet = (arm: number) => {
    const one = world.arms[arm]
    if (one === undefined || known.has(arm)) return
    known.add(arm)
    fold({ type: "model", ...one })
  }

  const optionOf = (arm: number, asked: Asked): ReadonlyArray<Option> => {
    const one = world.arms[arm]
    const price = asked.prices[arm]
    if (one === undefined || price === undefined) return []
    const { model: id } = one
    const charge = chargeOf()
    const prediction = {
      ...Hierarchical.predict(state, id, one.priorQuality, asked.task, asked.features),
      ...model?.qualityOf(one, asked)
    }
    const score = compose({
      prediction,
      price,
      inputTokens: asked.inputTokens,
      maxTokens: null,
      weights: world.weights,
      costReferenceUsd: world.costReferenceUsd,
      charge
    })
    const isUnexplored = charge !== undefined && !BudgetPacing.isExplored(charge, score.costUsd)
    return [{ ...prediction, ...score, model: id, eligible: true, excludedBy: null, isUnexplored }]
  }

  const call = (asked: Asked, arm: number) => {
    const id = world.arms[arm]?.model
    return id === undefined ? null : { decisionId: decisionIdOf(position), model: id, ...pick(asked) }
  }

  return {
    choose: (asked) => {
      asked.eligible.forEach(meet)
      decidedAt.set(asked, position)
      const candidates = asked.eligible.flatMap((arm) => optionOf(arm, asked))
      const keys = { seed: world.seed, key: asked.key, decisionId: asked.key, control: 0 }
      const chosen =
        rule === undefined
          ? draw({ candidates, ...keys, epsilon: parameters.epsilon, mostProbes: parameters.mostProbes })
          : chooseByShares({ candidates, ...keys }, (options) => rule(options, state)).chosen
      return world.arms.findIndex((arm) => arm.model === chosen)
    },
    ran: (asked, { arm, costUsd, latencySeconds, outputTokens }) => {
      if (budgetUsd !== null) pacing = BudgetPacing.spent(pacing, budgetUsd, costUsd)
      const event = call(asked, arm)
      if (event === null) return
      fold({
        type: "run",
        ...event,
        ok: true,
        logOutputTokens: logOutputTokens(outputTokens),
        latencyScore: latencyScore(latencySeconds, world.latencyReferenceSeconds)
      })
    },
    judged: (asked, answer) => {
      const event = call(asked, answer.arm)
      if (event === null) return
      const { arm, quality } = answer
      const decided = decidedAt.get(asked) ?? position
      const isChanged =
        model === null
          ? fold({ type: "quality", ...event, decidedAt: decided, quality, weight: 1, previous: null }) !== null
          : model.judged(asked, answer, { position, decidedAt: decided })
      if (isChanged) changes[arm] = (changes[arm] ?? 0) + 1
    },
    changes: () => changes
  }
}

const pick = ({ features, task }: Asked) => ({ features, task })

/** The fold does not look at it. */
const decisionIdOf = (position: Position) => DecisionId(uuidV7From(position, new Uint8Array(10)))
