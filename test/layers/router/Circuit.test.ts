import { assert, describe, it } from "@effect/vitest"
import * as Circuit from "../../../src/layers/router/Circuit.ts"

const failing = (times: number, now: number, retryAfterSeconds: number | null = null) => {
  const circuit = Circuit.make()
  let opened: number | null = null
  for (let i = 0; i < times; i++) {
    circuit.enter(now)
    opened = circuit.failed(now, retryAfterSeconds)
  }
  return { circuit, opened }
}

describe("Circuit", () => {
  it("opens at the fifth failure in a row, for ten seconds", () => {
    assert.strictEqual(failing(4, 0).circuit.state(0), "closed")
    const { circuit, opened } = failing(5, 0)
    assert.strictEqual(opened, 10_000)
    assert.strictEqual(circuit.state(9999), "open")
    assert.strictEqual(circuit.state(10_000), "half_open")
  })

  it("counts failures in a row only", () => {
    const { circuit } = failing(4, 0)
    circuit.succeeded()
    assert.isNull(circuit.failed(0, null))
    assert.strictEqual(circuit.state(0), "closed")
  })

  it("stays open as long as the model asks for, but no longer than five minutes", () => {
    assert.strictEqual(failing(5, 0, 1).opened, 10_000)
    assert.strictEqual(failing(5, 0, 60).opened, 60_000)
    assert.strictEqual(failing(5, 0, 86_400).opened, 300_000)
  })

  it("lets one request through when half open, and the next when that one said nothing", () => {
    const { circuit } = failing(5, 0)
    circuit.enter(10_000)
    assert.isTrue(circuit.isOpen(10_000))
    circuit.abandoned()
    assert.isFalse(circuit.isOpen(10_000))
  })

  it("closes when the trying request succeeds, and opens again when it fails", () => {
    const again = failing(5, 0).circuit
    again.enter(10_000)
    assert.strictEqual(again.failed(10_000, null), 10_000)
    assert.strictEqual(again.state(19_999), "open")
    again.enter(20_000)
    again.succeeded()
    assert.strictEqual(again.state(20_000), "closed")
  })

  it("is not kept open by requests that were on their way when it opened", () => {
    const { circuit } = failing(5, 0)
    assert.isNull(circuit.failed(9000, null))
    assert.strictEqual(circuit.state(10_000), "half_open")
  })
})
