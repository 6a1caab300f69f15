import * as Effect from "effect/Effect"
import type { AuditEntry, AuditNote, KeyStoreShape, StoredKey } from "../../../services/storage/KeyStore.ts"

/** Until the process ends. Whole, because it is one service: a method each, over the same rows. */
export const makeKeyStore = (): KeyStoreShape => {
  const keys = new Map<string, StoredKey>()
  const entries: Array<AuditEntry> = []
  let revision = 0

  const note = (entry: AuditNote) => {
    entries.push({ ...entry, id: entries.length + 1 })
  }
  const changed = (key: StoredKey, entry: AuditNote) => {
    keys.set(key.name, key)
    revision++
    note(entry)
    return true
  }
  const secretOf = (hash: string, { atMillis }: AuditNote) => ({
    hash,
    createdAtMillis: atMillis,
    validUntilMillis: null
  })
  const valid = (name: string): StoredKey | null => {
    const key = keys.get(name)
    return key === undefined || key.revokedAtMillis !== null ? null : key
  }
  const until = (known: number | null, millis: number) => (known === null ? millis : Math.min(known, millis))

  return {
    read: (known) =>
      Effect.sync(() =>
        known === revision
          ? null
          : { revision, keys: Array.from(keys.values()).sort((a, b) => (a.name < b.name ? -1 : 1)) }
      ),
    create: ({ hash, name, ...profile }, entry) =>
      Effect.sync(() => {
        const isTaken = Array.from(keys.values()).some(({ secrets }) => secrets.some((secret) => secret.hash === hash))
        if (valid(name) !== null || isTaken) return false
        const secrets = [...(keys.get(name)?.secrets ?? []), secretOf(hash, entry)]
        const made = { createdAtMillis: entry.atMillis, createdBy: entry.actor, revokedAtMillis: null }
        return changed({ ...profile, ...made, name, secrets }, entry)
      }),
    rotate: ({ hash, name, othersUntilMillis }, entry) =>
      Effect.sync(() => {
        const key = valid(name)
        if (key === null) return false
        const others = key.secrets.map((secret) => ({
          ...secret,
          validUntilMillis: until(secret.validUntilMillis, othersUntilMillis)
        }))
        return changed({ ...key, secrets: [...others, secretOf(hash, entry)] }, entry)
      }),
    revoke: ({ name, secretId }, entry) =>
      Effect.sync(() => {
        const key = secretId === null ? valid(name) : (keys.get(name) ?? null)
        if (key === null) return false
        const isMeant = (secret: StoredKey["secrets"][number]) =>
          secret.hash.startsWith(secretId ?? "") && (secret.validUntilMillis ?? Infinity) > entry.atMillis
        if (secretId !== null && !key.secrets.some(isMeant)) return false
        const secrets = key.secrets.map((secret) =>
          isMeant(secret) ? { ...secret, validUntilMillis: entry.atMillis } : secret
        )
        return changed(
          { ...key, secrets, revokedAtMillis: secretId === null ? entry.atMillis : key.revokedAtMillis },
          entry
        )
      }),
    note: (entry) => Effect.sync(() => note(entry)),
    audit: ({ before, limit }) =>
      Effect.sync(() =>
        entries
          .filter(({ id }) => before === null || id < before)
          .reverse()
          .slice(0, limit)
      )
  }
}
