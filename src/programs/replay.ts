import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Fold from "../domain/learning/Fold.ts"
import * as Hierarchical from "../domain/learning/bandit/Hierarchical.ts"
import { costUsd } from "../domain/routing/Cost.ts"
import type { Candidate, Decision } from "../domain/routing/Decision.ts"
import type { Position, RouterId } from "../domain/basics/Ids.ts"
import { referenceTokens } from "../domain/routing/Reference.ts"
import { compose, costScore, latencyScore } from "../domain/routing/Score.ts"
import type { Weights } from "../domain/routing/Weights.ts"
import type * as Learning from "../domain/learning/LearnedState.ts"
import * as ModelCatalogFile from "../layers/models/ModelCatalogFile.ts"
import * as SettingsEnv from "../layers/running/SettingsEnv.ts"
import { type Catalog, ModelCatalog } from "../services/models/ModelCatalog.ts"
import { columns } from "./tools/Columns.ts"
import { eachDecision } from "./tools/LoggedDecisions.ts"
import { foldOn, type OpenRouter, withRouter } from "./tools/OpenRouter.ts"
import { Refused } from "./tools/Refused.ts"
import { weightsOf } from "./tools/WeightsText.ts"

/** A whole number is a position; anything else a time. */
const untilOf = (open: OpenRouter, text: Option.Option<string>, end: Position) =>
  Effect.gen(function* () {
    if (Option.isNone(text)) return end
    if (/^\d+$/.test(text.value)) return Math.min(Number(text.value), end)
    const millis = Date.parse(text.value)
    if (Number.isNaN(millis)) {
      return yield* new Refused({
        detail: `--until ${JSON.stringify(text.value)}: a position of the log (0 to ${end}) or a time such as 2026-01-31T12:00:00Z`
      })
    }
    return yield* open.tools.positionAt(open.router.id, millis)
  })

/** What one model would be for a request, by the state and today's prices. */
interface Prospect {
  readonly model: string
  readonly score: number
  readonly quality: number
  readonly costUsd: number | null
}

const bestOf = (prospects: ReadonlyArray<Prospect>): Prospect | undefined =>
  prospects.reduce<Prospect | undefined>(
    (best, one) => (best === undefined || one.score > best.score ? one : best),
    undefined
  )

/** At the point where models are compared: neutral features, the reference request. */
const atReference = ({ state }: Learning.Learning, catalog: Catalog, weights: Weights): ReadonlyArray<Prospect> =>
  catalog.models
    .filter((model) => model.unavailable === null)
    .map((model) => {
      const learned = Hierarchical.learned(state, model.id, model.priorQuality)
      const quality = learned.successRate * learned.quality.mean
      const { costUsd, mean } = compose({
        prediction: {
          quality,
          qualitySd: 0,
          qualityRise: 0,
          outputTokens: learned.outputTokensMean,
          latencyScore: latencyScore(learned.latencySecondsMean, state.parameters.latencyReferenceSeconds)
        },
        price: model,
        inputTokens: referenceTokens.input,
        maxTokens: null,
        weights,
        costReferenceUsd: catalog.costReferenceUsd
      })
      return { model: model.id, score: mean, quality, costUsd }
    })

/** The candidates that the masks of a stored decision left, as the state sees them now; a model without a price of today has its price of then. */
const prospectsOf = (
  { state }: Learning.Learning,
  catalog: Catalog,
  decision: Decision,
  weights: Weights
): ReadonlyArray<Prospect> => {
  const { inputTokens, maxTokens } = decision.request
  const prospect = (candidate: Candidate): Prospect => {
    const model = catalog.byId.get(candidate.model)
    const prediction = Hierarchical.predict(
      state,
      candidate.model,
      model?.priorQuality ?? null,
      decision.request.task,
      decision.features
    )
    const tokens = maxTokens === null ? prediction.outputTokens : Math.min(prediction.outputTokens, maxTokens)
    const cost = model === undefined ? candidate.costUsd : costUsd(model, inputTokens, tokens)
    return {
      model: candidate.model,
      quality: prediction.quality,
      costUsd: cost,
      score:
        weights.quality * prediction.quality +
        weights.cost * costScore(cost, catalog.costReferenceUsd) +
        weights.latency * prediction.latencyScore
    }
  }
  return decision.candidates.filter((candidate) => candidate.eligible).map(prospect)
}

interface Tally {
  decisions: number
  differing: number
  qualityGain: number
  costGainUsd: number
  unpriced: number
  readonly instead: Map<string, number>
}

/** Over every stored decision that a choice was made in: pinned ones, and those of a session, are not. */
const overDecisions = (
  open: OpenRouter,
  learning: Learning.Learning,
  catalog: Catalog,
  weights: Weights,
  until: Position
) =>
  Effect.gen(function* () {
    const tally: Tally = {
      decisions: 0,
      differing: 0,
      qualityGain: 0,
      costGainUsd: 0,
      unpriced: 0,
      instead: new Map()
    }
    yield* eachDecision(open, until, "replaying decisions", ({ decision }) => {
      count(tally, learning, catalog, weights, decision)
      return true
    })
    return tally
  })

