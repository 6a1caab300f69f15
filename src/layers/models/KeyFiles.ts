import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { readFile } from "node:fs/promises"
import { resolve } from "node:path"
import { InvalidSettings } from "../../services/running/Settings.ts"
import type { ConfigFile } from "./ConfigFile.ts"
import { apiKeyOf, fill } from "./ProviderValues.ts"

/** Keys of providers that stand in files of their own (`apiKeyFile`), by provider. */
export type KeyFiles = ReadonlyMap<string, string>

/** Where `conduit.yaml` is, and its name in messages. */
export interface ConfigPlace {
  readonly name: string
  /** Paths in it begin here. */
  readonly folder: string
}

/** A file system that does not answer must not hold up whoever reads for ever. */
const readLimit = Duration.seconds(10)
const longestKey = 64 * 1024

/**
 * Reads all of them, or says all that is wrong: nothing of a file's content is shown. White space around a key is left out,
 * as editors and `kubectl` leave a line's end there. A path whose variable is not set is left out with its provider.
 */
export const readKeyFiles = (
  { providers = {} }: ConfigFile,
  { folder, name }: ConfigPlace,
  variables: ReadonlyMap<string, string>
): Effect.Effect<KeyFiles, InvalidSettings> =>
  Effect.gen(function* () {
    const named = Object.entries(providers).flatMap(([provider, { apiKeyFile }]) => {
      const path = apiKeyFile === undefined ? null : fill(apiKeyFile, variables)
      return path === null || path.missing.length > 0 ? [] : [{ provider, path: resolve(folder, path.text) }]
    })
    const read = yield* Effect.forEach(
      named,
      ({ path, provider }) =>
        Effect.map(Effect.either(keyIn(path)), (key) =>
          Either.mapBoth(key, {
            onLeft: (problem) => `${name}: providers.${provider}.apiKeyFile: ${JSON.stringify(path)} ${problem}`,
            onRight: (text) => [provider, text] as const
          })
        ),
      { concurrency: 16 }
    )
    const problems = read.flatMap((one) => (Either.isLeft(one) ? [one.left] : []))
    if (problems.length > 0) return yield* new InvalidSettings({ problems })
    return new Map(read.flatMap((one) => (Either.isRight(one) ? [one.right] : [])))
  })

const keyIn = (path: string): Effect.Effect<string, string> =>
  Effect.tryPromise({
    try: (signal) => readFile(path, { encoding: "utf8", signal }),
    catch: (cause) =>
      `cannot be read (${cause instanceof Error && "code" in cause ? String(cause.code) : "unreadable"})`
  }).pipe(
    Effect.disconnect,
    Effect.timeoutFail({
      duration: readLimit,
      onTimeout: () => `cannot be read (no answer for ${Duration.toSeconds(readLimit)} s)`
    }),
    Effect.filterOrFail(
      (text) => text.length <= longestKey,
      () => `is longer than ${longestKey} characters, which no key is`
    ),
    Effect.flatMap((text) =>
      Either.mapLeft(apiKeyOf(text.trim()), (right) => `has a content (not shown) that is not right: ${right}`)
    ),
    Effect.filterOrFail(
      (key) => key !== null,
      () => "is empty: write the key into it"
    )
  )

/** Whether no key is another one. */
export const isSame = (before: KeyFiles, after: KeyFiles): boolean =>
  before.size === after.size && [...before].every(([provider, key]) => after.get(provider) === key)
