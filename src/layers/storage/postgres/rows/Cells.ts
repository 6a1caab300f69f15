import * as Schema from "effect/Schema"
import { DecisionId, ModelId } from "../../../../domain/basics/Ids.ts"
import { preferenceNames } from "../../../../domain/routing/Weights.ts"

export const NullableNumber = Schema.NullOr(Schema.Number)
export const NullableText = Schema.NullOr(Schema.String)
export const NullableBoolean = Schema.NullOr(Schema.Boolean)
export const DecisionIdCell = Schema.String.pipe(Schema.fromBrand(DecisionId))
export const ModelIdCell = Schema.String.pipe(Schema.fromBrand(ModelId))

/** Model ids, which contain no comma: a text array's headers would be as long as the names. */
export const ModelsCell = Schema.split(",").pipe(Schema.compose(Schema.Array(ModelIdCell)))

/** Attempts without their keys: model, ok, status, latency in milliseconds, error. Null is the one that the outcome tells. */
export const AttemptsCell = Schema.parseJson(
  Schema.Array(Schema.Tuple(ModelIdCell, Schema.Boolean, NullableNumber, Schema.Number, NullableText))
)

const exact = { exact: true } as const
export const ConstraintsCell = Schema.parseJson(
  Schema.Struct({
    max_cost_usd: Schema.optionalWith(Schema.Number, exact),
    max_latency_ms: Schema.optionalWith(Schema.Number, exact),
    min_quality: Schema.optionalWith(Schema.Number, exact),
    allowed_models: Schema.optionalWith(Schema.Array(Schema.String), exact),
    provider: Schema.optionalWith(Schema.String, exact)
  })
)

export const DetailsCell = Schema.parseJson(
  Schema.Struct({
    usageEstimated: Schema.optionalWith(Schema.Literal(true), exact),
    cachedTokens: Schema.optionalWith(Schema.Number, exact),
    writtenTokens: Schema.optionalWith(Schema.Number, exact),
    reasoningTokens: Schema.optionalWith(Schema.Number, exact),
    priceSource: Schema.optionalWith(Schema.String, exact),
    cachePriceAssumed: Schema.optionalWith(Schema.Literal(true), exact),
    serviceTier: Schema.optionalWith(Schema.String, exact),
    tierPriceAssumed: Schema.optionalWith(Schema.Literal(true), exact),
    servedModel: Schema.optionalWith(Schema.String, exact),
    upstreamRequestId: Schema.optionalWith(Schema.String, exact),
    pacing: Schema.optionalWith(Schema.Struct({ multiplier: Schema.Number, budgetUsd: Schema.Number }), exact),
    params: Schema.optionalWith(
      Schema.Struct({
        reasoning_effort: Schema.optionalWith(Schema.String, exact),
        max_tokens: Schema.optionalWith(Schema.Number, exact),
        temperature: Schema.optionalWith(Schema.Number, exact),
        verbosity: Schema.optionalWith(Schema.String, exact)
      }),
      exact
    )
  })
)

/**
 * By candidate: what excluded it; empty is excluded by nothing that has a name, null is eligible. During a rolling upgrade
 * replicas of the next version store words that this one does not know: they are kept as they are.
 */
export const ExcludedByCell = Schema.Array(NullableText)

export const PreferenceCell = Schema.Literal(...preferenceNames)
/** One of `reasons`, or a word of a later version. */
export const ReasonCell = Schema.String