const count = (
  tally: Tally,
  learning: Learning.Learning,
  catalog: Catalog,
  weights: Weights,
  decision: Decision
): void => {
  if (decision.reason === "pinned" || decision.reason === "session") return
  const prospects = prospectsOf(learning, catalog, decision, weights)
  const best = bestOf(prospects)
  const made = prospects.find((one) => one.model === decision.chosen)
  if (best === undefined || made === undefined) return
  tally.decisions++
  if (best.model === made.model) return
  tally.differing++
  tally.instead.set(best.model, (tally.instead.get(best.model) ?? 0) + 1)
  tally.qualityGain += best.quality - made.quality
  if (best.costUsd === null || made.costUsd === null) tally.unpriced++
  else tally.costGainUsd += best.costUsd - made.costUsd
}

/** What a replay found out. */
interface Replayed {
  readonly routerId: RouterId
  readonly position: Position
  readonly weights: Weights
  /** The models at the reference point, best first. */
  readonly reference: ReadonlyArray<Prospect>
  readonly tally: Tally
}

const mean = ({ decisions }: Tally, sum: number) => (decisions === 0 ? 0 : sum / decisions)

const asJson = ({ position, reference, routerId, tally, weights }: Replayed): string =>
  JSON.stringify({
    router_id: routerId,
    position,
    weights,
    reference,
    decisions: tally.decisions,
    differing: tally.differing,
    instead: Object.fromEntries(tally.instead),
    quality_difference: mean(tally, tally.qualityGain),
    cost_difference_usd: mean(tally, tally.costGainUsd),
    unpriced: tally.unpriced
  })

const signed = (value: number, digits: number) => `${value < 0 ? "" : "+"}${value.toFixed(digits)}`
const usd = (value: number | null) => (value === null ? "$?" : `$${Number(value.toPrecision(3))}`)
const signedUsd = (value: number) => `${value < 0 ? "-" : "+"}${usd(Math.abs(value))}`

const asText = ({ position, reference, routerId, tally, weights }: Replayed): string => {
  const { decisions, differing, instead, unpriced } = tally
  const percent = (100 * mean(tally, differing)).toFixed(1)
  const byModel = [...instead].map(([model, times]) => `${model} ${times}`).join(", ")
  const leftOut = unpriced === 0 ? "" : ` (${unpriced} without a known price left out of the cost)`
  return [
    `router ${routerId} at position ${position}, weights quality ${weights.quality}, cost ${weights.cost}, latency ${weights.latency}\n`,
    `At the reference point these weights choose ${reference[0]?.model ?? "nothing: no model is available"}:`,
    columns([
      ["model", "score", "quality", "cost of a request"],
      ...reference.map((one) => [one.model, one.score.toFixed(3), one.quality.toFixed(3), usd(one.costUsd)])
    ]),
    `\nOf ${decisions} stored decisions ${differing} (${percent} %) would be another model's${differing === 0 ? "." : `: ${byModel}.`}`,
    `Expected difference a decision: quality ${signed(mean(tally, tally.qualityGain), 4)}, cost ${signedUsd(mean(tally, tally.costGainUsd))}${leftOut}.`
  ].join("\n")
}

/** Folds the log up to there, and asks what is known then about every decision. */
const replayed = (open: OpenRouter, catalog: Catalog, weights: Weights, until: Option.Option<string>) =>
  Effect.gen(function* () {
    const { end, oldest } = yield* open.reader.extent(open.router.id)
    const target = yield* untilOf(open, until, end)
    if (oldest > 1) {
      yield* Effect.logWarning(`the log begins at position ${oldest}: what was learned before is not in this replay`)
    }
    const { learned: learning } = open.reader.beginning()
    const fold = Fold.make(learning, oldest === 0 ? 0 : Math.min(oldest - 1, target))
    yield* foldOn(open, fold, target)
    return {
      routerId: open.router.id,
      position: Fold.position(fold),
      weights,
      reference: atReference(learning, catalog, weights).toSorted((a, b) => b.score - a.score),
      tally: yield* overDecisions(open, learning, catalog, weights, target)
    } satisfies Replayed
  })

/** `conduit replay`: what other weights would have chosen, by what was known at some point of the log. */
export const replay = Command.make(
  "replay",
  {
    weights: Options.text("weights").pipe(
      Options.withDescription("what matters, as quality,cost,latency; for example 0.7,0.2,0.1")
    ),
    until: Options.text("until").pipe(
      Options.optional,
      Options.withDescription("position of the log, or a time such as 2026-01-31T12:00:00Z; the end if not given")
    ),
    json: Options.boolean("json").pipe(Options.withDescription("print JSON"))
  },
  ({ json, until, weights }) =>
    Effect.gen(function* () {
      const wanted = yield* weightsOf(weights)
      const catalog = (yield* ModelCatalog).current()
      yield* withRouter((open) =>
        Effect.flatMap(replayed(open, catalog, wanted, until), (result) =>
          Console.log(json ? asJson(result) : asText(result))
        )
      )
    }).pipe(
      Effect.provide(
        ModelCatalogFile.layer.pipe(Layer.provideMerge(SettingsEnv.layer), Layer.provide(SettingsEnv.environment))
      )
    )
).pipe(
  Command.withDescription(
    "What other weights would choose, by what was known at a point of the log, and what it would cost"
  )
)
