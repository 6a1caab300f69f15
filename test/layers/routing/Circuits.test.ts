import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { ModelId } from "../../../src/domain/basics/Ids.ts"
import * as TelemetryMetrics from "../../../src/layers/observing/Telemetry.ts"
import * as Circuits from "../../../src/layers/routing/Circuits.ts"
import { ModelCatalog } from "../../../src/services/models/ModelCatalog.ts"
import { Telemetry } from "../../../src/services/observing/Telemetry.ts"
import { changingCatalog } from "../../support/catalog.ts"
import { exposition } from "../../support/exposition.ts"
import { catalogFrom, model } from "../../support/scriptedModels.ts"

describe("the metrics of circuits", () => {
  it.scoped("follow the catalogue as it is read again, and the time", () =>
    Effect.gen(function* () {
      const telemetry = yield* Telemetry
      const clock = { ...(yield* Effect.clock), unsafeCurrentTimeMillis: () => now }
      const changing = changingCatalog(catalogFrom([model("a"), model("b")]))
      const catalog = yield* Effect.provide(ModelCatalog, changing.layer)
      let now = 0
      const circuits = yield* Circuits.make({ catalog, clock, telemetry })
      const shown = (id: string) =>
        exposition(telemetry.render())
          .samples("conduit_circuit_state")
          .filter(({ labels, value }) => labels["model"] === id && value === 1)
          .map(({ labels }) => labels["state"])
      assert.deepStrictEqual([shown("a"), shown("b"), shown("c")], [["closed"], ["closed"], []])

      const circuit = circuits.of(ModelId("a"))
      for (let i = 0; i < 5; i++) {
        circuit.enter(now)
        circuit.failed(now, { retryAfterSeconds: null, request: `${i}`, isRetry: false, onlyOf: null })
      }
      assert.deepStrictEqual([shown("a"), shown("b")], [["open"], ["closed"]])
      now = 10_000
      assert.deepStrictEqual(shown("a"), ["half_open"])

      changing.file.next = catalogFrom([model("b"), model("c")])
      yield* catalog.reload
      assert.deepStrictEqual([shown("a"), shown("b"), shown("c")], [[], ["closed"], ["closed"]])
      // A series of zeros would say for ever that the circuit is not closed, which there is an alert for.
      const series = exposition(telemetry.render()).samples("conduit_circuit_state")
      assert.isUndefined(series.find(({ labels }) => labels["model"] === "a"))
    }).pipe(Effect.provide(TelemetryMetrics.layer))
  )
})
