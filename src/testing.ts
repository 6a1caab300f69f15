import * as Effect from "effect/Effect"
import * as EffectOption from "effect/Option"
import type * as Scope from "effect/Scope"
import { ModelId } from "./domain/basics/Ids.ts"
import type { Option } from "./domain/routing/Choice.ts"
import * as LanguageModelsOwn from "./layers/models/LanguageModelsOwn.ts"
import { defaultScript, type MockScript } from "./programs/mockLlm/MockScript.ts"
import { make, type MockLlm, type MockLlmUnavailable } from "./programs/mockLlm/Server.ts"
import { type ChoiceRuleShape, sharesBy } from "./services/learning/ChoiceRule.ts"
import type { FeatureExtractorShape } from "./services/routing/FeatureExtractor.ts"

// What tests of one's own are made of; of no test framework.

/** A database in memory: whole, and gone with its scope. */
export * as DatabaseMemory from "./layers/storage/memory/DatabaseMemory.ts"

/** Models that answer as the function says; `calls` has each call so far. */
export const recordingModels = (
  answer: (call: LanguageModelsOwn.OwnCall) => string
): {
  readonly layer: ReturnType<typeof LanguageModelsOwn.layer>
  readonly calls: ReadonlyArray<LanguageModelsOwn.OwnCall>
} => {
  const calls: Array<LanguageModelsOwn.OwnCall> = []
  const layer = LanguageModelsOwn.layer((call) =>
    Effect.sync(() => {
      calls.push(call)
      const text = answer(call)
      return { text, inputTokens: 10, outputTokens: Math.max(1, text.split(" ").length) }
    })
  )
  return { layer, calls }
}

/**
 * An OpenAI-compatible server on a free port of 127.0.0.1, until the scope closes: quality, times and faults of its models
 * are scripted, as `conduit mock-llm` has it. `gates` hold answers back until the test opens them.
 */
export const scriptedUpstream = (
  script: MockScript = defaultScript
): Effect.Effect<MockLlm, MockLlmUnavailable, Scope.Scope> =>
  make({ host: "127.0.0.1", port: 0, seed: "test", script, apiKey: EffectOption.none() })

/** One thing that must hold; `run` throws what does not. */
export interface Check {
  readonly name: string
  readonly run: () => void
}

const optionOf = (model: string, over: Partial<Option> = {}): Option => ({
  model: ModelId(model),
  eligible: true,
  excludedBy: null,
  mean: 0.5,
  sd: 0.1,
  rise: 0,
  probeShare: 0,
  quality: 0.5,
  qualitySd: 0.1,
  costUsd: 0.001,
  latencySeconds: 1,
  ...over
})

const must = (isSo: boolean, otherwise: string) => {
  if (!isSo) throw new Error(otherwise)
}

const sets: Readonly<Record<string, ReadonlyArray<Option>>> = {
  "one model": [optionOf("a")],
  "two equal models": [optionOf("a"), optionOf("b")],
  "a model of which nothing is certain": [optionOf("a", { sd: 0.5, qualitySd: 0.5 }), optionOf("b", { mean: 0.9 })],
  "models without a price": [optionOf("a", { costUsd: null }), optionOf("b", { costUsd: null })],
  "models that are worth nothing": [
    optionOf("a", { mean: 0, quality: 0 }),
    optionOf("b", { mean: 0, quality: 0, sd: 0 })
  ],
  "forty models": Array.from({ length: 40 }, (_, i) => optionOf(`model-${i}`, { mean: i / 40, quality: i / 40 }))
}

/** What an algorithm of one's own keeps: shares of 0 to 1 with sum 1 whatever the models are, and the same each time. */
export const ruleContract = (rule: ChoiceRuleShape): ReadonlyArray<Check> => [
  {
    name: "has a name",
    run: () => must(/^[a-z][a-z0-9-]{0,63}$/.test(rule.name), "the name must be lower-case letters, digits and dashes")
  },
  ...Object.entries(sets).map(([name, options]) => ({
    name: `gives shares to ${name}, the same each time`,
    run: () => {
      const first = sharesBy(rule, options)
      const again = sharesBy(rule, options)
      must(
        first.every((share, i) => share === again[i]),
        "the shares must depend on the options alone"
      )
    }
  }))
]

const texts = ["", "What is 17 * 23?", "🙂".repeat(500), "word ".repeat(50_000), "\u0000\ud800"]

/** What features of one's own keep: a fixed length, finite numbers, 1 first, the same each time, for any text. */
export const featuresContract = (extractor: FeatureExtractorShape): ReadonlyArray<Check> => [
  {
    name: "has a version and a dimension",
    run: () => {
      must(extractor.version !== "", "the version must not be empty")
      must(Number.isInteger(extractor.dimension) && extractor.dimension >= 1, "the dimension must be at least 1")
    }
  },
  ...texts.map((text) => ({
    name: `reads ${JSON.stringify(text.slice(0, 20))}, of ${text.length} characters`,
    run: () => {
      const features = extractor.extract(text)
      must(features.length === extractor.dimension, `the length is ${features.length}, not ${extractor.dimension}`)
      must(features[0] === 1, "the first coordinate must be 1")
      must(features.every(Number.isFinite), "all must be finite")
      const again = extractor.extract(text)
      must(
        features.every((value, i) => value === again[i]),
        "they must depend on the text alone"
      )
    }
  }))
]
