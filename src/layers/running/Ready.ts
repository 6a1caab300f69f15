import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { HttpSocket } from "../../services/api/HttpSocket.ts"
import { InFlight } from "../../services/running/InFlight.ts"
import { Lifecycle } from "../../services/running/Lifecycle.ts"
import { ModelCatalog } from "../../services/models/ModelCatalog.ts"
import { Output } from "../../services/running/Output.ts"
import { Settings } from "../../services/running/Settings.ts"
import { ShutdownReport } from "../../services/running/ShutdownReport.ts"
import { WorkerSeat } from "../../services/running/Workers.ts"
import { hasKeys } from "../../services/running/settings/Http.ts"

/** Says where the service is and what to try, once it is ready: of several workers one does, once all are. No other line before it has an address of ours in it. */
export const layer: Layer.Layer<
  never,
  never,
  HttpSocket | InFlight | Lifecycle | ModelCatalog | Output | Settings | ShutdownReport
> = Layer.scopedDiscard(
  Effect.gen(function* () {
    const { url } = yield* HttpSocket
    const { log, http } = yield* Settings
    const catalog = (yield* ModelCatalog).current()
    const lifecycle = yield* Lifecycle
    const output = yield* Output
    const inFlight = yield* InFlight
    const report = yield* ShutdownReport

    const seat = yield* WorkerSeat
    if (seat !== null) {
      yield* seat.serves(() => ({ inFlight: inFlight.count(), pending: report.pending() }))
      if (!seat.announces) return
    }
    const usable = catalog.models.filter((model) => model.unavailable === null)
    const isSimulated = usable.some((model) => model.simulated)
    for (const notice of catalog.notices) yield* Effect.logWarning(notice)
    const key = hasKeys(http) ? ` -H 'authorization: Bearer YOUR_KEY'` : ""
    const body = `{"model":"auto","messages":[{"role":"user","content":"What is the capital of France?"}]}`
    const curl = [
      `curl -s ${url}/v1/chat/completions${key} -H 'content-type: application/json'`,
      `-d '${body}'`
    ] as const
    const announce = Effect.gen(function* () {
      if (log.format === "json") {
        return yield* Effect.logInfo("ready", {
          url,
          docs: `${url}/docs`,
          try: curl.join(" "),
          models: usable.map((model) => model.id),
          ...(isSimulated ? { simulated: true } : {})
        })
      }
      yield* Effect.logInfo("ready", { url })
      output.line(
        [
          "",
          `  Conduit   ${url}`,
          `  Docs      ${url}/docs`,
          `  Models    ${usable.map((model) => model.id).join(", ")}${isSimulated ? "   (SIMULATED: no provider is configured)" : ""}`,
          "",
          "  Try:",
          `  ${curl[0]} \\`,
          `    ${curl[1]}`,
          ""
        ].join("\n")
      )
    })
    yield* Effect.forkScoped(Effect.zipRight(lifecycle.ready, announce))
  })
)
