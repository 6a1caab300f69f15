import { ModelId } from "../basics/Ids.ts"
import { noMoreRates } from "../routing/Cost.ts"
import type { Model } from "../routing/Model.ts"
import { neutral } from "../routing/Reference.ts"
import { evenQuality, meanQuality, type ModelScript } from "./Script.ts"

/** Four models that are worth telling apart: cheap and weak, good at one thing, good, best and dear. */
const fleet: ReadonlyArray<ModelScript> = [
  {
    name: "sim-small",
    quality: { code: 0.45, math: 0.4, translation: 0.72, writing: 0.6, facts: 0.62, chat: 0.8 },
    firstTokenMs: 30,
    tokensPerSecond: 1200,
    answerTokens: 60,
    inputUsdPerMTok: 0.1,
    outputUsdPerMTok: 0.4,
    contextWindow: 32_000,
    faults: {}
  },
  {
    name: "sim-code",
    quality: { code: 0.92, math: 0.78, translation: 0.5, writing: 0.45, facts: 0.5, chat: 0.6 },
    firstTokenMs: 60,
    tokensPerSecond: 900,
    answerTokens: 90,
    inputUsdPerMTok: 0.5,
    outputUsdPerMTok: 1.5,
    contextWindow: 128_000,
    faults: {}
  },
  {
    name: "sim-medium",
    quality: { code: 0.7, math: 0.68, translation: 0.85, writing: 0.84, facts: 0.8, chat: 0.85 },
    firstTokenMs: 80,
    tokensPerSecond: 800,
    answerTokens: 110,
    inputUsdPerMTok: 1,
    outputUsdPerMTok: 4,
    contextWindow: 128_000,
    faults: {}
  },
  {
    name: "sim-large",
    quality: { code: 0.9, math: 0.93, translation: 0.93, writing: 0.92, facts: 0.94, chat: 0.9 },
    firstTokenMs: 150,
    tokensPerSecond: 700,
    answerTokens: 150,
    inputUsdPerMTok: 5,
    outputUsdPerMTok: 20,
    contextWindow: 200_000,
    faults: {}
  }
]

/** The models of a start without any usable provider. */
export const simulatedModels: ReadonlyArray<Model> = fleet.map((script) => ({
  id: ModelId(script.name),
  provider: "simulated",
  upstream: script.name,
  inputUsdPerMTok: script.inputUsdPerMTok,
  outputUsdPerMTok: script.outputUsdPerMTok,
  priceSource: "simulated",
  contextWindow: script.contextWindow,
  moreRates: noMoreRates,
  maxOutputTokens: null,
  abilities: {},
  dialect: {},
  priorQuality: Math.round(meanQuality(script) * 100) / 100,
  unavailable: null,
  simulated: true
}))

const byName = new Map(fleet.map((script) => [script.name, script]))

/** The script of a simulated model; one that is not of the fleet is equally good at everything, by its prior. */
export const scriptOf = (model: Model): ModelScript =>
  byName.get(model.upstream) ?? {
    name: model.upstream,
    quality: evenQuality(model.priorQuality ?? neutral),
    firstTokenMs: 60,
    tokensPerSecond: 900,
    answerTokens: 90,
    inputUsdPerMTok: model.inputUsdPerMTok ?? 0,
    outputUsdPerMTok: model.outputUsdPerMTok ?? 0,
    contextWindow: model.contextWindow ?? 128_000,
    faults: {}
  }
