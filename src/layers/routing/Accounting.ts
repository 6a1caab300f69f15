import { costOf, isCachePriceAssumed, isTierPriceAssumed, type Price } from "../../domain/routing/Cost.ts"
import type { Said } from "../../domain/models/Said.ts"
import type { Decision, RoutingRequest } from "../../domain/routing/Decision.ts"
import { answerLimit } from "../../domain/models/ModelParams.ts"
import type { Model } from "../../domain/routing/Model.ts"
import type { OutcomeDetails } from "../../domain/routing/Outcome.ts"
import { isOtherModel } from "../../domain/routing/ModelName.ts"
import { plainUsage, type TokenUsage, usageOf } from "../../domain/routing/Usage.ts"
import type { ExpectedCost } from "../../services/routing/Metering.ts"
import type { ModelCatalogShape } from "../../services/models/ModelCatalog.ts"

/** What an answer used and cost. */
export interface Account {
  /** As the upstream counted; null if it did not. */
  readonly usage: TokenUsage | null
  /** Counted or estimated. */
  readonly outputTokens: number
  readonly costUsd: number | null
  readonly details: OutcomeDetails | null
}

export interface Accounting {
  /** What the model that was chosen is expected to cost for this request. */
  readonly expected: (decision: Decision, request: RoutingRequest) => ExpectedCost
  /** Of an answer as far as it has come; `said` is null where nothing of it has. */
  readonly of: (
    model: Model,
    request: Pick<RoutingRequest, "inputTokens">,
    said: Said | null,
    requestId: string | null
  ) => Account
}

const charsPerToken = 4

/** One function makes money out of what an upstream says. */
export const make = (catalog: Pick<ModelCatalogShape, "current">): Accounting => {
  /** Of the model that answered, where it is another one whose price is known; else of the one that was asked. */
  const priceFor = (model: Model, served: string | null): { readonly price: Price; readonly source: string | null } => {
    const asked = { price: model, source: model.priceSource }
    if (served === null) return asked
    const { models, providers, shippedPrice } = catalog.current()
    const known = models.find((one) => one.provider === model.provider && one.upstream === served)
    if (known !== undefined) return { price: known, source: known.priceSource }
    const provider = providers.get(model.provider)
    const shipped = provider === undefined ? null : shippedPrice(provider, served)
    return shipped === null ? asked : { price: shipped, source: shipped.source }
  }

  return {
    expected: ({ candidates, chosen }, { inputTokens, maxTokens }) => {
      const model = catalog.current().byId.get(chosen)
      return {
        model: chosen,
        expectedUsd: candidates.find((one) => one.model === chosen)?.costUsd ?? null,
        usdOf: (outputTokens) => (model === undefined ? null : costOf(model, plainUsage(inputTokens, outputTokens))),
        maxTokens: model === undefined ? maxTokens : answerLimit(model, maxTokens)
      }
    },
    of: (model, request, said, requestId) => {
      const usage = usageOf(said?.usage ?? null)
      const outputTokens = usage?.outputTokens ?? Math.ceil((said?.characters ?? 0) / charsPerToken)
      const used = usage ?? plainUsage(request.inputTokens, outputTokens)
      const served = said?.servedModel ?? null
      const other = served !== null && isOtherModel(model, served) ? served : null
      const { price, source } = priceFor(model, other)
      return {
        usage,
        outputTokens,
        costUsd: costOf(price, used),
        details: detailsOf({
          isEstimated: usage === null,
          price,
          // What is not in the configuration.
          priceSource: source !== null && source !== catalog.current().source ? source : null,
          requestId,
          servedModel: other,
          used
        })
      }
    }
  }
}

interface Noteworthy {
  readonly isEstimated: boolean
  readonly price: Price
  readonly priceSource: string | null
  readonly requestId: string | null
  readonly servedModel: string | null
  readonly used: TokenUsage
}

/** Null where all is as usual. */
const detailsOf = ({
  isEstimated,
  price,
  priceSource,
  requestId,
  servedModel,
  used
}: Noteworthy): OutcomeDetails | null => {
  const details: { -readonly [Key in keyof OutcomeDetails]: OutcomeDetails[Key] } = {}
  const writtenTokens = used.writtenTokens + used.written1hTokens
  if (isEstimated) details.usageEstimated = true
  if (used.cachedTokens > 0) details.cachedTokens = used.cachedTokens
  if (writtenTokens > 0) details.writtenTokens = writtenTokens
  if (used.reasoningTokens > 0) details.reasoningTokens = used.reasoningTokens
  if (priceSource !== null) details.priceSource = priceSource
  if (isCachePriceAssumed(price, used)) details.cachePriceAssumed = true
  if (used.serviceTier !== null) details.serviceTier = used.serviceTier
  if (isTierPriceAssumed(price, used)) details.tierPriceAssumed = true
  if (servedModel !== null) details.servedModel = servedModel.slice(0, 200)
  if (requestId !== null) details.upstreamRequestId = requestId
  for (const _ in details) return details
  return null
}
