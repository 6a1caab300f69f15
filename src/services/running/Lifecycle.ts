import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { PhaseName, Report } from "./ShutdownReport.ts"

/** Where the process is in its life. */
export type LifecyclePhase = "starting" | "running" | PhaseName | "stopped"

/** Starts and stops the service: signals, programmatic shutdown and failures take the same path. */
export interface LifecycleShape {
  readonly phase: () => LifecyclePhase
  /** Whether a shutdown was requested: readiness and `/health` are 503 from this moment. */
  readonly stopping: () => boolean
  /** Builds the layer, keeps it until a shutdown is requested or it fails, releases it, and answers the report. Once. */
  readonly run: <A, E, R>(layer: Layer.Layer<A, E, R>) => Effect.Effect<Report, never, R>
  /** Completes when the layer of `run` is built; never if it is not. */
  readonly ready: Effect.Effect<void>
  /** Requests the shutdown and waits for its report. Idempotent: every caller gets the same report. */
  readonly shutdown: Effect.Effect<Report>
  /** The service cannot go on: requests the shutdown, whose outcome is `failed`. */
  readonly fail: (detail: string) => void
  /** Called synchronously at the moment a shutdown is requested. */
  readonly onStopping: (listener: () => void) => void
  /** Called synchronously at a SIGHUP, where it asks for a reload; one that came before is not forgotten. */
  readonly onReload: (listener: () => void) => void
  /** Run at the start of a shutdown, before anything is released; bounded. */
  readonly onShutdownStart: (hook: Effect.Effect<void>) => Effect.Effect<void>
  /** Run with the finished report, before it is written; bounded. */
  readonly onShutdownComplete: (hook: (report: Report) => Effect.Effect<void>) => Effect.Effect<void>
}

export class Lifecycle extends Context.Tag("conduit/services/Lifecycle")<Lifecycle, LifecycleShape>() {}

/** What is told to who hears signals, and failures that nobody handled. */
export interface SignalListener {
  readonly signal: (signal: string) => void
  readonly failure: (detail: string) => void
}

/** Hears until the scope closes. */
export type Listen = (on: SignalListener) => Effect.Effect<void, never, Scope.Scope>
