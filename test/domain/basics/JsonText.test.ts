import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { elementsOf, endOfValue, membersOf, withMembers } from "../../../src/domain/basics/JsonText.ts"
import { jsonTexts, objectTexts } from "../../support/jsonTexts.ts"

describe("JsonText", () => {
  it("finds the members of any object and the elements of any list where they stand", () => {
    FastCheck.assert(
      FastCheck.property(jsonTexts, ({ text, value }) => {
        assert.strictEqual(endOfValue(text, 0), text.length)
        if (Array.isArray(value)) {
          const found = elementsOf(text, 0).map((at) => JSON.parse(text.slice(at, endOfValue(text, at))))
          assert.deepStrictEqual(found, value)
        } else if (typeof value === "object" && value !== null) {
          const found = membersOf(text, 0).map(({ end, name, valueStart }) => [
            name,
            JSON.parse(text.slice(valueStart, end))
          ])
          assert.deepStrictEqual(Object.fromEntries(found), value)
        }
      })
    )
  })

  it("changes members and leaves every other byte as it was", () => {
    FastCheck.assert(
      FastCheck.property(
        objectTexts,
        FastCheck.nat(5),
        FastCheck.boolean(),
        ({ members, text, value }, pick, drops) => {
          const names = Object.keys(value)
          const name = names[pick % Math.max(1, names.length)] ?? "model"
          const changed = withMembers(text, new Map([[name, drops ? null : '"other"']]))
          const { [name]: _, ...others } = value
          assert.deepStrictEqual(JSON.parse(changed), drops ? others : { ...value, [name]: "other" })
          for (const [key, json] of members) if (key !== name) assert.include(changed, json)
          if (!drops && names.includes(name)) {
            const span = membersOf(text, 0).findLast((member) => member.name === name)
            assert.isDefined(span)
            if (span !== undefined) {
              assert.strictEqual(changed, `${text.slice(0, span.valueStart)}"other"${text.slice(span.end)}`)
            }
          }
        }
      )
    )
  })

  it("adds what is not there, also to an empty object, and keeps the white space around", () => {
    const model = new Map([["model", '"m"']])
    assert.strictEqual(withMembers("{}", model), '{"model":"m"}')
    assert.strictEqual(withMembers(' { "a" : 1e400 }\n', model), ' {"model":"m", "a" : 1e400 }\n')
  })

  it("leaves members out wherever they stand", () => {
    const without = (text: string, ...names: ReadonlyArray<string>) =>
      withMembers(text, new Map(names.map((name) => [name, null])))
    const text = '{ "a": 1, "b": [2, "}"], "c": {"d": "\\"" } }'
    assert.strictEqual(without(text, "a"), '{ "b": [2, "}"], "c": {"d": "\\"" } }')
    assert.strictEqual(without(text, "b"), '{ "a": 1, "c": {"d": "\\"" } }')
    assert.strictEqual(without(text, "c"), '{ "a": 1, "b": [2, "}"] }')
    assert.strictEqual(without(text, "b", "c"), '{ "a": 1 }')
    assert.strictEqual(without(text, "a", "b", "c"), "{  }")
    assert.strictEqual(without(text, "nothing"), text)
  })

  it("lets the last of several members of one name stand, as parsers have it", () => {
    const text = '{"model":"a","x":9007199254740993,"mod\\u0065l":"b","y":1.0}'
    assert.strictEqual(
      withMembers(text, new Map([["model", '"c"']])),
      '{"x":9007199254740993,"mod\\u0065l":"c","y":1.0}'
    )
    assert.strictEqual(withMembers(text, new Map([["model", null]])), '{"x":9007199254740993,"y":1.0}')
  })
})
