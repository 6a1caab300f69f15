import { studentQuantile } from "./Stats.ts"

// What the same requests would have cost, and been worth, with one model for all of them. Only the routed ones count for
// which that model was eligible, and only those that ended with an answer or a failure of the models.

/** The sums of one model over the requests of one fold. */
export interface SavingsSums {
  /** Requests for which the model was eligible. */
  readonly requests: number
  /** Those of them that were answered at a known cost, and for which the model's cost was predicted. */
  readonly priced: number
  /** USD that the priced ones cost. */
  readonly actual: number
  /** USD of the priced ones that the model itself answered. */
  readonly own: number
  /** USD that were predicted for the model, over the priced ones that another one answered. */
  readonly others: number
  /**
   * Priced ones that the model answered after it was drawn: how many; their odds of another draw, which make them stand
   * for those that another one answered; and by these weights their cost, and the cost that was predicted.
   */
  readonly answers: number
  readonly odds: number
  readonly oddsSquared: number
  readonly answersActual: number
  readonly answersPredicted: number
  /** Sums over `requests` of the quality and the reward that were predicted for the model. */
  readonly quality: number
  readonly reward: number
  /** Judged answers and failures of requests for which the model was drawn first; only they have a weight. */
  readonly judged: number
  /** One over the probability of that draw, and of being judged. */
  readonly weight: number
  readonly weightSquared: number
  /** Weighted sums of what came minus what was predicted. */
  readonly qualityResidual: number
  readonly rewardResidual: number
  /** The same of whatever answered: weights are one over the probability of being judged. */
  readonly realWeight: number
  readonly realQuality: number
  readonly realReward: number
  /** Requests that a model answered of whose answers none is judged: what they were worth is not known. */
  readonly realUnknown: number
}

export interface SavingsRow extends SavingsSums {
  readonly model: string
  /** A hash of the session, or else of the decision, from 0 to `folds` - 1. */
  readonly fold: number
}

/** What is drawn from a part of the requests stands for all of them. */
export interface SavingsRows {
  /** The share of the requests that was looked at. */
  readonly sampled: number
  /** Routed requests that ended with an answer or a failure, of the sample. */
  readonly requests: number
  readonly rows: ReadonlyArray<SavingsRow>
}

export const folds = 32

/** A number with its 95 % interval, or why there is none. */
export type Estimate =
  | { readonly value: number; readonly low: number; readonly high: number; readonly reason: null }
  | { readonly value: null; readonly low: null; readonly high: null; readonly reason: string }

/** What routing gained over one model for all requests; above 0 is in favour of routing. */
export interface Comparison {
  readonly model: string | null
  /** That were compared, estimated from the sample. */
  readonly requests: number
  readonly savedUsd: Estimate
  readonly savedShare: Estimate
  /** By the costs that were predicted, uncorrected; null where none is known. */
  readonly predictedSavedUsd: number | null
  readonly qualityGain: Estimate
  readonly rewardGain: Estimate
}

export interface Savings {
  readonly best: Comparison
  readonly dearest: Comparison
  /** Models whose quality is not known: one of them may be better than the best. */
  readonly unknown: ReadonlyArray<string>
}

/** A model's cost is known from so many of its own answers, which are worth so many of equal weight. */
const leastAnswers = 30
const leastEffectiveAnswers = 10
/** Its quality from so many that were judged, which are worth so many of equal weight. */
const leastJudged = 30
const leastEffective = 100
/** Of no more of the requests it may be unknown what routing's own answers were worth. */
const mostUnknown = 0.05
/** Requests that stand in fewer folds are too few sessions. */
const leastFolds = 8
/** A model that was eligible for less than this share of the requests could not have answered them all. */
const leastEligible = 0.5

/** The sums over no rows. */
export const noSums: SavingsSums = {
  requests: 0,
  priced: 0,
  actual: 0,
  own: 0,
  others: 0,
  answers: 0,
  odds: 0,
  oddsSquared: 0,
  answersActual: 0,
  answersPredicted: 0,
  quality: 0,
  reward: 0,
  judged: 0,
  weight: 0,
  weightSquared: 0,
  qualityResidual: 0,
  rewardResidual: 0,
  realWeight: 0,
  realQuality: 0,
  realReward: 0,
  realUnknown: 0
}

