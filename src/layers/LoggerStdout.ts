import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { Lifecycle } from "../services/Lifecycle.ts"
import { Output } from "../services/Output.ts"
import { Settings, type SettingsShape } from "../services/Settings.ts"

const levels = {
  DEBUG: LogLevel.Debug,
  INFO: LogLevel.Info,
  WARNING: LogLevel.Warning,
  ERROR: LogLevel.Error
} as const satisfies Record<SettingsShape["log"]["level"], LogLevel.LogLevel>

const nameOf = (level: LogLevel.LogLevel): keyof typeof levels =>
  LogLevel.greaterThanEqual(level, LogLevel.Error)
    ? "ERROR"
    : LogLevel.greaterThanEqual(level, LogLevel.Warning)
      ? "WARNING"
      : LogLevel.greaterThanEqual(level, LogLevel.Info)
        ? "INFO"
        : "DEBUG"

const colours = { DEBUG: "\u001b[90m", INFO: "\u001b[32m", WARNING: "\u001b[33m", ERROR: "\u001b[31m" }
const reset = "\u001b[0m"

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" &&
  value !== null &&
  !Array.isArray(value) &&
  Object.getPrototypeOf(value) === Object.prototype

/** One JSON object a line, or `LEVEL - message` for people. From the first signal on each line says the phase. */
export const layer: Layer.Layer<never, never, Lifecycle | Output | Settings> = Layer.unwrapEffect(
  Effect.gen(function* () {
    const { log } = yield* Settings
    const lifecycle = yield* Lifecycle
    const output = yield* Output

    const logger = Logger.make<unknown, void>(({ annotations, cause, date, logLevel, message }) => {
      const level = nameOf(logLevel)
      const texts: Array<string> = []
      const fields: Record<string, unknown> = Object.fromEntries(HashMap.toEntries(annotations))
      for (const part of Array.isArray(message) ? message : [message]) {
        if (isRecord(part)) Object.assign(fields, part)
        else texts.push(typeof part === "string" ? part : part instanceof Error ? part.message : String(part))
      }
      if (!Cause.isEmpty(cause)) fields["cause"] = Cause.pretty(cause)
      if (lifecycle.stopping()) fields["phase"] = lifecycle.phase()
      const text = texts.join(" ")
      if (log.format === "json") {
        output.line(JSON.stringify({ time: date.toISOString(), level, message: text, ...fields }))
        return
      }
      const extra = Object.entries(fields)
        .filter(([name]) => name !== "phase" && name !== "router_id")
        .map(([name, value]) => ` ${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
        .join("")
      const label = output.isTerminal ? `${colours[level]}${level}${reset}` : level
      output.line(`${label} - ${text}${extra}`)
    })
    return Layer.merge(Logger.replace(Logger.defaultLogger, logger), Logger.minimumLogLevel(levels[log.level]))
  })
)
