import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { parseDocument } from "yaml"
import { durationFromText } from "../../domain/basics/DurationText.ts"
import { ModelId } from "../../domain/basics/Ids.ts"
import { must, mustSecretly, problemsOf } from "../../domain/basics/SchemaProblems.ts"
import type { Signal } from "../../domain/learning/Signals.ts"
import { isObject } from "../../domain/models/Json.ts"
import { reasoningEfforts, verbosities } from "../../domain/models/ModelParams.ts"
import { presetNames } from "../../domain/models/Presets.ts"
import { providerKindNames } from "../../domain/models/ProviderKind.ts"
import { policyAlgorithms, policyModes } from "../../domain/routing/Policy.ts"
import { preferenceNames } from "../../domain/routing/Weights.ts"
import { problemsBetween } from "./ConfigProblems.ts"

const price = "USD per million tokens, 0 or more"
const Price = Schema.Number.annotations(must(price)).pipe(Schema.finite(must(price)), Schema.nonNegative(must(price)))

const name = "a name of 1 to 64 characters of A-Z a-z 0-9 . _ -"
const Name = Schema.String.annotations(must(name)).pipe(Schema.pattern(/^[A-Za-z0-9._-]{1,64}$/, must(name)))

const modelId = '1 to 128 characters of A-Z a-z 0-9 . _ : / -, and not "auto"'
const unit = "a number from 0 to 1"
const deviation = "a number above 0 and up to 1"
const tokens = "a whole number of tokens above 0"
const upstream = "the name that the provider knows the model by"
const baseUrl = 'an address such as "http://127.0.0.1:9001/v1", or "${NAME}" for a variable of the environment'
const apiKey = 'a text, best "${NAME}" for a variable of the environment'
const apiKeyFile = "the path of a file that has the key and nothing else, from the folder of this file"

const modelList =
  'where under baseUrl the models are listed, such as "models" or "model/info", or false to ask for no list'

const Flag = Schema.Boolean.annotations(must("true or false"))
const Tokens = Schema.Number.annotations(must(tokens)).pipe(Schema.int(must(tokens)), Schema.positive(must(tokens)))

/** Where it is not stated, the price of what it is a part of: cached and audio input are input, reasoning is output. */
const rarerRates = {
  cachedInputUsdPerMTok: Schema.optionalWith(Price, { exact: true }),
  cacheWriteUsdPerMTok: Schema.optionalWith(Price, { exact: true }),
  cacheWrite1hUsdPerMTok: Schema.optionalWith(Price, { exact: true }),
  reasoningUsdPerMTok: Schema.optionalWith(Price, { exact: true }),
  audioInputUsdPerMTok: Schema.optionalWith(Price, { exact: true }),
  audioOutputUsdPerMTok: Schema.optionalWith(Price, { exact: true })
}
const RarerRates = Schema.Struct(rarerRates)
export type RarerRates = typeof RarerRates.Type

/** Other prices for all tokens of a request whose input is longer. */
const Tier = Schema.Struct({
  aboveInputTokens: Tokens,
  inputUsdPerMTok: Schema.optionalWith(Price, { exact: true }),
  outputUsdPerMTok: Schema.optionalWith(Price, { exact: true }),
  ...rarerRates
})

/** Of requests that the provider says it served in this tier, whatever their length. */
const ServiceTier = Schema.Struct({ inputUsdPerMTok: Price, outputUsdPerMTok: Price, ...rarerRates })

/** What the model can do, as `{ vision: false }`. */
const Capabilities = Schema.Struct({
  vision: Schema.optionalWith(Flag, { exact: true }),
  audio: Schema.optionalWith(Flag, { exact: true }),
  files: Schema.optionalWith(Flag, { exact: true }),
  tools: Schema.optionalWith(Flag, { exact: true }),
  json_schema: Schema.optionalWith(Flag, { exact: true }),
  reasoning: Schema.optionalWith(Flag, { exact: true }),
  logprobs: Schema.optionalWith(Flag, { exact: true }),
  choices: Schema.optionalWith(Flag, { exact: true }),
  native_tools: Schema.optionalWith(Flag, { exact: true })
})

