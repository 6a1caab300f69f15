import * as OtlpSerialization from "@effect/opentelemetry/OtlpSerialization"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { encodeSpans } from "../../../../src/layers/observing/otlp/SpansProtobuf.ts"
import { fieldsOf, within } from "../../../support/collector.ts"

const attribute = (key: string, value: object) => ({ key, value })

const span = (more: object = {}) => ({
  traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
  spanId: "00f067aa0ba902b7",
  parentSpanId: "0102030405060708",
  name: "attempt",
  kind: 3,
  startTimeUnixNano: "1795477882925377123",
  endTimeUnixNano: "1795477883925377123",
  attributes: [
    attribute("text", { stringValue: "Zürich ✓" }),
    attribute("empty", { stringValue: "" }),
    attribute("yes", { boolValue: true }),
    attribute("small", { intValue: 0 }),
    attribute("middle", { intValue: 300 }),
    attribute("large", { intValue: Number.MAX_SAFE_INTEGER }),
    attribute("edge", { intValue: 2 ** 31 }),
    attribute("fraction", { doubleValue: -0.25 }),
    attribute("list", { arrayValue: { values: [{ stringValue: "stop" }, { intValue: 1 }] } })
  ],
  droppedAttributesCount: 0,
  events: [],
  droppedEventsCount: 0,
  links: [],
  droppedLinksCount: 0,
  status: { code: 2, message: "server_error" },
  ...more
})

const data = (spans: ReadonlyArray<object>) => ({
  resourceSpans: [
    {
      resource: { attributes: [attribute("service.name", { stringValue: "conduit" })], droppedAttributesCount: 0 },
      scopeSpans: [{ scope: { name: "conduit" }, spans }]
    }
  ]
})

/** By field numbers: ResourceSpans 1, ScopeSpans 2, Span 2. */
const spansIn = (bytes: Uint8Array) => within(Buffer.from(bytes), [1, 2, 2])

describe("spansProtobuf", () => {
  it.effect("writes what the library writes, to the byte, however much it is", () =>
    Effect.gen(function* () {
      const library = yield* OtlpSerialization.OtlpSerialization
      const many = Array.from({ length: 700 }, (_, i) => span({ name: `span ${i}`.repeat(1 + (i % 20)) }))
      for (const spans of [[], [span()], [span({ parentSpanId: undefined, status: { code: 0 } })], many]) {
        const body = library.traces(data(spans))
        const expected = body._tag === "Uint8Array" ? Buffer.from(body.body) : Buffer.alloc(0)
        assert.isTrue(Buffer.from(encodeSpans(data(spans))).equals(expected), `${spans.length} spans`)
      }
    }).pipe(Effect.provide(OtlpSerialization.layerProtobuf))
  )

  it("writes negative numbers, which the library does not", () => {
    const attributes = [attribute("penalty", { intValue: -1 }), attribute("seed", { intValue: -(2 ** 40) })]
    const bytes = encodeSpans(data([span({ attributes })]))
    // Attributes of a span 9, the value of one 2, a whole number 3.
    const values = spansIn(bytes).flatMap((one) => within(one, [9, 2]).flatMap((value) => fieldsOf(value)))
    assert.deepStrictEqual(
      values.map(({ number, value }) => [number, typeof value === "bigint" ? BigInt.asIntN(64, value) : value]),
      [
        [3, -1n],
        [3, -(2n ** 40n)]
      ]
    )
  })
})
