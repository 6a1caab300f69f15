import type { Asker } from "../basics/Owner.ts"

/**
 * What a key may do. `route`: ask models. `feedback`: judge answers. `read`: decisions, statistics, sessions and pages of its own
 * name. `read:all`: those of all names, and metrics. `admin`: all of it, keys and the audit.
 */
export const scopes = ["route", "feedback", "read", "read:all", "admin"] as const
export type Scope = (typeof scopes)[number]

export const usualScopes: ReadonlyArray<Scope> = ["route", "feedback", "read"]

/** What a key may use; null is without a limit. */
export interface KeyLimits {
  readonly requestsPerMinute: number | null
  readonly tokensPerMinute: number | null
  /** At once, on each replica. */
  readonly concurrentRequests: number | null
  /** UTC days and months. */
  readonly usdPerDay: number | null
  readonly usdPerMonth: number | null
  /** Of the budgets: cost weighs more while one is spent faster than its time passes. */
  readonly paced: boolean
}

/** Whether there is anything to count. */
export const hasLimit = (limits: KeyLimits): boolean => Object.values(limits).some((limit) => typeof limit === "number")

export const noLimits: KeyLimits = {
  requestsPerMinute: null,
  tokensPerMinute: null,
  concurrentRequests: null,
  usdPerDay: null,
  usdPerMonth: null,
  paced: false
}

/** What is the same for all secrets of a key. */
export interface KeyProfile {
  readonly scopes: ReadonlyArray<Scope>
  /** Unix milliseconds; null is never. */
  readonly expiresAtMillis: number | null
  /** Ids; null is all. */
  readonly allowedModels: ReadonlyArray<string> | null
  readonly limits: KeyLimits
  readonly labels: Readonly<Record<string, string>>
}

export const usualProfile: KeyProfile = {
  scopes: usualScopes,
  expiresAtMillis: null,
  allowedModels: null,
  limits: noLimits,
  labels: {}
}

/** A secret as it is kept: nothing that could be sent. */
export interface KeySecret {
  /** SHA-256 in hex. */
  readonly hash: string
  /** From then on it opens nothing; null is never. Unix milliseconds. */
  readonly validUntilMillis: number | null
}

/** A key of a setting, of a file or of the database. */
export interface KeyRecord extends KeyProfile {
  /** Null for a key without a name, which its hash is the owner of. */
  readonly name: string | null
  readonly secrets: ReadonlyArray<KeySecret>
}

/** Who has shown a secret, and what may be done with it. */
export interface KeyHolder extends KeyProfile, Asker {
  /** For the audit. */
  readonly label: string
}

export const longestKeyName = 64

/** It begins with a letter and is no hash, so that no name is another key's owner. */
export const isKeyName = (text: string): boolean =>
  /^[A-Za-z][A-Za-z0-9._-]{0,63}$/.test(text) && !/^[0-9a-f]{16}$/.test(text)

export const keyNameRule = `a letter, then up to ${longestKeyName - 1} of A-Z a-z 0-9 . _ -, and not 16 hex digits`

const ownerDigits = 16

/** Under which the rows of a key without a name are written. */
export const ownerOfHash = (hash: string): string => hash.slice(0, ownerDigits)

/** By which people tell secrets of one key apart. */
export const secretId = (hash: string): string => hash.slice(0, ownerDigits)

export const holderOf = (
  { allowedModels, expiresAtMillis, labels, limits, name, scopes, secrets }: KeyRecord,
  hash: string
): KeyHolder => {
  const profile = { scopes, expiresAtMillis, allowedModels, limits, labels }
  if (name === null) return { ...profile, owner: ownerOfHash(hash), label: `key ${ownerOfHash(hash)}` }
  // What a secret did before it had the name.
  const formerOwners = secrets.map((secret) => ownerOfHash(secret.hash))
  return { ...profile, owner: name, formerOwners, label: `key ${name}` }
}

export const allows = ({ scopes }: Pick<KeyProfile, "scopes">, scope: Scope): boolean =>
  scopes.includes("admin") || scopes.includes(scope) || (scope === "read" && scopes.includes("read:all"))

/**
 * A key of a setting: plain, `name:key`, or either with `sha256:` and 64 hex digits instead of the key. A plain key that
 * has a colon in it stays what it was too: both texts open it. What is wrong is null.
 */
export const parseKey = (
  text: string,
  sha256: (text: string) => string
): Pick<KeyRecord, "name" | "secrets"> | null => {
  const hashOf = (key: string): string | null => {
    if (!key.startsWith("sha256:")) return key === "" ? null : sha256(key)
    const hash = key.slice("sha256:".length).toLowerCase()
    return /^[0-9a-f]{64}$/.test(hash) ? hash : null
  }
  const secretsOf = (hashes: ReadonlyArray<string>) => hashes.map((hash) => ({ hash, validUntilMillis: null }))
  const colon = text.indexOf(":")
  const name = text.slice(0, colon)
  if (colon === -1 || name === "sha256" || !isKeyName(name)) {
    const hash = hashOf(text)
    return hash === null ? null : { name: null, secrets: secretsOf([hash]) }
  }
  const key = text.slice(colon + 1)
  const hash = hashOf(key)
  if (hash === null) return null
  return { name, secrets: secretsOf(key.startsWith("sha256:") ? [hash] : [hash, sha256(text)]) }
}