const spelling = "the name of the field for this model, or null where it does not take it"
const Spelling = Schema.optionalWith(Schema.NullOr(Schema.NonEmptyString).annotations(must(spelling)), { exact: true })

/** Fields that the model spells differently, as `{ max_tokens: max_completion_tokens, temperature: null }`. */
const DialectEntry = Schema.Struct({
  max_tokens: Spelling,
  max_completion_tokens: Spelling,
  temperature: Spelling,
  parallel_tool_calls: Spelling
})

const temperature = "a number from 0 to 2"

/** What the model is asked where the caller does not say, as `{ reasoning_effort: low }`. */
const Params = Schema.Struct({
  reasoning_effort: Schema.optionalWith(
    Schema.Literal(...reasoningEfforts).annotations(must(reasoningEfforts.join(", "))),
    { exact: true }
  ),
  max_tokens: Schema.optionalWith(Tokens, { exact: true }),
  temperature: Schema.optionalWith(
    Schema.Number.annotations(must(temperature)).pipe(Schema.between(0, 2, must(temperature))),
    { exact: true }
  ),
  verbosity: Schema.optionalWith(Schema.Literal(...verbosities).annotations(must(verbosities.join(", "))), {
    exact: true
  })
})

const timeout = 'a duration above 0 and up to a day, such as "30 seconds" or "2m"'
/** A duration, in milliseconds. */
const Timeout = Schema.optionalWith(
  Schema.Union(Schema.String, Schema.Number)
    .annotations(must(timeout))
    .pipe(Schema.filter((given) => timeoutMillis(given) !== null, must(timeout))),
  { exact: true }
)

const dayMillis = 86_400_000

/** Milliseconds of a time-out as it is written; null if it is none. */
export const timeoutMillis = (given: string | number): number | null => {
  const millis = Option.getOrNull(Option.map(durationFromText(String(given)), Duration.toMillis))
  return millis !== null && millis > 0 && millis <= dayMillis ? millis : null
}

/** How long the provider, or the model, may say nothing. */
const timeouts = { firstByteTimeout: Timeout, idleTimeout: Timeout }

/** `kind` and `baseUrl` may be left out where there is a `preset` (`problemsBetween`). */
const ProviderEntry = Schema.Struct({
  preset: Schema.optionalWith(Schema.Literal(...presetNames).annotations(must(presetNames.join(", "))), {
    exact: true
  }),
  kind: Schema.optionalWith(Schema.Literal(...providerKindNames).annotations(must(providerKindNames.join(" or "))), {
    exact: true
  }),
  baseUrl: Schema.optionalWith(Schema.String.annotations(mustSecretly(baseUrl)), { exact: true }),
  apiKey: Schema.optionalWith(Schema.String.annotations(mustSecretly(apiKey)), { exact: true }),
  apiKeyFile: Schema.optionalWith(
    Schema.String.annotations(must(apiKeyFile)).pipe(Schema.minLength(1, must(apiKeyFile))),
    { exact: true }
  ),
  streamUsage: Schema.optionalWith(Flag, { exact: true }),
  modelList: Schema.optionalWith(
    Schema.Union(Schema.Literal(false), Schema.String)
      .annotations(must(modelList))
      .pipe(Schema.filter((path) => path === false || /^[\w.-]+(?:\/[\w.-]+)*$/.test(path), must(modelList))),
    { exact: true }
  ),
  ...timeouts
})

