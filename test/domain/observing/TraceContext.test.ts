import { assert, describe, it } from "@effect/vitest"
import * as TraceContext from "../../../src/domain/observing/TraceContext.ts"

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736"
const spanId = "00f067aa0ba902b7"

describe("TraceContext", () => {
  it("reads what it writes", () => {
    for (const sampled of [true, false]) {
      const context = { traceId, spanId, sampled, otherFlags: 0 }
      assert.deepStrictEqual(TraceContext.parse(TraceContext.format(context)), context)
    }
    assert.strictEqual(
      TraceContext.format({ traceId, spanId, sampled: true, otherFlags: 0 }),
      `00-${traceId}-${spanId}-01`
    )
  })

  it("keeps the flags that are not its own, and writes those of later versions not at all", () => {
    for (const flags of ["02", "03", "fe", "ff"]) {
      const context = TraceContext.parse(`00-${traceId}-${spanId}-${flags}`)
      assert.isNotNull(context)
      assert.strictEqual(TraceContext.format(context), `00-${traceId}-${spanId}-${flags}`)
    }
    const later = TraceContext.parse(`01-${traceId}-${spanId}-ff`)
    assert.isNotNull(later)
    assert.strictEqual(TraceContext.format(later), `00-${traceId}-${spanId}-01`)
  })

  it("looks at one flag only, and reads later versions as far as it knows them", () => {
    assert.deepStrictEqual(TraceContext.parse(`00-${traceId}-${spanId}-ff`)?.sampled, true)
    assert.deepStrictEqual(TraceContext.parse(`00-${traceId}-${spanId}-fe`)?.sampled, false)
    for (const later of ["", "-more", "-"]) {
      assert.strictEqual(TraceContext.parse(`01-${traceId}-${spanId}-01${later}`)?.spanId, spanId)
    }
  })

  it("takes nothing that is malformed", () => {
    for (const header of [
      "",
      "garbage",
      `00-${traceId}-${spanId}`,
      `00-${traceId}-${spanId}-01-more`,
      `00-${traceId}-${spanId}-01 `,
      `ff-${traceId}-${spanId}-01`,
      `0-${traceId}-${spanId}-01`,
      `00-${traceId.toUpperCase()}-${spanId}-01`,
      `00-${traceId.slice(1)}-${spanId}-01`,
      `00-${traceId}-${spanId}0-01`,
      `00-${traceId}-${spanId}-1`,
      `00-${"0".repeat(32)}-${spanId}-01`,
      `00-${traceId}-${"0".repeat(16)}-01`,
      `00-${traceId}-${spanId}-01, 00-${traceId}-${spanId}-01`
    ]) {
      assert.isNull(TraceContext.parse(header), header)
    }
  })
})