const plus = (a: SavingsSums, b: SavingsSums): SavingsSums => ({
  requests: a.requests + b.requests,
  priced: a.priced + b.priced,
  actual: a.actual + b.actual,
  own: a.own + b.own,
  others: a.others + b.others,
  answers: a.answers + b.answers,
  odds: a.odds + b.odds,
  oddsSquared: a.oddsSquared + b.oddsSquared,
  answersActual: a.answersActual + b.answersActual,
  answersPredicted: a.answersPredicted + b.answersPredicted,
  quality: a.quality + b.quality,
  reward: a.reward + b.reward,
  judged: a.judged + b.judged,
  weight: a.weight + b.weight,
  weightSquared: a.weightSquared + b.weightSquared,
  qualityResidual: a.qualityResidual + b.qualityResidual,
  rewardResidual: a.rewardResidual + b.rewardResidual,
  realWeight: a.realWeight + b.realWeight,
  realQuality: a.realQuality + b.realQuality,
  realReward: a.realReward + b.realReward,
  realUnknown: a.realUnknown + b.realUnknown
})

const sumOf = (rows: ReadonlyArray<SavingsSums>): SavingsSums => rows.reduce(plus, noSums)

/**
 * USD of the priced requests with this model: its own answers as they were, the others by the ratio of real to predicted
 * cost. Weighted by the odds, the ratio is that of the others, even while the predictions are still being learned.
 */
const counterfactual = (s: SavingsSums): number =>
  s.own + (s.others === 0 ? 0 : (s.others * s.answersActual) / s.answersPredicted)

const savedPerRequest = (s: SavingsSums): number => (counterfactual(s) - s.actual) / s.priced
const savedShare = (s: SavingsSums): number => 1 - s.actual / counterfactual(s)

/** Doubly robust, its weights normalised: the prediction, corrected by what came where the model was drawn. */
const qualityWith = (s: SavingsSums): number => s.quality / s.requests + s.qualityResidual / s.weight
const rewardWith = (s: SavingsSums): number => s.reward / s.requests + s.rewardResidual / s.weight
const qualityGain = (s: SavingsSums): number => s.realQuality / s.realWeight - qualityWith(s)
const rewardGain = (s: SavingsSums): number => s.realReward / s.realWeight - rewardWith(s)

/** As many judged answers of equal weight say as much (Kish). */
const effective = (weight: number, squared: number): number => (squared === 0 ? 0 : Math.floor(weight ** 2 / squared))

const effectiveAnswers = (s: SavingsSums): number => effective(s.odds, s.oddsSquared)

/** Whether it is known what the answers of others would have cost with this model. */
const isPriced = (s: SavingsSums): boolean =>
  s.others === 0 ||
  (s.answers >= leastAnswers && effectiveAnswers(s) >= leastEffectiveAnswers && s.answersPredicted > 0)

const because = (reason: string): Estimate => ({ value: null, low: null, high: null, reason })

/**
 * The statistic with its 95 % interval by the jackknife over the folds (one left out at a time), which keeps sessions
 * together and each request paired with itself: whatever the statistic is made of is uncertain in it.
 */
export const jackknife = (rows: ReadonlyArray<SavingsRow>, statistic: (sums: SavingsSums) => number): Estimate => {
  const byFold = Array.from({ length: folds }, (_, fold) => sumOf(rows.filter((row) => row.fold === fold))).filter(
    (sums) => sums.requests > 0
  )
  const filled = byFold.length
  if (filled < leastFolds)
    return because("these requests are too few, or of too few sessions, to tell how sure this is")
  const value = statistic(sumOf(byFold))
  const without = byFold.map((_, left) => statistic(sumOf(byFold.filter((_, fold) => fold !== left))))
  const mean = without.reduce((sum, one) => sum + one, 0) / filled
  const variance = ((filled - 1) / filled) * without.reduce((sum, one) => sum + (one - mean) ** 2, 0)
  const half = studentQuantile(filled - 1) * Math.sqrt(variance)
  return Number.isFinite(value) && Number.isFinite(half)
    ? { value, low: value - half, high: value + half, reason: null }
    : because("these requests are too few to tell how sure this is")
}

const times = (estimate: Estimate, factor: number): Estimate =>
  estimate.value === null
    ? estimate
    : { value: estimate.value * factor, low: estimate.low * factor, high: estimate.high * factor, reason: null }

/** Why the cost of these requests with this model is not known; null if it is. */
const unpriced = (model: string, s: SavingsSums): string | null => {
  if (s.priced === 0) return `no answered request has a known cost and one that was predicted for ${model}`
  return isPriced(s)
    ? null
    : `what the other answers would have cost with ${model} is only predicted yet: it was drawn for ${s.answers} answers of known cost ` +
        `(${leastAnswers} are needed), and as it was not drawn evenly, they count as ${effectiveAnswers(s)} (${leastEffectiveAnswers} are needed); more requests help`
}

