import * as OtlpSerialization from "@effect/opentelemetry/OtlpSerialization"
import * as HttpBody from "@effect/platform/HttpBody"
import { assert, describe, it } from "@effect/vitest"
import { truthful } from "../../../../src/layers/observing/otlp/Encoding.ts"

const data = () => ({
  resourceMetrics: [
    {
      scopeMetrics: [
        {
          metrics: [
            { name: "effect_fiber_active", unit: "1", gauge: { dataPoints: [{ asDouble: 3 }] } },
            { name: "conduit_requests_active", unit: "1", gauge: { dataPoints: [{ asDouble: 0 }] } },
            { name: "some_state", unit: "1", gauge: { dataPoints: [{ asDouble: 1 }, { asDouble: Number.NaN }] } },
            { name: "no_state", unit: "1", gauge: { dataPoints: [{ asDouble: Number.NaN }] } },
            { name: "conduit_model_selection", unit: "1", sum: { isMonotonic: true, dataPoints: [{ asDouble: 2 }] } }
          ]
        }
      ]
    }
  ]
})

describe("what is exported of the metrics", () => {
  it("has neither the runtime's own, nor what is no number, nor a unit that nobody stated", () => {
    let encoded: ReturnType<typeof data> | undefined
    const library = OtlpSerialization.OtlpSerialization.of({
      traces: () => HttpBody.empty,
      logs: () => HttpBody.empty,
      metrics: (given) => {
        encoded = given as ReturnType<typeof data>
        return HttpBody.empty
      }
    })
    truthful(library, () => true, new WeakMap()).metrics(data())
    assert.deepStrictEqual(JSON.parse(JSON.stringify(encoded?.resourceMetrics[0]?.scopeMetrics[0]?.metrics)), [
      { name: "conduit_requests_active", gauge: { dataPoints: [{ asDouble: 0 }] } },
      { name: "some_state", gauge: { dataPoints: [{ asDouble: 1 }] } },
      { name: "no_state", gauge: { dataPoints: [] } },
      { name: "conduit_model_selection", sum: { isMonotonic: true, dataPoints: [{ asDouble: 2 }] } }
    ])
  })
})
