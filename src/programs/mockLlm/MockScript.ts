import * as Schema from "effect/Schema"
import { must } from "../../domain/basics/SchemaProblems.ts"
import { scenarioNames } from "../../domain/simulation/Scenario.ts"
import { evenQuality, faults, type ModelScript } from "../../domain/simulation/Script.ts"
import { type Topic, topics } from "../../domain/simulation/Topic.ts"

const exact = { exact: true } as const
const within = (right: string, isRight: (value: number) => boolean) =>
  Schema.Number.annotations(must(right)).pipe(Schema.filter(isRight, must(right)))
const Probability = within("a number from 0 to 1", (value) => value >= 0 && value <= 1)
const Positive = within("a number above 0, or .inf", (value) => value > 0)
const NonNegative = within("a number of 0 or more", (value) => value >= 0)
const Whole = (most: number, right: string) =>
  within(right, (value) => Number.isInteger(value) && value >= 1 && value <= most)
const oneOf = <const Names extends ReadonlyArray<string>>(names: Names) =>
  Schema.Literal(...names).annotations(must(`one of ${names.join(", ")}`))
const quality = `a number from 0 to 1, or one for each of default, ${topics.join(", ")}`

/** What can be said about a model; what is left out is as in `defaults`, or as it was. */
export const Behaviour = Schema.Struct({
  /** One number for all topics, or a number by topic and `default` for the others. */
  quality: Schema.optionalWith(
    Schema.Union(
      Probability,
      Schema.partialWith(Schema.Record({ key: Schema.Literal("default", ...topics), value: Probability }), exact)
    ).annotations(must(quality)),
    exact
  ),
  firstTokenMs: Schema.optionalWith(NonNegative, exact),
  /** `.inf` (the default) writes the whole answer at once. */
  tokensPerSecond: Schema.optionalWith(Positive, exact),
  answerTokens: Schema.optionalWith(Whole(100_000, "a whole number from 1 to 100000"), exact),
  inputUsdPerMTok: Schema.optionalWith(NonNegative, exact),
  outputUsdPerMTok: Schema.optionalWith(NonNegative, exact),
  contextWindow: Schema.optionalWith(Whole(Number.MAX_SAFE_INTEGER, "a whole number of tokens above 0"), exact),
  /** What `GET /v1/models` says of it besides OpenAI's members, as it is sent: docs/mock-llm.md has examples. */
  listed: Schema.optionalWith(Schema.Record({ key: Schema.String, value: Schema.Unknown }), exact),
  /** What it does on the wire; docs/mock-llm.md has the table. */
  scenario: Schema.optionalWith(oneOf(scenarioNames), exact),
  /** Probability of each fault. */
  faults: Schema.optionalWith(
    Schema.partialWith(Schema.Record({ key: Schema.Literal(...faults), value: Probability }), exact),
    exact
  )
})
export type Behaviour = typeof Behaviour.Type

/**
 * `data` is OpenAI's form, `array` Together's, `models` LM Studio's, `litellm` LiteLLM's; `none` is 404, `refused` 401,
 * `broken` no JSON, `silent` never answers.
 */
export const listForms = ["data", "array", "models", "litellm", "none", "refused", "broken", "silent"] as const

export const MockScript = Schema.Struct({
  defaults: Schema.optionalWith(Behaviour, exact),
  models: Schema.optionalWith(Schema.Array(Schema.Struct({ name: Schema.NonEmptyString, ...Behaviour.fields })), exact),
  /** Whether a model of another name is answered too, by the defaults; otherwise it is 404. */
  anyModel: Schema.optionalWith(Schema.Boolean, exact),
  /** How `GET /v1/models` answers. */
  list: Schema.optionalWith(oneOf(listForms), exact)
})
export type MockScript = typeof MockScript.Type

/** Without a script: two models that differ in quality, and any other name. Answers come at once. */
export const defaultScript: MockScript = {
  models: [
    { name: "small-8b", quality: 0.5, inputUsdPerMTok: 0.1, outputUsdPerMTok: 0.1 },
    { name: "large-400b", quality: 0.9, inputUsdPerMTok: 5, outputUsdPerMTok: 15 }
  ],
  anyModel: true
}

const plain = (name: string): ModelScript => ({
  name,
  quality: evenQuality(0.7),
  firstTokenMs: 0,
  tokensPerSecond: Infinity,
  answerTokens: 20,
  inputUsdPerMTok: 1,
  outputUsdPerMTok: 1,
  contextWindow: 128_000,
  faults: {}
})

/** The script with the behaviour laid over it. */
export const applied = (script: ModelScript, { faults, quality, ...numbers }: Behaviour): ModelScript => {
  const merged = (of: Exclude<typeof quality, number | undefined>): ModelScript["quality"] => {
    const by = (topic: Topic) => of[topic] ?? of.default ?? script.quality[topic]
    return {
      code: by("code"),
      math: by("math"),
      translation: by("translation"),
      writing: by("writing"),
      facts: by("facts"),
      chat: by("chat")
    }
  }
  return {
    ...script,
    ...numbers,
    quality:
      quality === undefined ? script.quality : typeof quality === "number" ? evenQuality(quality) : merged(quality),
    faults: { ...script.faults, ...faults }
  }
}

/** The models of a script that is being run; they can be changed while it runs. */
export const makeModels = (script: MockScript) => {
  const base = (name: string) => applied(plain(name), script.defaults ?? {})
  const models = new Map<string, ModelScript>()
  for (const { name, ...behaviour } of script.models ?? []) models.set(name, applied(base(name), behaviour))
  const find = (name: string) => models.get(name) ?? (script.anyModel === true ? base(name) : undefined)
  return {
    all: (): ReadonlyArray<ModelScript> => [...models.values()],
    list: script.list ?? "data",
    find,
    /** False for a model that does not exist. */
    patch: (name: string, behaviour: Behaviour): boolean => {
      const model = find(name)
      if (model !== undefined) models.set(name, applied(model, behaviour))
      return model !== undefined
    }
  }
}
export type Models = ReturnType<typeof makeModels>
