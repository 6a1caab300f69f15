import { assert, describe, it } from "@effect/vitest"
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import { render } from "../../../../src/layers/observing/metrics/PrometheusText.ts"
import { exposition } from "../../../support/exposition.ts"

/** What the registry has of these names alone. */
const rendered = (prefix: string) =>
  render(Metric.unsafeSnapshot().filter(({ metricKey }) => metricKey.name.startsWith(prefix)))

describe("the Prometheus exposition", () => {
  it("escapes what would break a line or a label, and what is no name", () => {
    const hostile = ['"} 1\nevil_total{a="b', "back\\slash", "\\n", "\\\\n\n", '"', "", "ü 🙂", "a,b={}"]
    const counter = Metric.counter("hostile.1-total", { description: "a \\ and\na line", incremental: true })
    for (const value of hostile) Metric.tagged(counter, "a:b c", value).unsafeUpdate(2, [])
    const text = rendered("hostile")
    const { families, samples } = exposition(text)
    assert.deepStrictEqual([...families.keys()], ["hostile_1_total"])
    assert.deepStrictEqual(families.get("hostile_1_total"), { type: "counter", help: "a \\ and\na line" })
    assert.include(text, "# HELP hostile_1_total a \\\\ and\\na line\n")
    assert.sameDeepMembers(
      [...samples("hostile_1_total")],
      hostile.map((value) => ({ labels: { a_b_c: value }, value: 2 }))
    )
  })

  it("says each family once, whatever labels its series have, with cumulative buckets for each", () => {
    const edges = MetricBoundaries.fromIterable([0.5, 1])
    const histogram = Metric.histogram("shaped_seconds", edges, "how long")
    for (const [model, seconds] of [["a", [0.1, 0.7, 3]] as const, ["b", [0.5]] as const]) {
      const tagged = Metric.tagged(histogram, "model", model)
      for (const one of seconds) tagged.unsafeUpdate(one, [])
    }
    const { value } = exposition(rendered("shaped"))
    const buckets = (model: string) => ["0.5", "1", "+Inf"].map((le) => value("shaped_seconds_bucket", { model, le }))
    assert.deepStrictEqual(buckets("a"), [1, 2, 3])
    assert.deepStrictEqual(buckets("b"), [1, 1, 1])
    assert.strictEqual(value("shaped_seconds_count", { model: "a" }), 3)
    assert.approximately(value("shaped_seconds_sum", { model: "a" }), 3.8, 1e-9)
  })

  it("writes what is not finite as Prometheus reads it, and leaves out what is no number", () => {
    for (const [name, value] of [["a", Infinity] as const, ["b", -Infinity] as const, ["c", NaN] as const]) {
      Metric.gauge(`odd_${name}`).unsafeUpdate(value, [])
    }
    const text = rendered("odd_")
    for (const line of ["odd_a +Inf", "odd_b -Inf"]) assert.include(text, `${line}\n`)
    assert.notInclude(text, "odd_c")
    assert.notInclude(text, "# HELP")
    exposition(text)
  })
})
