import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import { type SseEvent, SseParser } from "../../../src/layers/models/SseParser.ts"

const encoder = new TextEncoder()

const parse = (text: string | Uint8Array, cuts: ReadonlyArray<number> = [], max = 1_000_000) => {
  const bytes = typeof text === "string" ? Buffer.from(text) : text
  const parser = new SseParser(max)
  const ends = [...new Set([...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b)
  const events: Array<string | null> = []
  const shown = ({ data, name }: SseEvent) => (name === null ? data : `${name}: ${data}`)
  let start = 0
  for (const end of ends) {
    const arrived = parser.push(bytes.subarray(start, end))
    if (arrived === null) events.push(null)
    else events.push(...arrived.map(shown))
    start = end
  }
  const left = parser.end()
  return { events, left: left === null ? null : shown(left) }
}

const messy =
  "\uFEFFdata: first\r\n\r\n: a comment\r\ndata:no space\r\rdata: line one\ndata: line two\n\nevent: x\nid: 7\nretry: 5\ndata\n\ndataset: no\n\ndata: é🙂\u2028end\r\n\n\n\ndata: last\n\n"
const wanted = ["first", "no space", "line one\nline two", "x: ", "é🙂\u2028end", "last"]

describe("SseParser", () => {
  it("reads events with every kind of line end, comments, other fields and a byte order mark", () => {
    assert.deepStrictEqual(parse(messy), { events: wanted, left: null })
  })

  it.prop(
    "reads the same wherever the bytes are cut",
    { cuts: Schema.Array(Schema.Int.pipe(Schema.between(0, 1000))) },
    ({ cuts }) => {
      assert.deepStrictEqual(parse(messy, cuts), { events: wanted, left: null })
    }
  )

  it("reads any bytes as a decoder reads them, wherever they are cut", () => {
    const bytes = FastCheck.array(
      FastCheck.oneof(
        FastCheck.constantFrom("data: ", "data:", "\n", "\n\n", "\r\n", "\uFEFF", "é", "🙂", "x").map((text) =>
          encoder.encode(text)
        ),
        FastCheck.uint8Array({ minLength: 1, maxLength: 2 })
      ),
      { maxLength: 30 }
    ).map((parts) => Buffer.concat(parts))
    FastCheck.assert(
      FastCheck.property(bytes, FastCheck.array(FastCheck.nat(60)), (all, cuts) => {
        assert.deepStrictEqual(parse(all, cuts), parse(Uint8Array.from(all), cuts))
      }),
      { numRuns: 1000 }
    )
  })

  it("reads the same a byte at a time", () => {
    const cuts = Array.from({ length: encoder.encode(messy).length }, (_, i) => i)
    assert.deepStrictEqual(parse(messy, cuts), { events: wanted, left: null })
  })

  it("keeps what no blank line completed apart", () => {
    assert.deepStrictEqual(parse("data: a\n\ndata: [DONE]"), { events: ["a"], left: "[DONE]" })
    assert.deepStrictEqual(parse("data: a\n\ndata: [DONE]\n"), { events: ["a"], left: "[DONE]" })
    assert.deepStrictEqual(parse("data: a\n\n"), { events: ["a"], left: null })
  })

  it("gives up on an event longer than the limit, whole or unfinished", () => {
    assert.deepStrictEqual(parse(`data: ${"x".repeat(20)}\n\n`, [], 10).events, [null])
    assert.deepStrictEqual(parse(`data: ${"x".repeat(20)}`, [], 10).events, [null])
    assert.deepStrictEqual(parse("data: 12345\n".repeat(3), [], 10).events, [null])
    assert.deepStrictEqual(
      parse("data: 1\n\n".repeat(9), [], 10).events,
      Array.from({ length: 9 }, () => "1")
    )
  })
})
