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
      const changing = changingCatalog(catalogFrom([model("circuit-a"), model("circuit-b")]))
      const catalog = yield* Effect.provide(ModelCatalog, changing.layer)
      let now = 0
      const circuits = yield* Circuits.make({ catalog, clock, telemetry })
      const shown = (id: string) =>
        exposition(telemetry.render())
          .samples("conduit_circuit_state")
          .filter(({ labels, value }) => labels["model"] === id && value === 1)
          .map(({ labels }) => labels["state"])
      assert.deepStrictEqual([shown("circuit-a"), shown("circuit-b"), shown("circuit-c")], [["closed"], ["closed"], []])

      const circuit = circuits.of(ModelId("circuit-a"))
      for (let i = 0; i < 5; i++) {
        circuit.enter(now)
        circuit.failed(now, { retryAfterSeconds: null, request: `${i}`, isRetry: false, onlyOf: null })
      }
      assert.deepStrictEqual([shown("circuit-a"), shown("circuit-b")], [["open"], ["closed"]])
      now = 10_000
      assert.deepStrictEqual(shown("circuit-a"), ["half_open"])

      changing.file.next = catalogFrom([model("circuit-b"), model("circuit-c")])
      yield* catalog.reload
      assert.deepStrictEqual([shown("circuit-a"), shown("circuit-b"), shown("circuit-c")], [[], ["closed"], ["closed"]])
      // A series of zeros would say for ever that the circuit is not closed, which there is an alert for.
      const series = exposition(telemetry.render()).samples("conduit_circuit_state")
      assert.isUndefined(series.find(({ labels }) => labels["model"] === "circuit-a"))
    }).pipe(Effect.provide(TelemetryMetrics.layer))
  )
})
