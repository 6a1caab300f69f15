import type * as Duration from "effect/Duration"
import * as Layer from "effect/Layer"
import * as Lifecycle from "../../src/layers/running/Lifecycle.ts"
import * as ShutdownReportJson from "../../src/layers/running/ShutdownReportJson.ts"
import { Output } from "../../src/services/running/Output.ts"

/** Keeps what would have been printed. */
export const recordingOutput = (lines: Array<string>): Layer.Layer<Output> =>
  Layer.succeed(
    Output,
    Output.of({
      isTerminal: false,
      descriptor: () => 1,
      line: (text) => void lines.push(text),
      report: (text) => void lines.push(text)
    })
  )

/** The real lifecycle and report: without signal handlers, as an embedder has them, unless they are asked for. */
export const lifecycleWith = (options: {
  readonly shutdownTimeout: Duration.DurationInput
  readonly hearsSignals?: boolean
  readonly lines?: Array<string>
}) =>
  Lifecycle.layer({
    shutdownTimeout: options.shutdownTimeout,
    installSignalHandlers: options.hearsSignals === true,
    reloadOnSighup: true
  }).pipe(Layer.provideMerge(ShutdownReportJson.layer), Layer.provide(recordingOutput(options.lines ?? [])))