/** Why the quality of this model on these requests is not known; null if it is. */
const unjudged = (model: string, s: SavingsSums): string | null => {
  const worth = effective(s.weight, s.weightSquared)
  return s.judged < leastJudged || worth < leastEffective
    ? `how good ${model} would be on all these requests is not known yet: it was drawn for ${s.judged} whose answer was judged ` +
        `(${leastJudged} are needed), and as it was not drawn evenly, they count as ${worth} (${leastEffective} are needed); more feedback helps`
    : null
}

/** Why the quality of what answered these requests is not known; null if it is. */
const unknownReal = (s: SavingsSums): string | null =>
  s.realUnknown > mostUnknown * s.requests
    ? `${s.realUnknown} of ${s.requests} requests were answered by models of which no answer was judged: feedback on some of theirs helps`
    : null

const compared = ({ sampled }: SavingsRows, model: string, rows: ReadonlyArray<SavingsRow>): Comparison => {
  const sums = sumOf(rows)
  const cost = unpriced(model, sums)
  const quality = unjudged(model, sums) ?? unknownReal(sums)
  return {
    model,
    requests: Math.round(sums.requests / sampled),
    savedUsd: cost === null ? times(jackknife(rows, savedPerRequest), sums.priced / sampled) : because(cost),
    savedShare: cost === null ? jackknife(rows, savedShare) : because(cost),
    predictedSavedUsd: sums.priced === 0 ? null : (sums.own + sums.others - sums.actual) / sampled,
    qualityGain: quality === null ? jackknife(rows, qualityGain) : because(quality),
    rewardGain: quality === null ? jackknife(rows, rewardGain) : because(quality)
  }
}

const nobody = (reason: string): Comparison => ({
  model: null,
  requests: 0,
  savedUsd: because(reason),
  savedShare: because(reason),
  predictedSavedUsd: null,
  qualityGain: because(reason),
  rewardGain: because(reason)
})

/** Against the model that was predicted to be the best: the money is told, and not what nobody knows of its quality. */
const asPredicted = (
  found: SavingsRows,
  models: ReadonlyArray<{
    readonly model: string
    readonly rows: ReadonlyArray<SavingsRow>
    readonly sums: SavingsSums
  }>,
  reason: string
): Comparison => {
  const likely = highest(models, ({ sums }) => sums.quality / sums.requests)
  return likely === undefined
    ? nobody(reason)
    : { ...compared(found, likely.model, likely.rows), qualityGain: because(reason), rewardGain: because(reason) }
}

/** What the model would cost a request: as above where that is known, else as it was predicted. */
const expectedCost = (s: SavingsSums): number => (isPriced(s) ? counterfactual(s) : s.own + s.others) / s.priced

const highest = <A>(all: ReadonlyArray<A>, of: (one: A) => number): A | undefined =>
  all.reduce<A | undefined>((best, one) => (best === undefined || of(one) > of(best) ? one : best), undefined)

/**
 * Against always the dearest model: of those that were eligible for at least half of the requests, the one with the
 * highest expected cost. And against always the best one: the highest estimated quality among those whose quality is
 * known, if there are two such models or no other one at all; else the highest quality that was predicted, whose quality
 * gain is not known.
 */
export const savings = (found: SavingsRows): Savings => {
  const names = Array.from(new Set(found.rows.map((row) => row.model))).sort()
  const models = names
    .map((model) => {
      const rows = found.rows.filter((row) => row.model === model)
      return { model, rows, sums: sumOf(rows) }
    })
    .filter(({ sums }) => sums.requests > 0 && sums.requests >= leastEligible * found.requests)
  if (models.length === 0) {
    const reason = "there is no routed request that ended with an answer or a failure of the models"
    return { best: nobody(reason), dearest: nobody(reason), unknown: [] }
  }

  const dearest = highest(
    models.filter(({ sums }) => sums.priced > 0),
    ({ sums }) => expectedCost(sums)
  )
  const known = models.filter(({ model, sums }) => unjudged(model, sums) === null)
  const best = highest(known, ({ sums }) => qualityWith(sums))
  const unknown = models.filter((one) => !known.includes(one))
  const why = unknown.slice(0, 5).map(({ model, sums }) => unjudged(model, sums))
  return {
    dearest:
      dearest === undefined
        ? nobody("no answered request has a known cost")
        : compared(found, dearest.model, dearest.rows),
    best:
      best === undefined || (known.length < 2 && unknown.length > 0)
        ? asPredicted(found, models, `which model is best is not known: ${why.join("; ")}`)
        : compared(found, best.model, best.rows),
    unknown: unknown.map(({ model }) => model)
  }
}
