import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import { traceFormat, metricsFormat } from "../../../../src/layers/observing/otlp/Formats.ts"
import { RecordedSpan } from "../../../../src/layers/observing/otlp/RecordedSpan.ts"
import { resourceOf } from "../../../../src/layers/observing/otlp/Resource.ts"
import { fieldsOf, within } from "../../../support/collector.ts"

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736"
const parent = Tracer.externalSpan({ traceId, spanId: "0102030405060708", sampled: true })
const resource = resourceOf({ serviceName: "conduit", resourceAttributes: {} })

const ended = (attributes: Readonly<Record<string, unknown>>, error: string | null = null) => {
  const all: Array<RecordedSpan> = []
  const begun = {
    name: "a call",
    traceId,
    spanId: "00f067aa0ba902b7",
    parent: Option.some(parent),
    context: Context.empty(),
    kind: "client" as const,
    startTime: 1795477882925377123n
  }
  const span = new RecordedSpan(begun, (one) => all.push(one))
  for (const [key, value] of Object.entries(attributes)) span.attribute(key, value)
  span.error = error
  span.end(1795477883925377123n, error === null ? Exit.void : Exit.fail("what a prompt said"))
  return all
}

const inJson = (spans: ReadonlyArray<RecordedSpan>) => {
  const text = Buffer.from(traceFormat("http/json", resource).serialize(spans)).toString("utf8")
  return JSON.parse(text).resourceSpans[0].scopeSpans[0].spans[0]
}

describe("Formats", () => {
  it("writes a span with its ids, its times to the nanosecond, its parent and the word of its failure", () => {
    const span = inJson(ended({}, "server_error"))
    assert.deepInclude(span, {
      name: "a call",
      traceId,
      spanId: "00f067aa0ba902b7",
      parentSpanId: "0102030405060708",
      kind: 3,
      startTimeUnixNano: "1795477882925377123",
      endTimeUnixNano: "1795477883925377123",
      status: { code: 2, message: "server_error" },
      events: []
    })
    assert.notInclude(JSON.stringify(span), "prompt")
    const [bytes] = within(Buffer.from(traceFormat("http/protobuf", resource).serialize(ended({}))), [1, 2, 2])
    const numbers = fieldsOf(bytes ?? Buffer.alloc(0)).flatMap(({ number, value }) =>
      Buffer.isBuffer(value) && (number === 7 || number === 8) ? [value.readBigUInt64LE()] : []
    )
    assert.deepStrictEqual(numbers, [1795477882925377123n, 1795477883925377123n])
  })

  it("writes negative numbers in both formats", () => {
    const spans = ended({ penalty: -1, seed: -(2 ** 40) })
    const bytes = traceFormat("http/protobuf", resource).serialize(spans)
    // ResourceSpans 1, ScopeSpans 2, Span 2; its attributes 9, the value of one 2, a whole number 3.
    const values = within(Buffer.from(bytes), [1, 2, 2, 9, 2]).flatMap((value) => fieldsOf(value))
    assert.deepStrictEqual(
      values.map(({ number, value }) => [number, typeof value === "bigint" ? BigInt.asIntN(64, value) : value]),
      [
        [3, -1n],
        [3, -(2n ** 40n)]
      ]
    )
    assert.deepStrictEqual(inJson(spans).attributes, [
      { key: "penalty", value: { intValue: -1 } },
      { key: "seed", value: { intValue: -(2 ** 40) } }
    ])
  })

  it("writes texts, flags, fractions and lists, and nothing that a collector could not read", () => {
    const attributes = { text: "Zürich ✓", yes: true, fraction: -0.25, list: ["stop"] }
    const unreadable = { nan: Number.NaN, endless: Infinity, huge: 2 ** 60, nested: { a: 1 }, mixed: ["a", 1] }
    assert.deepStrictEqual(inJson(ended({ ...attributes, ...unreadable })).attributes, [
      { key: "text", value: { stringValue: "Zürich ✓" } },
      { key: "yes", value: { boolValue: true } },
      { key: "fraction", value: { doubleValue: -0.25 } },
      { key: "list", value: { arrayValue: { values: [{ stringValue: "stop" }] } } }
    ])
  })

  it("reads what a collector rejected of a batch, and takes an answer that it cannot read for none", () => {
    const json = (text: string) => Buffer.from(text)
    const traces = traceFormat("http/json", resource)
    assert.deepStrictEqual(
      traces.partialSuccess(json('{"partialSuccess":{"rejectedSpans":"3","errorMessage":"too old"}}')),
      { rejected: 3, message: "too old" }
    )
    assert.deepStrictEqual(traces.partialSuccess(json('{"partialSuccess":{"errorMessage":"deprecated"}}')), {
      rejected: 0,
      message: "deprecated"
    })
    for (const text of ["", "{}", '{"partialSuccess":{}}', "null", "<html>"]) {
      assert.isNull(traces.partialSuccess(json(text)), text)
    }
    // partial_success 1: rejected_data_points 1 is 5, error_message 2 is "late".
    const bytes = Uint8Array.of(0x0a, 8, 0x08, 5, 0x12, 4, ...Buffer.from("late"))
    const metrics = metricsFormat("http/protobuf", resource)
    assert.deepStrictEqual(metrics.partialSuccess(bytes), { rejected: 5, message: "late" })
    for (const answer of [[], [0x0a, 0], [0x0a, 9, 1], [0xff]]) {
      assert.isNull(metrics.partialSuccess(Uint8Array.from(answer)), String(answer))
    }
  })
})