const ModelEntry = Schema.Struct({
  id: Schema.String.annotations(must(modelId)).pipe(Schema.filter((id) => ModelId.is(id), must(modelId))),
  provider: Name,
  upstream: Schema.optionalWith(Schema.String.annotations(must(upstream)).pipe(Schema.minLength(1, must(upstream))), {
    exact: true
  }),
  inputUsdPerMTok: Schema.optionalWith(Price, { exact: true }),
  outputUsdPerMTok: Schema.optionalWith(Price, { exact: true }),
  ...rarerRates,
  tiers: Schema.optionalWith(Schema.Array(Tier), { exact: true }),
  serviceTiers: Schema.optionalWith(Schema.Record({ key: Name, value: ServiceTier }), { exact: true }),
  contextWindow: Schema.optionalWith(Tokens, { exact: true }),
  maxOutputTokens: Schema.optionalWith(Tokens, { exact: true }),
  capabilities: Schema.optionalWith(Capabilities, { exact: true }),
  dialect: Schema.optionalWith(DialectEntry, { exact: true }),
  params: Schema.optionalWith(Params, { exact: true }),
  /** It makes vectors, of this space. */
  embeddings: Schema.optionalWith(Schema.Struct({ space: Name }), { exact: true }),
  priorQuality: Schema.optionalWith(Schema.Number.annotations(must(unit)).pipe(Schema.between(0, 1, must(unit))), {
    exact: true
  }),
  priorSd: Schema.optionalWith(
    Schema.Number.annotations(must(deviation)).pipe(
      Schema.greaterThan(0, must(deviation)),
      Schema.lessThanOrEqualTo(1, must(deviation))
    ),
    { exact: true }
  ),
  ...timeouts,
  /** False says that it is not, whatever its provider's list says. */
  disabled: Schema.optionalWith(Flag, { exact: true })
})

const aliasName = '1 to 128 characters of A-Z a-z 0-9 . _ : / -, with or without * at the end, and not "auto"'
const aliasModel = "the id of a model, or auto"
const aliasModels = "a list of one or more ids of models"
/** What it stands for: a model, or a choice among some, by a preference. A text alone is its `model`. */
const AliasEntry = Schema.Struct({
  model: Schema.optionalWith(Schema.String.annotations(must(aliasModel)), { exact: true }),
  models: Schema.optionalWith(
    Schema.Array(Schema.String.annotations(must("the id of a model")))
      .annotations(must(aliasModels))
      .pipe(Schema.minItems(1, must(aliasModels))),
    { exact: true }
  ),
  preference: Schema.optionalWith(Schema.Literal(...preferenceNames).annotations(must(preferenceNames.join(", "))), {
    exact: true
  })
})
const isAliasName = (name: string) => ModelId.is(name.endsWith("*") ? `${name.slice(0, -1)}x` : name)

const weight = "a weight above 0 and up to 1"
const Weight = Schema.optionalWith(
  Schema.Number.annotations(must(weight)).pipe(
    Schema.greaterThan(0, must(weight)),
    Schema.lessThanOrEqualTo(1, must(weight))
  ),
  { exact: true }
)

/** What is seen of an answer and counts as a judgement, by weight. */
const SignalWeightsEntry = Schema.Struct({
  failure: Weight,
  refusal: Weight,
  empty: Weight,
  truncation: Weight,
  regeneration: Weight,
  tool_errors: Weight
} satisfies Record<Signal, typeof Weight>)

const judgeModel = "the id of a model that answers chats"
const judgeShare = "a share of the answers above 0 and up to 1"
const judgeBudget = "USD a day above 0"
const judgeConcurrency = "a whole number of 1 to 32"

/** Who judges a share of the answers. */
const JudgeEntry = Schema.Struct({
  model: Schema.String.annotations(must(judgeModel)),
  share: Schema.Number.annotations(must(judgeShare)).pipe(
    Schema.greaterThan(0, must(judgeShare)),
    Schema.lessThanOrEqualTo(1, must(judgeShare))
  ),
  budgetUsdPerDay: Schema.Number.annotations(must(judgeBudget)).pipe(
    Schema.finite(must(judgeBudget)),
    Schema.greaterThan(0, must(judgeBudget))
  ),
  weight: Weight,
  concurrency: Schema.optionalWith(
    Schema.Number.annotations(must(judgeConcurrency)).pipe(
      Schema.int(must(judgeConcurrency)),
      Schema.between(1, 32, must(judgeConcurrency))
    ),
    { exact: true }
  )
})

