import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import { extract, names } from "../../../src/domain/routing/LexicalFeatures.ts"
import * as FeatureExtractorLexical from "../../../src/layers/routing/FeatureExtractorLexical.ts"
import { FeatureExtractor } from "../../../src/services/routing/FeatureExtractor.ts"

const feature = (text: string, name: string): number => extract(text)[names.indexOf(name)]!
/** How much more of it than an ordinary prompt has none of it. */
const above = (name: string, text: string) => assert.isAbove(feature(text, name), feature("ok", name) + 0.2, name)

describe("FeatureExtractorLexical", () => {
  it.effect("offers 24 coordinates of which the first is 1", () =>
    Effect.gen(function* () {
      const extractor = yield* FeatureExtractor
      assert.strictEqual(extractor.version, "lex1")
      assert.strictEqual(extractor.dimension, 24)
      const x = extractor.extract("What is the capital of France?")
      assert.strictEqual(x.length, 24)
      assert.strictEqual(x[0], 1)
      assert.deepStrictEqual(extractor.extract("What is the capital of France?"), x)
    }).pipe(Effect.provide(FeatureExtractorLexical.layer))
  )

  it.prop(
    "stays within [-1, 1] for any text",
    [FastCheck.oneof(FastCheck.string({ unit: "binary" }), FastCheck.string({ unit: "grapheme", size: "large" }))],
    ([text]) => {
      const x = extract(text)
      assert.strictEqual(x[0], 1)
      for (const value of x) assert.isTrue(value >= -1 && value <= 1)
    }
  )

  it("sees each of the kinds of prompts that it has a coordinate for", () => {
    above("length", "word ".repeat(2000))
    above("word_length", "internationalisation characterisation")
    above("digits", "12 + 4711 = 4723")
    above("capitals", "WHAT IS THIS")
    above("lines", "a\nb\nc\nd\ne\nf")
    above("non_ascii", "東京の天気はどうですか")
    above("non_latin", "Какая сегодня погода")
    assert.isBelow(feature("Wie schön ist es in Zürich", "non_latin"), 0.05)
    above("math_marks", "x^2 + 3*x = 10")
    above("code_marks", "f(x) { return [1, 2]; }")
    above("latex", "$\\frac{1}{2}$ and $\\sqrt{2}$")
    above("fences", "Look:\n```js\nlet a\n```\n")
    above("options", "Which?\nA. one\nB. two\nC. three")
    above("options", "Which?\n(A) one\n(B) two")
    assert.isBelow(feature("Hi\nAll is well.\nBest", "options"), 0)
    above("questions", "Really? Why? How?")
    above("quotes", `He said "no" and "yes" and 'no'`)
    above("ask_fact", "Who was it and where is it?")
    above("ask_reason", "Explain why, and discuss how.")
    above("ask_amount", "Calculate how much the total costs.")
    above("create", "WRITE a short poem, a story and a song")
    above("transform", "Summarize and translate the following text")
    above("code_words", "Write a python function with a loop")
    above("science", "the electron has mass and energy")
    above("society", "the court and the market under the law")
    above("dialogue", "can you please help me")
  })

  it("reads the beginning and the end of a long text, and nothing between: the time is bounded", () => {
    const filler = "x ".repeat(500_000)
    above("code_marks", `${"{}".repeat(1000)}${filler}`)
    above("questions", `${filler}Why? How? When?`)
    const edge = "word ".repeat(4_000)
    const around = (middle: string) => extract(`${edge}${middle}${edge}`)
    const other = "Why? {} $\\frac{1}{2}$ 42 東京 "
    const length = 600_000
    assert.deepStrictEqual(
      around(other.repeat(Math.ceil(length / other.length)).slice(0, length)),
      around("x".repeat(length))
    )
  })
})
