import * as Prompt from "@effect/cli/Prompt"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { presetAddress, presetKey, type PresetName, presetNames, presetOf } from "../../domain/models/Presets.ts"
import { EnvironmentModels, type Offer, type OfferedModel } from "../../services/models/EnvironmentModels.ts"
import { Environment } from "../../services/running/Environment.ts"
import { Refused } from "./Refused.ts"

/** A provider as it was answered for. */
export interface AnsweredProvider {
  readonly name: PresetName
  /** Typed, and not in the environment; null where that has it, or none is needed. */
  readonly key: Redacted.Redacted | null
  /** Typed, and not in the environment. */
  readonly baseUrl: string | null
  readonly models: ReadonlyArray<string>
}

/** Asks somebody at a terminal for providers, their keys, and which of their models shall serve. */
export const askForProviders = Effect.gen(function* () {
  const { variables } = yield* Environment
  const chosen = yield* Prompt.multiSelect({
    message: "Which providers shall answer? (space chooses, return goes on)",
    maxPerPage: 12,
    min: 1,
    choices: presetNames.map((name) => {
      const isKnown = isNamed(name, variables)
      return {
        title: `${presetOf(name).title}${isKnown ? " (in the environment)" : ""}`,
        value: name,
        selected: isKnown
      }
    })
  })
  const answered: Array<AnsweredProvider> = []
  for (const name of chosen) {
    const provider = yield* askForProvider(name, variables)
    if (provider !== null) answered.push(provider)
  }
  return answered
}).pipe(Effect.catchTag("QuitException", () => new Refused({ detail: "stopped: nothing is written" })))

type Variables = ReadonlyMap<string, string>

const isNamed = (name: PresetName, variables: Variables): boolean => {
  const preset = presetOf(name)
  const isTold = variables.has(preset.address.variable) || preset.keys.some((key) => variables.has(key))
  return isTold && presetAddress(preset, variables).missing.length + presetKey(preset, variables).missing.length === 0
}

const again = { key: "type it again", known: "take the models that are known of it", none: "leave it out" } as const
type Again = keyof typeof again

/** Null where it is left out in the end. */
const askForProvider = Effect.fnUntraced(function* (name: PresetName, variables: Variables) {
  const { offered } = yield* EnvironmentModels
  const { title } = presetOf(name)
  for (;;) {
    const typed = yield* askForAccess(name, variables)
    yield* Console.log(`${title}: asking for its models ...`)
    const offer = yield* offered(name, typed)
    if (offer.problem === null && offer.models.length > 0) return yield* askForModels(name, variables, typed, offer)
    yield* Console.log(`${title} was asked in vain: ${offer.problem ?? "it lists no model for chats"}`)
    const ways: ReadonlyArray<Again> = offer.models.length > 0 ? ["key", "known", "none"] : ["key", "none"]
    const way = yield* Prompt.select({
      message: `What about ${title}?`,
      choices: ways.map((value) => ({ title: again[value], value }))
    })
    if (way === "none") return null
    if (way === "known") return yield* askForModels(name, variables, typed, offer)
  }
})

const notEmpty = (what: string) => (text: string) =>
  text.trim() === "" ? Effect.fail(what) : Effect.succeed(text.trim())

/** What the environment does not say of it. */
const askForAccess = Effect.fnUntraced(function* (name: PresetName, variables: Variables) {
  const preset = presetOf(name)
  const typed = new Map<string, string>()
  if (presetAddress(preset, variables).missing.length > 0) {
    const address = yield* Prompt.text({
      message: `${preset.title}: its address (${preset.address.variable})`,
      validate: notEmpty("An address is needed, such as https://models.example.com")
    })
    typed.set(preset.address.variable, address)
  }
  const [keyName] = preset.keys
  if (keyName !== undefined && presetKey(preset, variables).key === "") {
    const key = yield* Prompt.password({
      message: `${preset.title}: its key (${keyName}${preset.isKeyOptional === true ? ", empty for none" : ""})`,
      ...(preset.isKeyOptional === true ? {} : { validate: notEmpty("A key is needed") })
    })
    if (Redacted.value(key) !== "") typed.set(keyName, Redacted.value(key))
  }
  if (preset.modelsIn !== undefined && !variables.has(preset.modelsIn)) {
    const models = yield* Prompt.text({
      message: `${preset.title}: its models, separated by commas (${preset.modelsIn})`,
      validate: notEmpty("At least one is needed")
    })
    typed.set(preset.modelsIn, models)
  }
  return typed
})

const askForModels = Effect.fnUntraced(function* (
  name: PresetName,
  variables: Variables,
  typed: Variables,
  offer: Offer
): Effect.fn.Return<AnsweredProvider, Effect.Effect.Error<ReturnType<typeof Prompt.run>>, Prompt.Prompt.Environment> {
  const preset = presetOf(name)
  const widest = Math.min(40, Math.max(...offer.models.map(({ upstream }) => upstream.length)))
  const models = yield* Prompt.multiSelect({
    message: `${preset.title}: which models? (USD for a million tokens in and out)`,
    maxPerPage: 12,
    min: 1,
    choices: offer.models.map((model) => ({
      title: described(model, widest),
      value: model.upstream,
      selected: model.isUsual
    }))
  })
  const { key } = presetKey(preset, typed)
  return {
    name,
    models,
    key: key === "" ? null : Redacted.make(key),
    baseUrl: variables.has(preset.address.variable) || !typed.has(preset.address.variable) ? null : offer.baseUrl
  }
})

const thousands = (tokens: number) =>
  tokens >= 1_000_000 ? `${Math.round(tokens / 100_000) / 10}M` : `${Math.round(tokens / 1_000)}k`

/** One line that fits a terminal: name, prices, how much it takes, what it can. */
export const described = (
  { can, contextWindow, inputUsdPerMTok, outputUsdPerMTok, upstream }: Omit<OfferedModel, "isUsual">,
  widest: number
): string =>
  [
    upstream.padEnd(widest),
    inputUsdPerMTok === null || outputUsdPerMTok === null
      ? "price unknown"
      : inputUsdPerMTok + outputUsdPerMTok === 0
        ? "free"
        : `$${inputUsdPerMTok} / $${outputUsdPerMTok}`,
    ...(contextWindow === null ? [] : [thousands(contextWindow)]),
    ...(can.length === 0 ? [] : [can.join(" ")])
  ].join("  ")
