import * as Either from "effect/Either"
import { presetAddress, presetKey, type PresetName, presetOf } from "../../domain/models/Presets.ts"

/** The whole value names one variable, as other gateways write it. */
const wholeForms = [/^\$([A-Za-z_][A-Za-z0-9_]*)$/, /^os\.environ\/([A-Za-z_][A-Za-z0-9_]*)$/]

/** A value of `conduit.yaml` with the environment's variables in it. */
export interface Filled {
  readonly text: string
  /** Variables that are named without a default, and are not set. */
  readonly missing: ReadonlyArray<string>
}

/** Replaces `${NAME}` and `${NAME:-default}` anywhere, and `$NAME` or `os.environ/NAME` where it is the whole value. */
export const fill = (text: string, variables: ReadonlyMap<string, string>): Filled => {
  const whole = wholeForms.flatMap((form) => form.exec(text)?.[1] ?? [])[0]
  const missing: Array<string> = []
  const filled = (whole === undefined ? text : `\${${whole}}`).replace(
    /\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g,
    (_, name: string, byDefault: string | undefined) => {
      const value = variables.get(name) ?? byDefault
      if (value === undefined) missing.push(name)
      return value ?? ""
    }
  )
  return { text: filled, missing }
}

/** The address of a provider, as it is written, or that of its preset. */
export const addressIn = ({ baseUrl, preset }: ProviderText, variables: ReadonlyMap<string, string>): Filled => {
  if (baseUrl !== undefined || preset === undefined) return fill(baseUrl ?? "", variables)
  const { missing, url } = presetAddress(presetOf(preset), variables)
  return { text: url, missing }
}

/** Its key, as it is written, or of its file, where that was read, or that of its preset. */
export const keyIn = (
  { apiKey, apiKeyFile, preset }: ProviderText,
  variables: ReadonlyMap<string, string>,
  keyOfFile: string | undefined
): Filled => {
  if (apiKeyFile !== undefined) return { text: keyOfFile ?? "", missing: fill(apiKeyFile, variables).missing }
  if (apiKey !== undefined || preset === undefined) return fill(apiKey ?? "", variables)
  const { key, missing } = presetKey(presetOf(preset), variables)
  return { text: key, missing }
}

interface ProviderText {
  readonly preset?: PresetName
  readonly baseUrl?: string
  readonly apiKey?: string
  readonly apiKeyFile?: string
}

const addressForm = 'an http:// or https:// address, for example "http://127.0.0.1:9001/v1"'

/** The address under which a provider's operations are; or what would be right. It may have a query, which every call gets. */
export const baseUrlOf = (text: string): Either.Either<string, string> => {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || !/^https?:$/.test(url.protocol)) return Either.left(addressForm)
  if (url.username !== "" || url.password !== "") {
    return Either.left(`${addressForm}, without user and password: a key is given as apiKey`)
  }
  if (url.hash !== "") return Either.left(`${addressForm}, without #`)
  const path = url.pathname.replace(/\/+$/, "").replace(/\/(?:chat\/completions|messages)$/, "")
  return Either.right(`${url.origin}${path}${url.search}`)
}

/** Null is no key. A header can carry visible ASCII only. */
export const apiKeyOf = (text: string): Either.Either<string | null, string> => {
  if (text === "") return Either.right(null)
  return /^[\x21-\x7e]+$/.test(text)
    ? Either.right(text)
    : Either.left("visible ASCII characters without spaces, as a header can carry them")
}
