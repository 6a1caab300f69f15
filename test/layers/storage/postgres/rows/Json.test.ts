import { describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { storable } from "../../../../../src/domain/basics/StorableText.ts"
import { toJson } from "../../../../../src/layers/storage/postgres/rows/Json.ts"

describe("toJson", () => {
  const Piece = Schema.Literal("\u0000", "\uD800", "\uDFFF", "\uD83D\uDE80", "\\", "\\u0000", "\\ud800", '"', "\n", "a")
  const Text = Schema.transform(Schema.Array(Piece), Schema.String, {
    strict: true,
    decode: (pieces) => pieces.join(""),
    encode: (): ReadonlyArray<typeof Piece.Type> => []
  })
  const Row = Schema.Struct({ text: Schema.NullOr(Text), texts: Schema.Array(Text), value: Schema.JsonNumber })

  it.prop("answers what JSON says of the rows with all their text made storable", [Schema.Array(Row)], ([rows]) => {
    const expected = rows.map(({ text, texts, value }) => ({
      text: text === null ? null : storable(text),
      texts: texts.map(storable),
      value
    }))
    return toJson(rows) === JSON.stringify(expected)
  })
})
