// What the metrics of one request cost, and one text of /metrics, in this process.
// node bench/run.mjs metrics [requests]
import * as Effect from "effect/Effect"
import { RouterId } from "../src/domain/basics/Ids.ts"
import * as TelemetryMetrics from "../src/layers/observing/Telemetry.ts"
import { Telemetry } from "../src/services/observing/Telemetry.ts"
import { recordOf, small } from "../test/support/learningRecords.ts"
import { argument, median, row } from "./support/measure.ts"

const requests = argument(0, 50_000)
const rounds = 9

await Effect.runPromise(
  Effect.gen(function* () {
    const telemetry = yield* Telemetry
    const { decision, outcome } = recordOf(RouterId("cost"))
    const request = () => {
      telemetry.decided(decision, 0.0001)
      telemetry.called(small, "ok", 0.3)
      if (outcome !== null) telemetry.settled(decision, outcome)
      telemetry.requestEnded("/v1/chat/completions", "POST", 200, 0.3)
    }
    const micros = (times: number, run: () => void) => {
      const startedAt = performance.now()
      for (let i = 0; i < times; i++) run()
      return ((performance.now() - startedAt) * 1000) / times
    }
    micros(requests, request)
    row("", ["median us", "worst us"])
    const updates = Array.from({ length: rounds }, () => micros(requests, request))
    row("the metrics of a request", [median(updates), Math.max(...updates)])
    const texts = Array.from({ length: rounds }, () => micros(20, telemetry.render))
    row("a text of /metrics", [median(texts), Math.max(...texts)])
  }).pipe(Effect.provide(TelemetryMetrics.layer))
)
