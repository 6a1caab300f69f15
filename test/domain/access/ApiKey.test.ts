import { assert, describe, it } from "@effect/vitest"
import { allows, holderOf, isKeyName, parseKey, usualProfile } from "../../../src/domain/access/ApiKey.ts"

const hex = "0123456789abcdef".repeat(4)
/** Stands for a hash: the same text, the same hash, which shows what was hashed. */
const sha256 = (text: string) => `hash of ${text}`
const hashesOf = (text: string) => parseKey(text, sha256)?.secrets.map(({ hash }) => hash)

describe("ApiKey", () => {
  it("reads plain keys, hashes and names", () => {
    for (const [text, name, hashes] of [
      ["key", null, ["hash of key"]],
      [`sha256:${hex.toUpperCase()}`, null, [hex]],
      ["team:key", "team", ["hash of key", "hash of team:key"]],
      [`team:sha256:${hex}`, "team", [hex]],
      ["0:1", null, ["hash of 0:1"]]
    ] as const) {
      assert.strictEqual(parseKey(text, sha256)?.name, name, text)
      assert.deepStrictEqual(hashesOf(text), [...hashes], text)
    }
    for (const text of ["", "sha256:12", "team:", "team:sha256:12"]) assert.isNull(parseKey(text, sha256), text)
  })

  it("takes no name that is another key's owner", () => {
    for (const name of ["a", "Team-a.b_c", "a".repeat(64)]) assert.isTrue(isKeyName(name), name)
    for (const name of ["", "1a", "a b", "a:b", "a".repeat(65), "abcdef0123456789", "-a"])
      assert.isFalse(isKeyName(name), name)
  })

  it("owns by its name, and what its secrets wrote before", () => {
    const record = { ...usualProfile, name: "team", secrets: [{ hash: hex, validUntilMillis: null }] }
    assert.deepInclude(holderOf(record, hex), { owner: "team", formerOwners: ["0123456789abcdef"] })
    const unnamed = holderOf({ ...record, name: null }, hex)
    assert.strictEqual(unnamed.owner, "0123456789abcdef")
    assert.notProperty(unnamed, "formerOwners")
  })

  it("lets an admin do all, and who reads all read", () => {
    assert.isTrue(allows({ scopes: ["admin"] }, "read:all"))
    assert.isTrue(allows({ scopes: ["read:all"] }, "read"))
    assert.isFalse(allows({ scopes: ["read"] }, "read:all"))
    assert.isFalse(allows({ scopes: ["route", "feedback", "read:all"] }, "admin"))
  })
})
