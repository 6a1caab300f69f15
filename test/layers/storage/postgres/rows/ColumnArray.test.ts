import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { storable } from "../../../../../src/domain/basics/StorableText.ts"
import { ColumnArray } from "../../../../../src/layers/storage/postgres/rows/ColumnArray.ts"

/** The cells of a binary array, each as its bytes; what `array_recv` of PostgreSQL reads. */
const cellsOf = (bytes: Buffer): { readonly oid: number; readonly cells: ReadonlyArray<Buffer | null> } => {
  assert.deepStrictEqual([bytes.readInt32BE(0), bytes.readInt32BE(16)], [1, 1])
  const cells: Array<Buffer | null> = []
  let at = 20
  for (let i = 0; i < bytes.readInt32BE(12); i++) {
    const length = bytes.readInt32BE(at)
    at += 4
    cells.push(length === -1 ? null : bytes.subarray(at, at + length))
    at += Math.max(0, length)
  }
  assert.strictEqual(at, bytes.length)
  return { oid: bytes.readInt32BE(8), cells }
}

const written = (type: ConstructorParameters<typeof ColumnArray>[0], values: ReadonlyArray<unknown>) => {
  const column = new ColumnArray(type, 1)
  for (const value of values) column.add(value)
  return cellsOf(column.bytes())
}

describe("ColumnArray", () => {
  it("holds any text as it can be stored, and nothing as null", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(FastCheck.option(FastCheck.string({ unit: "binary", maxLength: 40 }))),
        (texts) => {
          const { cells, oid } = written("text", texts)
          assert.strictEqual(oid, 25)
          assert.deepStrictEqual(
            cells.map((cell) => cell?.toString("utf8") ?? null),
            texts.map((text) => (text === null ? null : storable(text)))
          )
        }
      )
    )
    assert.strictEqual(written("text", ["a\u0000\uD800b"]).cells[0]?.toString(), "a\uFFFD\uFFFDb")
  })

  it("holds bytes as they are, and ids in either case", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.array(FastCheck.uint8Array()), FastCheck.uuid(), (all, id) => {
        const { cells, oid } = written("bytea", [...all, null])
        assert.strictEqual(oid, 17)
        assert.deepStrictEqual(
          cells.map((cell) => cell?.toString("hex") ?? null),
          [...all.map((bytes) => Buffer.from(bytes).toString("hex")), null]
        )
        assert.deepStrictEqual(
          written("uuid", [id, id.toUpperCase()]).cells.map((cell) => cell?.toString("hex")),
          [id.replaceAll("-", ""), id.replaceAll("-", "")]
        )
      })
    )
  })

  it("holds numbers to the bit, whole ones up to 2^53, and what is none as null", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.array(FastCheck.double()), (numbers) => {
        const read = written("float8", numbers).cells.map((cell) => cell?.readDoubleBE() ?? null)
        assert.deepStrictEqual(
          read,
          numbers.map((number) => (Number.isFinite(number) ? number : null))
        )
      })
    )
    FastCheck.assert(
      FastCheck.property(FastCheck.array(FastCheck.maxSafeInteger()), (numbers) => {
        const read = written("bigint", numbers).cells.map((cell) => Number(cell?.readBigInt64BE()))
        assert.deepStrictEqual(read, numbers)
      })
    )
  })

  it("holds ids, truths, and lists as PostgreSQL writes them", () => {
    const id = "01a22e8d-12e8-7bfc-b8fd-b3a2d6614cf7"
    assert.strictEqual(written("uuid", [id, null]).cells[0]?.toString("hex"), id.replaceAll("-", ""))
    assert.deepStrictEqual(
      written("boolean", [true, false, null]).cells.map((cell) => cell?.[0] ?? null),
      [1, 0, null]
    )
    const lists = written("text", [[1.5, null, -2], ['a "b" \\', "", null], []])
    assert.deepStrictEqual(
      lists.cells.map((cell) => cell?.toString()),
      ["{1.5,NULL,-2}", '{"a \\"b\\" \\\\","",NULL}', "{}"]
    )
  })
})
