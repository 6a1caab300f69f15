import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { existsSync } from "node:fs"
import { mkdir, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { presetNames, presetOf } from "../domain/models/Presets.ts"
import * as EnvironmentKeys from "../layers/models/EnvironmentModels.ts"
import * as SettingsEnv from "../layers/running/SettingsEnv.ts"
import { EnvironmentModels } from "../services/models/EnvironmentModels.ts"
import { type AnsweredProvider, askForProviders } from "./tools/AskForProviders.ts"
import { Refused } from "./tools/Refused.ts"
import { targetOf } from "./tools/Service.ts"
import { json } from "./tools/Told.ts"
import { writeConfiguration } from "./tools/WriteConfiguration.ts"

const out = Options.text("out").pipe(
  Options.withDefault("conduit.yaml"),
  Options.withDescription("the file that is written, and never written over; - prints it")
)

const yes = Options.boolean("yes").pipe(
  Options.withDescription("ask nothing: take the providers whose keys are in the environment; so it does in a pipe")
)

const variablesText = presetNames
  .map((name) => {
    const { address, keys, title } = presetOf(name)
    return `  ${title}: ${[...keys.slice(0, 1), ...(address.byDefault === null ? [address.variable] : [])].join(", ")}`
  })
  .join("\n")

const fromEnvironment = (out: string, json: boolean) =>
  Effect.gen(function* () {
    const { found } = yield* EnvironmentModels
    const { content, notices } = yield* found
    if (content.models.length === 0) {
      return yield* new Refused({
        detail: `no provider is known by the environment; run this in a terminal to be asked for keys, or set one of these variables:\n${[variablesText, ...notices].join("\n")}`
      })
    }
    yield* writeConfiguration(out, notices, content, json)
  })

const keyFolder = "conduit.keys"
const keyFileOf = (name: string) => `${keyFolder}/${name}`

/** As `conduit.yaml` has it: a key stands in a file of its own, a model of the name of another has its provider's before it. */
const contentOf = (answered: ReadonlyArray<AnsweredProvider>) => {
  const seen = new Set<string>()
  return {
    providers: Object.fromEntries(
      answered.map(({ baseUrl, key, name }) => [
        name,
        {
          preset: name,
          ...(baseUrl === null ? {} : { baseUrl }),
          ...(key === null ? {} : { apiKeyFile: keyFileOf(name) })
        }
      ])
    ),
    models: answered.flatMap(({ models, name }) =>
      models.map((upstream) => {
        const id = seen.has(upstream) ? `${name}/${upstream}` : upstream
        seen.add(id)
        return {
          id,
          provider: name,
          ...(id === upstream ? {} : { upstream }),
          ...(presetOf(name).isFree === true ? { inputUsdPerMTok: 0, outputUsdPerMTok: 0 } : {})
        }
      })
    )
  }
}

/** For nobody else's eyes, and for no repository. */
const writeKeys = (out: string, answered: ReadonlyArray<AnsweredProvider>) =>
  Effect.tryPromise({
    try: async () => {
      const folder = join(dirname(out), keyFolder)
      await mkdir(folder, { recursive: true, mode: 0o700 })
      await writeFile(join(folder, ".gitignore"), "*\n")
      for (const { key, name } of answered) {
        if (key === null) continue
        await writeFile(join(dirname(out), keyFileOf(name)), `${Redacted.value(key)}\n`, { mode: 0o600 })
      }
    },
    catch: (cause) =>
      new Refused({ detail: `the keys cannot be written: ${cause instanceof Error ? cause.message : String(cause)}` })
  })

const asking = (out: string) =>
  Effect.gen(function* () {
    if (existsSync(out)) return yield* new Refused({ detail: `${out} is there already: name another by --out` })
    const answered = yield* askForProviders
    if (answered.length === 0) return yield* new Refused({ detail: "no provider is left: nothing is written" })
    // First the keys: a configuration without them would not start.
    if (answered.some(({ key }) => key !== null)) {
      yield* writeKeys(out, answered)
      yield* Console.log(`${join(dirname(out), keyFolder)} has the keys, for you alone`)
    }
    yield* writeConfiguration(out, [], contentOf(answered))
    const { base } = yield* targetOf({ apiKey: Option.none(), url: Option.none() })
    yield* Console.log(
      `\nNow start it:\n\n  ${out === "conduit.yaml" ? "" : `CONDUIT_CONFIG=${out} `}conduit serve\n\nand look at ${base}`
    )
  })

/** `conduit init`: a `conduit.yaml` by answers at a terminal, or of the providers that the environment has keys of. */
export const init = Command.make("init", { out, yes, json }, ({ json, out, yes }) =>
  (!yes && !json && out !== "-" && process.stdin.isTTY && process.stdout.isTTY
    ? asking(out)
    : fromEnvironment(out, json)
  ).pipe(
    Effect.provide(
      EnvironmentKeys.layer.pipe(Layer.provide(SettingsEnv.layer), Layer.provideMerge(SettingsEnv.environment))
    )
  )
).pipe(
  Command.withDescription(
    "Write a conduit.yaml: asks at a terminal for providers, keys and models; in a pipe takes the providers whose keys are in the environment"
  )
)
