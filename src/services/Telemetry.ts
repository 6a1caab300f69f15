import * as Context from "effect/Context"

/** Metrics. Updates are synchronous and cost well under a microsecond; label values are bounded by their types. */
export interface TelemetryShape {
  readonly requestStarted: () => void
  readonly requestEnded: (route: string, method: string, status: number) => void
  /** Time from the parsed request to the choice. */
  readonly routed: (seconds: number) => void
  readonly modelSelected: (model: string, algorithm: string) => void
  readonly folded: (events: number) => void
  readonly dropped: (records: number) => void
  readonly fallbackToStatic: () => void
  /** A value that is read when somebody asks for the metrics. */
  readonly gauge: (name: string, help: string, read: () => number) => void
  /** The Prometheus text exposition format, version 0.0.4. */
  readonly render: () => string
}

export class Telemetry extends Context.Tag("conduit/services/Telemetry")<Telemetry, TelemetryShape>() {}
