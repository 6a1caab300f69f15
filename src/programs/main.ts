import { makeRunMain } from "@effect/platform/Runtime"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

const [command, ...rest] = process.argv.slice(2)
const isWorker = command === "worker" && rest.length === 0
const isService = command === undefined || command === "serve" || isWorker

/**
 * What a command has still to write into a pipe goes out before the end, or its reader gets a text that is cut; a pager may
 * take as long as it likes. The service has written its report by then, and waits for nobody.
 */
const exitWhenWritten = (code: number) => {
  const streams = isService ? [] : [process.stdout, process.stderr]
  const writing = streams.filter(({ writableLength }) => writableLength > 0)
  let left = writing.length
  if (left === 0) process.exit(code)
  for (const stream of writing) {
    // A reader that has gone is told as an error of the stream as well.
    stream.on("error", () => undefined)
    stream.write("", () => {
      left -= 1
      if (left === 0) process.exit(code)
    })
  }
}

// Signals belong to the lifecycle, which counts them; here only the exit code is taken home.
const runMain = makeRunMain(({ fiber, teardown }) => {
  const keepAlive = setInterval(() => {}, 2 ** 31 - 1)
  fiber.addObserver((exit) => {
    clearInterval(keepAlive)
    teardown(exit, exitWhenWritten)
  })
})

/** A signal that comes while the service is loaded: as PID 1 it would never hear of it, else it would end without a report. */
const keepForLater = (signal: NodeJS.Signals) => {
  let isHeard = false
  const handOver = (event: string | symbol) => {
    if (event !== signal) return
    process.off("newListener", handOver)
    if (isHeard) setImmediate(() => process.emit(signal, signal))
  }
  process.on(signal, () => (isHeard = true))
  process.on("newListener", handOver)
}

const signals = ["SIGTERM", "SIGINT", "SIGHUP"] as const

/** Its parent hears the signals, and tells it. */
const work = Effect.suspend(() => {
  for (const signal of signals) process.on(signal, () => undefined)
  return Effect.flatMap(
    Effect.promise(() => import("./workers.ts")),
    ({ work }) => work
  )
})

const serve = Effect.suspend(() => {
  for (const signal of signals) keepForLater(signal)
  return Effect.flatMap(
    Effect.promise(() => import("./start.ts")),
    ({ start }) => start
  )
})

// The command line library costs start-up time: the service and the image's health check do without it.
const program: Effect.Effect<number, unknown> =
  command === undefined || (command === "serve" && rest.length === 0)
    ? serve
    : isWorker
      ? work
      : command === "healthcheck" && rest.length === 0
        ? Effect.flatMap(
            Effect.promise(() => import("./healthcheck.ts")),
            ({ healthcheck }) => healthcheck
          )
        : Effect.flatMap(
            Effect.promise(() => import("./cli.ts")),
            ({ cli }) => cli(process.argv)
          )

runMain(program, {
  disablePrettyLogger: true,
  disableErrorReporting: true,
  teardown: (exit, onExit) => onExit(Exit.isSuccess(exit) ? Number(exit.value) : 1)
})
