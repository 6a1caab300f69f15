import { assert, describe, it } from "@effect/vitest"
import * as Circuit from "../../../src/layers/routing/Circuit.ts"

let requests = 0
/** Of a request of its own, unless `more` says which. */
const failure = (retryAfterSeconds: number | null = null, more: Partial<Circuit.Failure> = {}): Circuit.Failure => ({
  retryAfterSeconds,
  request: `${requests++}`,
  isRetry: false,
  onlyOf: null,
  ...more
})

const failing = (times: number, now: number, retryAfterSeconds: number | null = null) => {
  const circuit = Circuit.make()
  let opened: ReturnType<Circuit.Circuit["failed"]> = null
  for (let i = 0; i < times; i++) {
    circuit.enter(now)
    opened = circuit.failed(now, failure(retryAfterSeconds))
  }
  return { circuit, opened: opened?.forMillis }
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
    assert.isNull(circuit.succeeded(0))
    assert.isNull(circuit.failed(0, failure()))
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
    assert.strictEqual(circuit.barrier(10_000), "circuit")
    circuit.abandoned()
    assert.isNull(circuit.barrier(10_000))
  })

  it("closes when the trying request succeeds, and opens again when it fails", () => {
    const again = failing(5, 0).circuit
    again.enter(10_000)
    assert.strictEqual(again.failed(10_000, failure())?.forMillis, 10_000)
    assert.strictEqual(again.state(19_999), "open")
    again.enter(20_000)
    again.succeeded(20_000)
    assert.strictEqual(again.state(20_000), "closed")
  })

  it("has one beginning and one end of an outage, however often it opens, and counts what came between", () => {
    const circuit = Circuit.make()
    const news: Array<boolean> = []
    for (const now of [1_000, 1_001, 1_002, 1_003, 1_004, 11_004, 21_004, 31_004]) {
      circuit.enter(now)
      const opened = circuit.failed(now, failure())
      if (opened !== null) news.push(opened.isNews)
      circuit.keptAway()
    }
    assert.deepStrictEqual(news, [true, false, false, false])
    circuit.enter(41_004)
    // The decisions before it opened were not made without the model.
    assert.deepInclude(circuit.succeeded(41_005), { sinceMillis: 1_000, failures: 8, keptAway: 4 })
    assert.isNull(circuit.succeeded(41_006))
  })

  it("calls it news only at the failed trial when answers that were on their way close it at once", () => {
    const { circuit } = failing(5, 0)
    const fail = (times: number, now: number) =>
      Array.from({ length: times }, () => circuit.failed(now, failure())).flatMap((opened) => opened?.isNews ?? [])
    assert.isNotNull(circuit.succeeded(10))
    assert.deepStrictEqual(fail(5, 11), [false])
    assert.isNull(circuit.succeeded(12))
    assert.deepStrictEqual(fail(5, 13), [false])
    assert.deepStrictEqual(fail(1, 10_013), [true])
    assert.deepInclude(circuit.succeeded(20_013), { sinceMillis: 13, failures: 6 })
    assert.deepStrictEqual(fail(5, 30_013), [true])
  })

  it("is not kept open by requests that were on their way when it opened", () => {
    const { circuit } = failing(5, 0)
    assert.isNull(circuit.failed(9000, failure()))
    assert.strictEqual(circuit.state(10_000), "half_open")
  })

  it("counts a client's retries of one request once, as long as they may take", () => {
    const circuit = Circuit.make()
    const fail = (now: number, more: Partial<Circuit.Failure>) => circuit.failed(now, failure(null, more))
    for (let i = 0; i < 15; i++) fail(i * 1000, { request: "same" })
    for (const request of ["b", "c", "d"]) fail(20_000, { request })
    assert.strictEqual(circuit.state(20_000), "closed")
    // Later than a retry it is another request, unless the client says that it is none.
    fail(70_000, { request: "same", isRetry: true })
    assert.strictEqual(circuit.state(70_000), "closed")
    fail(70_000, { request: "same" })
    assert.strictEqual(circuit.state(70_000), "open")
  })

  it("opens again when the trying request fails, also as a retry of one that was counted", () => {
    const { circuit } = failing(4, 0)
    circuit.failed(0, failure(null, { request: "same" }))
    circuit.enter(10_000)
    assert.isNotNull(circuit.failed(10_000, failure(null, { request: "same" })))
    assert.strictEqual(circuit.state(10_001), "open")
  })

  it("holds against a model what one caller alone meets only when another caller meets it too", () => {
    const circuit = Circuit.make()
    const refuse = (onlyOf: string) => circuit.failed(0, failure(null, { onlyOf }))
    for (let i = 0; i < 6; i++) refuse("a")
    assert.strictEqual(circuit.state(0), "closed")
    for (const other of ["b", "c", "d", "e"]) assert.isNull(refuse(other))
    assert.isNotNull(refuse("f"))
    assert.strictEqual(circuit.state(0), "open")
  })

  it("leaves a model alone at once for as long as it asks, at most five minutes, and no failure is needed", () => {
    const circuit = Circuit.make()
    circuit.paused(0, 60)
    assert.strictEqual(circuit.barrier(59_999), "rate_limit")
    assert.strictEqual(circuit.state(59_999), "open")
    assert.strictEqual(circuit.opensAtMillis(1), 60_000)
    // An answer that was on its way does not end it.
    circuit.succeeded(1)
    assert.strictEqual(circuit.barrier(59_999), "rate_limit")
    assert.isNull(circuit.barrier(60_000))
    assert.strictEqual(circuit.state(60_000), "closed")
    circuit.paused(60_000, 86_400)
    assert.isNull(circuit.barrier(360_000))
  })
})
