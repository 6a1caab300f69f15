import * as Effect from "effect/Effect"
import type { Listen, SignalListener } from "../../services/running/Lifecycle.ts"

/** What was heard so far: each signal but those that ask for a reload, and the echoes of Ctrl-C. */
export interface SignalCount {
  readonly count: number
  readonly first: string | null
}

export const noSignals: SignalCount = { count: 0, first: null }

export const counted = ({ count, first }: SignalCount, signal: string): SignalCount => ({
  count: count + 1,
  first: first ?? signal
})

/** The first signal stops the service, the second gives up waiting, the third ends the process. */
export const demandOf = ({ count }: SignalCount): "stop" | "force" | "exit" =>
  count <= 1 ? "stop" : count === 2 ? "force" : "exit"

/**
 * One Ctrl-C can arrive twice: the terminal signals the whole group, and npm passes it on besides. Within this time it
 * counts once. Other signals always count: a second SIGTERM, however soon, cuts the drain.
 */
const echoMillis = 200

const names = ["SIGTERM", "SIGINT", "SIGHUP"] as const

const signalsOf = (on: SignalListener): ReadonlyArray<() => void> => {
  let last = { signal: "", millis: 0 }
  return names.map((signal) => {
    const listener = () => {
      const millis = Date.now()
      const isEcho = signal === "SIGINT" && last.signal === signal && millis - last.millis < echoMillis
      last = { signal, millis }
      if (!isEcho) on.signal(signal)
    }
    process.on(signal, listener)
    return () => process.off(signal, listener)
  })
}

const failuresOf = (on: SignalListener): ReadonlyArray<() => void> =>
  (["unhandledRejection", "uncaughtException"] as const).map((event) => {
    const listener = (cause: unknown) =>
      on.failure(`${event}: ${cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)}`)
    process.on(event, listener)
    return () => process.off(event, listener)
  })

const listening = (start: () => ReadonlyArray<() => void>) =>
  Effect.asVoid(
    Effect.acquireRelease(Effect.sync(start), (stops) => Effect.sync(() => stops.forEach((stop) => stop())))
  )

/** Hears the signals and the failures that end a program. */
export const listen: Listen = (on) => listening(() => [...signalsOf(on), ...failuresOf(on)])

/** Its own failures, and signals from elsewhere. */
export const listenTo =
  (start: (signal: SignalListener["signal"]) => () => void): Listen =>
  (on) =>
    listening(() => [start(on.signal), ...failuresOf(on)])
