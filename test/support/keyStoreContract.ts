import { assert } from "@effect/vitest"
import type * as Vitest from "@effect/vitest"
import * as Effect from "effect/Effect"
import { usualProfile } from "../../src/domain/access/ApiKey.ts"
import { Database } from "../../src/services/storage/Database.ts"
import type { AuditAction } from "../../src/services/storage/KeyStore.ts"

const hashOf = (letter: string) => letter.repeat(64)
const note = (action: AuditAction, subject: string, atMillis = 1_000) => ({
  atMillis,
  actor: "a test",
  action,
  subject,
  details: { why: ["because", 1] }
})

/** What every `Database.keys` does. */
export const keyStoreContract = (it: Vitest.Vitest.MethodsNonLive<Database, true>) => {
  it.effect("makes, rotates and revokes keys, each with its line in the audit, and says only what is new", () =>
    Effect.gen(function* () {
      const { keys } = yield* Database
      const key = { ...usualProfile, name: "k", hash: hashOf("a"), labels: { a: "b" }, allowedModels: ["m"] }
      const read = Effect.map(keys.read(null), (all) => all?.keys.find(({ name }) => name === "k"))
      assert.isTrue(yield* keys.create(key, note("create", "k")))
      assert.isFalse(yield* keys.create({ ...key, hash: hashOf("b") }, note("create", "k")))
      assert.isFalse(yield* keys.create({ ...key, name: "l" }, note("create", "l")))
      const { hash, ...profile } = key
      assert.deepStrictEqual(yield* read, {
        ...profile,
        createdAtMillis: 1_000,
        createdBy: "a test",
        revokedAtMillis: null,
        secrets: [{ hash, createdAtMillis: 1_000, validUntilMillis: null }]
      })

      const revision = (yield* keys.read(null))?.revision ?? -1
      assert.isNull(yield* keys.read(revision))
      const rotation = { name: "k", hash: hashOf("c"), othersUntilMillis: 5_000 }
      assert.isTrue(yield* keys.rotate(rotation, note("rotate", "k", 2_000)))
      assert.isFalse(yield* keys.rotate({ ...rotation, name: "nobody" }, note("rotate", "nobody")))
      assert.isAbove((yield* keys.read(revision))?.revision ?? -1, revision)
      const until = Effect.map(read, (found) => found?.secrets.map(({ validUntilMillis }) => validUntilMillis))
      assert.deepStrictEqual(yield* until, [5_000, null])
      // No later than it would have ended.
      assert.isTrue(
        yield* keys.rotate({ ...rotation, hash: hashOf("d"), othersUntilMillis: 9_000 }, note("rotate", "k", 3_000))
      )
      assert.deepStrictEqual(yield* until, [5_000, 9_000, null])

      const drop = { name: "k", secretId: hashOf("c").slice(0, 16) }
      assert.isTrue(yield* keys.revoke(drop, note("revoke", "k", 4_000)))
      assert.isFalse(yield* keys.revoke(drop, note("revoke", "k", 4_000)))
      assert.deepStrictEqual(yield* until, [5_000, 4_000, null])
      assert.isTrue(yield* keys.revoke({ name: "k", secretId: null }, note("revoke", "k", 4_500)))
      assert.isFalse(yield* keys.revoke({ name: "k", secretId: null }, note("revoke", "k", 4_500)))
      assert.isFalse(yield* keys.rotate({ ...rotation, hash: hashOf("e") }, note("rotate", "k")))
      assert.strictEqual((yield* read)?.revokedAtMillis, 4_500)
      assert.isTrue(yield* keys.create({ ...key, hash: hashOf("f") }, note("create", "k", 5_000)))
      assert.deepStrictEqual(yield* until, [4_500, 4_000, 4_500, null])

      yield* keys.note(note("reload", "the configuration"))
      const lines = yield* keys.audit({ before: null, limit: 100 })
      assert.deepStrictEqual(
        lines.map(({ action, subject }) => `${action} ${subject}`),
        ["reload the configuration", "create k", "revoke k", "revoke k", "rotate k", "rotate k", "create k"]
      )
      assert.deepStrictEqual(lines[0]?.details, { why: ["because", 1] })
      const second = yield* keys.audit({ before: lines[0]?.id ?? 0, limit: 1 })
      assert.deepStrictEqual(second, lines.slice(1, 2))
    })
  )
}