const algorithm = policyAlgorithms.join(", ").replace(/, (?=[^,]*$)/, " or ")
const preference = preferenceNames.join(", ")

/** `conduit.yaml` as it is written. */
const ConfigFile = Schema.Struct({
  providers: Schema.optionalWith(Schema.Record({ key: Name, value: ProviderEntry }), { exact: true }),
  models: Schema.optionalWith(Schema.Array(ModelEntry), { exact: true }),
  aliases: Schema.optionalWith(
    Schema.Record({
      key: Schema.String.pipe(Schema.filter(isAliasName, must(aliasName))),
      value: AliasEntry
    }),
    { exact: true }
  ),
  policy: Schema.optionalWith(
    Schema.Struct({
      algorithm: Schema.optionalWith(Schema.Literal(...policyAlgorithms).annotations(must(algorithm)), {
        exact: true
      }),
      preference: Schema.optionalWith(Schema.Literal(...preferenceNames).annotations(must(preference)), {
        exact: true
      }),
      mode: Schema.optionalWith(Schema.Literal(...policyModes).annotations(must(policyModes.join(" or "))), {
        exact: true
      }),
      observe: Schema.optionalWith(Schema.String.annotations(must("the id of the model that serves meanwhile")), {
        exact: true
      }),
      passesOnRefusals: Schema.optionalWith(Flag, { exact: true }),
      signals: Schema.optionalWith(SignalWeightsEntry, { exact: true }),
      judge: Schema.optionalWith(JudgeEntry, { exact: true }),
      sessions: Schema.optionalWith(
        Schema.Struct({
          switchBudget: Schema.NonNegative.pipe(Schema.finite()).annotations(
            must("a number of 0 or more: 0.1 is a bill of at most a tenth above never switching")
          )
        }),
        { exact: true }
      )
    }),
    { exact: true }
  )
})
export type ConfigFile = typeof ConfigFile.Type

const decode = Schema.decodeUnknownEither(ConfigFile, { errors: "all", onExcessProperty: "error" })

/** `gpt-4o: large` is short for `gpt-4o: { model: large }`. */
const withWholeAliases = (content: unknown): unknown => {
  if (!isObject(content) || !isObject(content["aliases"])) return content
  const aliases = Object.entries(content["aliases"]).map(([name, entry]) => [
    name,
    typeof entry === "string" ? { model: entry } : entry
  ])
  return { ...content, aliases: Object.fromEntries(aliases) }
}

/** The content of a configuration file, or all its problems, a line each: of entries, and between them. */
export const parseConfigFile = (
  text: string,
  variables: ReadonlyMap<string, string>
): Either.Either<ConfigFile, ReadonlyArray<string>> => {
  const document = parseDocument(text, { prettyErrors: true })
  if (document.errors.length > 0) {
    return Either.left(
      document.errors.map(
        (error) => `line ${error.linePos?.[0].line ?? "?"}: ${error.message.split("\n")[0] ?? error.code}`
      )
    )
  }
  // Aliases that expand without end are refused by the parser's own limit, with an exception.
  return Either.try({
    try: () => withWholeAliases((document.toJS() ?? {}) as unknown),
    catch: () => ["the file has too many aliases"]
  }).pipe(
    Either.flatMap((content) => {
      const between = problemsBetween(content, variables)
      return Either.match(decode(content), {
        onLeft: (error) => {
          const within = problemsOf(error)
          return Either.left([...new Set([...within, ...between])])
        },
        onRight: (file) => (between.length === 0 ? Either.right(file) : Either.left(between))
      })
    })
  )
}
