import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as HashMap from "effect/HashMap"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import { Lifecycle, type LifecyclePhase } from "../../services/running/Lifecycle.ts"
import { LogFields } from "../../services/observing/LogFields.ts"
import { Output } from "../../services/running/Output.ts"
import { Settings, type SettingsShape } from "../../services/running/Settings.ts"
import { counter } from "./metrics/Series.ts"
import { pretty } from "./PrettyFormat.ts"

type Level = SettingsShape["log"]["level"]

const levels = {
  DEBUG: LogLevel.Debug,
  INFO: LogLevel.Info,
  WARNING: LogLevel.Warning,
  ERROR: LogLevel.Error
} as const satisfies Record<Level, LogLevel.LogLevel>

const nameOf = (level: LogLevel.LogLevel): Level =>
  LogLevel.greaterThanEqual(level, LogLevel.Error)
    ? "ERROR"
    : LogLevel.greaterThanEqual(level, LogLevel.Warning)
      ? "WARNING"
      : LogLevel.greaterThanEqual(level, LogLevel.Info)
        ? "INFO"
        : "DEBUG"

const counterOf = (level: Level) =>
  counter("conduit_log_messages_total", "Lines that were written to the log, by level", { level })

const colours = { DEBUG: "\u001b[90m", INFO: "\u001b[32m", WARNING: "\u001b[33m", ERROR: "\u001b[31m" }
const faint = "\u001b[2m"
const reset = "\u001b[0m"

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" &&
  value !== null &&
  !Array.isArray(value) &&
  Object.getPrototypeOf(value) === Object.prototype

/** Between the signal and the first step of the chain, the shutdown is where it would settle. */
const shutdownPhase = (phase: LifecyclePhase) => (phase === "starting" || phase === "running" ? "settle" : phase)

const traceIdOf = (fiberRefs: FiberRefs.FiberRefs): string | undefined =>
  Option.getOrUndefined(
    Context.getOption(FiberRefs.getOrDefault(fiberRefs, FiberRef.currentContext), Tracer.ParentSpan)
  )?.traceId

/** One JSON object a line, or `LEVEL - message` for people. From the first signal on each line says the phase. */
export const layer: Layer.Layer<never, never, Lifecycle | Output | Settings> = Layer.unwrapEffect(
  Effect.gen(function* () {
    const { learning, log } = yield* Settings
    const lifecycle = yield* Lifecycle
    const output = yield* Output
    const process = yield* LogFields
    const configured = Option.getOrUndefined(learning.routerId)
    const written = {
      DEBUG: counterOf("DEBUG"),
      INFO: counterOf("INFO"),
      WARNING: counterOf("WARNING"),
      ERROR: counterOf("ERROR")
    }

    const coloured = (colour: string) => (text: string) => (output.isTerminal ? `${colour}${text}${reset}` : text)

    const logger = Logger.make<unknown, void>(({ annotations, cause, context, date, logLevel, message }) => {
      const level = nameOf(logLevel)
      const texts: Array<string> = []
      const own: Record<string, unknown> = Object.fromEntries(HashMap.toEntries(annotations))
      for (const part of Array.isArray(message) ? message : [message]) {
        if (isRecord(part)) Object.assign(own, part)
        else texts.push(typeof part === "string" ? part : part instanceof Error ? part.message : String(part))
      }
      if (!Cause.isEmpty(cause)) own["cause"] = Cause.pretty(cause)
      const text = texts.join(" ")
      if (log.format === "pretty") {
        output.line(`${coloured(colours[level])(level)} - ${pretty(text, own, coloured(faint))}`)
      } else {
        output.line(
          JSON.stringify({
            time: date.toISOString(),
            level,
            message: text,
            router_id: process.routerId ?? configured,
            worker: process.worker,
            // Where it applies, in this order; what is undefined is left out.
            request_id: undefined,
            trace_id: traceIdOf(context),
            decision_id: undefined,
            model_id: undefined,
            latency_ms: undefined,
            ...own,
            phase: lifecycle.stopping() ? shutdownPhase(lifecycle.phase()) : undefined
          })
        )
      }
      written[level].update(1)
    })
    return Layer.mergeAll(
      Logger.replace(Logger.defaultLogger, logger),
      Logger.minimumLogLevel(levels[log.level]),
      // The runtime's own line at DEBUG for each fiber that fails, handled or not: its cause may quote an upstream.
      Layer.setUnhandledErrorLogLevel(Option.none())
    )
  })
)
