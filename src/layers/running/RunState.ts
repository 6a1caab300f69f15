import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type { LifecyclePhase } from "../../services/running/Lifecycle.ts"
import { type Report, ServiceFailure, type ShutdownReportShape } from "../../services/running/ShutdownReport.ts"
import { counted, demandOf, noSignals, type SignalCount } from "./Signals.ts"
import type { Watchdog } from "./Watchdog.ts"

/** What persist, close and flush may take together after a second signal. */
const forcedBudgetMillis = 6_000

type Listener = () => void

/**
 * How far a run is, and why it ends: the signals, the failures, the moment at which the shutdown was requested. Every
 * change is synchronous, for a signal finds no fiber that would be sure to run; the watchdog is told of each. Whole, as
 * every request, signal and failure asks whether another came first.
 */
export class RunState {
  /** Completes when a shutdown is requested. */
  readonly requested: Deferred.Deferred<void> = Deferred.unsafeMake(FiberId.none)

  private readonly clock: Clock.Clock
  private readonly report: ShutdownReportShape
  private readonly timeoutMillis: number
  private readonly watchdog: Watchdog | undefined

  private readonly stoppingListeners: Array<Listener> = []
  private readonly reloadListeners: Array<Listener> = []
  /** Without the phases of the shutdown, which the report knows. */
  private step: "starting" | "running" | "stopped" = "starting"
  private stoppingSinceMillis: number | undefined
  private signals: SignalCount = noSignals
  private hasFailed = false
  /** Failures of which the log does not know yet. */
  private unsaid: Array<string> = []
  /** A reload was asked for before anybody could do it. */
  private isReloadAwaited = false

  constructor(options: {
    readonly clock: Clock.Clock
    readonly report: ShutdownReportShape
    /** Of the whole shutdown. */
    readonly timeoutMillis: number
    readonly watchdog: Watchdog | undefined
  }) {
    this.clock = options.clock
    this.report = options.report
    this.timeoutMillis = options.timeoutMillis
    this.watchdog = options.watchdog
    this.report.onChange(() => this.publish())
  }

  phase(): LifecyclePhase {
    return this.step === "stopped" ? this.step : (this.report.current() ?? this.step)
  }

  isStopping(): boolean {
    return this.stoppingSinceMillis !== undefined
  }

  /** Since the shutdown was requested. */
  stoppingSeconds(): number {
    const now = this.clock.unsafeCurrentTimeMillis()
    return (now - (this.stoppingSinceMillis ?? now)) / 1000
  }

  /** What the report would say now. */
  render(): Report {
    return this.report.render({
      signal: this.signals.first,
      signals: this.signals.count,
      failed: this.hasFailed,
      durationSeconds: this.stoppingSeconds()
    })
  }

  publish(): void {
    this.watchdog?.publish(this.render())
  }

  built(): void {
    if (!this.isStopping()) this.step = "running"
  }

  ended(): void {
    this.step = "stopped"
    this.watchdog?.disarm()
  }

  /** Once; later requests change nothing. */
  requestShutdown(): void {
    if (this.isStopping()) return
    this.stoppingSinceMillis = this.clock.unsafeCurrentTimeMillis()
    this.call(this.stoppingListeners)
    this.publish()
    this.watchdog?.armNoLater(Date.now() + this.timeoutMillis)
    Deferred.unsafeDone(this.requested, Effect.void)
  }

  fail(detail: string): void {
    this.hasFailed = true
    this.unsaid.push(detail)
    this.report.error(null, new ServiceFailure({ detail }))
  }

  /** The failures since the last call. */
  takeUnsaid(): ReadonlyArray<string> {
    return this.unsaid.splice(0)
  }

  /** Counts the signal and does what it asks for; `exit` is left to the caller. */
  signalled(signal: string): "stop" | "force" | "exit" {
    this.signals = counted(this.signals, signal)
    const demand = demandOf(this.signals)
    if (demand === "stop") this.requestShutdown()
    else this.publish()
    if (demand === "force") {
      this.watchdog?.armNoLater(Date.now() + forcedBudgetMillis)
      this.report.force()
    }
    return demand
  }

  requestReload(): void {
    if (this.isStopping()) return
    this.isReloadAwaited = this.reloadListeners.length === 0
    // Like any other failure that nobody handles, it ends the program.
    if (!this.call(this.reloadListeners)) this.requestShutdown()
  }

  onStopping(listener: Listener): void {
    this.stoppingListeners.push(listener)
  }

  onReload(listener: Listener): void {
    this.reloadListeners.push(listener)
    if (this.isReloadAwaited) this.requestReload()
  }

  /** Calls every one: none is kept from hearing by another that throws. Answers whether none threw. */
  private call(listeners: ReadonlyArray<Listener>): boolean {
    let isWell = true
    for (const listener of listeners) {
      try {
        listener()
      } catch (cause) {
        isWell = false
        this.fail(`a listener threw: ${cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)}`)
      }
    }
    return isWell
  }
}
