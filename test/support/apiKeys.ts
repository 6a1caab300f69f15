import { type KeyRecord, usualProfile } from "../../src/domain/access/ApiKey.ts"

/** Keys without a name, by their hashes. */
export const unnamed = (...hashes: ReadonlyArray<string>): ReadonlyArray<KeyRecord> =>
  hashes.map((hash) => ({ ...usualProfile, name: null, secrets: [{ hash, validUntilMillis: null }] }))
