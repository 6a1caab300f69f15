import { assert } from "@effect/vitest"
import type * as Vitest from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { usualProfile } from "../../src/domain/access/ApiKey.ts"
import { RouterId } from "../../src/domain/basics/Ids.ts"
import { Database } from "../../src/services/storage/Database.ts"
import type { AuditAction } from "../../src/services/storage/KeyStore.ts"
import { answered, commitOf, recordOf } from "./learningRecords.ts"

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

  it.effect("lends of a budget what its rows and other loans leave, and gives back what has ended", () =>
    Effect.gen(function* () {
      const { budgets, ...db } = yield* Database
      const { id } = yield* db.router(Option.some(RouterId("budgeted")))
      const asked = {
        subject: { type: "key" as const, owners: ["rich", "0123456789abcdef"] as const },
        replica: "a",
        claimedUsd: 0,
        isNew: true,
        wantedUsd: 0.5,
        usdPerDay: 1,
        usdPerMonth: null,
        seconds: 60
      }
      const first = yield* budgets.borrow(asked)
      assert.deepInclude(first, { grantedUsd: 0.5, spentDayUsd: 0, lentUsd: 0.5 })
      assert.isAbove(first.monthEndsAtMillis, first.dayEndsAtMillis - 1)
      assert.closeTo((yield* budgets.borrow({ ...asked, replica: "b", wantedUsd: 0.8 })).grantedUsd, 0.5, 1e-9)
      assert.strictEqual((yield* budgets.borrow({ ...asked, replica: "c" })).grantedUsd, 0)
      // What a replica has promised it is never lent less.
      const claiming = { ...asked, replica: "c", isNew: false, claimedUsd: 0.2 }
      assert.strictEqual((yield* budgets.borrow(claiming)).grantedUsd, 0.2)
      assert.strictEqual((yield* budgets.borrow({ ...asked, replica: "c", wantedUsd: 0 })).grantedUsd, 0)
      assert.strictEqual((yield* budgets.borrow({ ...asked, replica: "b", wantedUsd: 0, seconds: 0 })).grantedUsd, 0)

      const now = yield* Effect.sync(Date.now)
      const paid = (owner: string, costUsd: number) => {
        const record = recordOf(id, { owner, outcome: { ...answered(), costUsd } })
        const createdAtMillis = now
        return { ...record, decision: { ...record.decision, createdAtMillis } }
      }
      // The rows of a replica pay what it has claimed, in the same step as they are spent.
      const mine = { ...asked, replica: "a", isNew: false, wantedUsd: 0 }
      assert.strictEqual((yield* budgets.borrow({ ...mine, isNew: true })).grantedUsd, 0)
      yield* db.commit({ ...commitOf(id, { decisions: [paid("rich", 0.1)] }), replica: "a" })
      assert.deepInclude(yield* budgets.borrow({ ...mine, claimedUsd: 0.1 }), { grantedUsd: 0, paidUsd: 0.1 })
      assert.closeTo((yield* budgets.borrow({ ...mine, claimedUsd: 0.3 })).grantedUsd, 0.2, 1e-9)
      yield* budgets.borrow({ ...mine, isNew: true })
      yield* db.commit(commitOf(id, { decisions: [paid("0123456789abcdef", 0.2), paid("poor", 9)] }))
      const after = yield* budgets.borrow({ ...asked, replica: "b", wantedUsd: 1 })
      assert.closeTo(after.spentDayUsd, 0.3, 1e-9)
      assert.closeTo(after.spentMonthUsd, 0.3, 1e-9)
      assert.closeTo(after.grantedUsd, 0.7, 1e-9)
      const whole = yield* budgets.borrow({
        ...asked,
        subject: { type: "router", routerId: id },
        usdPerDay: null,
        usdPerMonth: 10
      })
      assert.closeTo(whole.spentMonthUsd, 9.3, 1e-9)
      assert.closeTo(whole.grantedUsd, 0.5, 1e-9)

      // Looking at budgets lends nothing; each is answered in its place, those that nobody has spent of too.
      const poor = { type: "key" as const, owners: ["poor"] as const }
      const looked = yield* budgets.spendings([
        { type: "router", routerId: id },
        { type: "key", owners: ["idle"] },
        asked.subject,
        poor
      ])
      assert.lengthOf(looked, 4)
      const [ofRouter, ofIdle, ofRich, ofPoor] = looked
      assert.closeTo(ofRouter?.spentMonthUsd ?? 0, 9.3, 1e-9)
      assert.closeTo(ofRouter?.lentUsd ?? 0, 0.5, 1e-9)
      const { dayEndsAtMillis, monthEndsAtMillis } = after
      const nothing = { spentDayUsd: 0, spentMonthUsd: 0, lentUsd: 0, dayEndsAtMillis, monthEndsAtMillis }
      assert.deepStrictEqual({ ...ofIdle }, nothing)
      assert.closeTo(ofRich?.spentDayUsd ?? 0, 0.3, 1e-9)
      assert.closeTo(ofRich?.lentUsd ?? 0, after.lentUsd, 1e-9)
      assert.strictEqual(ofPoor?.spentDayUsd, 9)
      assert.deepStrictEqual(yield* budgets.spendings([]), [])

      // Who ends keeps what it has spent and not stored yet, and nothing else; a claim never makes a loan larger.
      const claims = (claimedUsd: number) => [{ subject: "key rich", claimedUsd }]
      const lentBy = Effect.map(budgets.borrow({ ...asked, wantedUsd: 0 }), ({ lentUsd }) => lentUsd)
      yield* budgets.giveBack("b", claims(0.25))
      assert.closeTo(yield* lentBy, 0.25, 1e-9)
      yield* budgets.giveBack("b", claims(0.6))
      assert.closeTo(yield* lentBy, 0.25, 1e-9)
      yield* budgets.giveBack("nobody", claims(9))
      yield* budgets.giveBack("b", claims(0))
      assert.strictEqual(yield* lentBy, 0)
    })
  )
}
