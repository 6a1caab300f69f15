import { timingSafeEqual } from "node:crypto"
import { holderOf, type KeyHolder, type KeyRecord } from "../../../domain/access/ApiKey.ts"
import type { KeyMatch } from "../../../services/api/Keys.ts"
import { hashOf } from "./Secret.ts"

interface Entry {
  readonly hash: Buffer
  readonly holder: KeyHolder
  /** Of the secret and of its key, the earlier one. */
  readonly untilMillis: number
}

/** Secrets whose hash is remembered, so that most requests compute none. */
const mostRemembered = 10_000

/**
 * The keys that are known now, by source. Looking one up costs the same for one key and for a thousand: a secret is found by
 * its hash, and that by the secret once it was right. What was wrong is not remembered, so nobody can fill the memory.
 */
export class KeyRing {
  readonly #nowMillis: () => number
  readonly #sources = new Map<string, ReadonlyArray<KeyRecord>>()
  #byHash = new Map<string, Entry>()
  #remembered = new Map<string, Entry>()

  constructor(nowMillis: () => number) {
    this.#nowMillis = nowMillis
  }

  /** There is no key, of any source, a revoked one either. */
  get isEmpty(): boolean {
    return this.#byHash.size === 0
  }

  /** Puts these in the place of what the source had. Where two have one secret, the first source's counts. */
  replace(source: string, keys: ReadonlyArray<KeyRecord>): void {
    this.#sources.set(source, keys)
    const byHash = new Map<string, Entry>()
    for (const records of this.#sources.values()) for (const key of together(records)) add(byHash, key)
    this.#byHash = byHash
    this.#remembered = new Map()
  }

  find(presented: string): KeyMatch | null {
    const entry = this.#remembered.get(presented) ?? this.#byHashOf(presented)
    return entry === null ? null : { holder: entry.holder, isExpired: entry.untilMillis <= this.#nowMillis() }
  }

  /** One of each name. */
  named(): ReadonlyArray<KeyHolder> {
    const byName = new Map<string, KeyHolder>()
    for (const { holder } of this.#byHash.values()) {
      if (holder.owner !== null && !byName.has(holder.owner)) byName.set(holder.owner, holder)
    }
    return Array.from(byName.values())
  }

  #byHashOf(presented: string): Entry | null {
    const hash = hashOf(presented)
    const entry = this.#byHash.get(hash)
    if (entry === undefined || !timingSafeEqual(entry.hash, Buffer.from(hash, "hex"))) return null
    if (this.#remembered.size >= mostRemembered) this.#remembered.clear()
    this.#remembered.set(presented, entry)
    return entry
  }
}

const add = (byHash: Map<string, Entry>, key: KeyRecord): void => {
  for (const { hash, validUntilMillis } of key.secrets) {
    if (byHash.has(hash)) continue
    const untilMillis = Math.min(validUntilMillis ?? Infinity, key.expiresAtMillis ?? Infinity)
    byHash.set(hash, { hash: Buffer.from(hash, "hex"), holder: holderOf(key, hash), untilMillis })
  }
}

/** Two entries of one name with the same profile are one key with two secrets. */
const together = (records: ReadonlyArray<KeyRecord>): ReadonlyArray<KeyRecord> => {
  const byName = new Map<string, KeyRecord>()
  const unnamed: Array<KeyRecord> = []
  for (const record of records) {
    if (record.name === null) unnamed.push(record)
    else {
      const before = byName.get(record.name)
      byName.set(
        record.name,
        before === undefined ? record : { ...before, secrets: [...before.secrets, ...record.secrets] }
      )
    }
  }
  return [...byName.values(), ...unnamed]
}
