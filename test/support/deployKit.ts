import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Fs from "node:fs"
import { parse } from "yaml"
import * as SettingsEnv from "../../src/layers/running/SettingsEnv.ts"
import { Environment } from "../../src/services/running/Environment.ts"
import { Settings, type SettingsShape } from "../../src/services/running/Settings.ts"
import type { Manifest } from "./kubernetesSchemas.ts"

const deploy = new URL("../../deploy/", import.meta.url)

export const readDeploy = (path: string): string => Fs.readFileSync(new URL(path, deploy), "utf8")

/** A YAML file under `deploy`, as it is: the tests say what they expect of it. */
export const yamlOf = (path: string): any => parse(readDeploy(path))

/** What the service makes of such an environment, and what it would warn of; fails with all problems. */
export const settingsOf = (
  variables: Readonly<Record<string, string>>
): Promise<{ readonly settings: SettingsShape; readonly warnings: ReadonlyArray<string> }> => {
  const environment = Layer.succeed(Environment, {
    variables: new Map(Object.entries(variables).filter(([, value]) => value !== "")),
    terminal: false
  })
  return Effect.gen(function* () {
    const context = yield* Layer.build(Layer.provideMerge(SettingsEnv.fromEnvironment, environment))
    const warnings = yield* Effect.provide(SettingsEnv.warnings, context)
    return { settings: Context.get(context, Settings), warnings }
  }).pipe(Effect.scoped, Effect.runPromise)
}

/** `45s` or `45` of Compose and Kubernetes. */
export const secondsOf = (text: string | number): number => Number(String(text).replace(/s$/, ""))

/** The documents of a folder of manifests that its kustomization names. */
export const manifestsOf = (folder: string): ReadonlyArray<Manifest> =>
  yamlOf(`${folder}/kustomization.yaml`).resources.map((file: string) => yamlOf(`${folder}/${file}`))

/** What the Secret holds, named as the service reads it. */
export const conduitSecrets: Readonly<Record<string, string>> = {
  DATABASE_URL: "postgres://conduit:secret@db:5432/conduit",
  CONDUIT_API_KEYS: "key",
  OPENAI_API_KEY: "key"
}
