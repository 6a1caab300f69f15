import { assert, describe, it } from "@effect/vitest"
import { AmazonEvents } from "../../../src/layers/models/AmazonEvents.ts"
import { saidEvent, thrownEvent } from "../../support/amazonStandIn.ts"

const bytes = Buffer.concat([
  saidEvent("messageStart", { role: "assistant" }),
  saidEvent("contentBlockDelta", { contentBlockIndex: 0, delta: { text: "höl" } }),
  thrownEvent("throttlingException", "slow down")
])
const events = [
  { name: null, data: '{"messageStart":{"role":"assistant"}}' },
  { name: null, data: '{"contentBlockDelta":{"contentBlockIndex":0,"delta":{"text":"höl"}}}' },
  { name: "error", data: '{"error":{"type":"throttlingException","message":"slow down","status":429}}' }
]

describe("AmazonEvents", () => {
  it("reads the same events wherever the bytes are cut", () => {
    for (let at = 0; at <= bytes.length; at++) {
      const parser = new AmazonEvents(1000)
      const read = [...(parser.push(bytes.subarray(0, at)) ?? []), ...(parser.push(bytes.subarray(at)) ?? [])]
      assert.deepStrictEqual(read, events)
    }
    const parser = new AmazonEvents(1000)
    assert.deepStrictEqual(
      Array.from(bytes).flatMap((byte) => parser.push(Buffer.from([byte])) ?? []),
      events
    )
  })

  it("takes a byte that changed for an error, wherever it is", () => {
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] ?? 0) ^ 0x20
      const read = new AmazonEvents(1000).push(changed) ?? []
      assert.notDeepEqual(read, events)
      assert.isTrue(read.length < 3 || read.some(({ data }) => data.includes("damaged")), `byte ${at}`)
    }
  })

  it("keeps nothing of an event that is longer than the limit", () => {
    assert.isNull(new AmazonEvents(50).push(bytes))
  })
})
