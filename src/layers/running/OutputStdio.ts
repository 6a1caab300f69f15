import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Fs from "node:fs"
import { Output } from "../../services/running/Output.ts"

const retryMillis = 5
/** A second, which a reader may take once; nobody waits for it again until it reads on. */
const retryLimit = 200
const sleeper = new Int32Array(new SharedArrayBuffer(4))

const isFull = (cause: unknown): boolean => cause instanceof Error && "code" in cause && cause.code === "EAGAIN"

/** One descriptor, which takes lines whole unless its reader gets stuck in the middle of one. */
const sinkOf = (fd: number) => {
  let isOpen = true
  let isStuck = false
  let isCut = false
  return {
    isOpen: () => isOpen,
    close: () => {
      isOpen = false
    },
    /** False for what did not get through. */
    take: (line: string): boolean => {
      const bytes = Buffer.from(isCut ? `\n${line}` : line)
      let at = 0
      for (let tries = 0; isOpen && at < bytes.length && tries <= retryLimit;) {
        try {
          at += Fs.writeSync(fd, bytes, at)
        } catch (cause) {
          isOpen = isFull(cause)
          tries += isStuck ? Infinity : 1
          if (isOpen && !isStuck) Atomics.wait(sleeper, 0, 0, retryMillis)
        }
      }
      const isDone = at === bytes.length
      isStuck = !isDone
      if (at > 0) isCut = !isDone
      return isDone
    }
  }
}

/**
 * Closed before the start: node has opened the null device in its place, for reading and writing. Who discards the output
 * on purpose (`>/dev/null`) opened it for writing only.
 */
const isMissing = (fd: number): boolean =>
  Either.try(
    () => Fs.fstatSync(fd).rdev === Fs.statSync("/dev/null").rdev && Fs.readSync(fd, Buffer.alloc(1), 0, 1, null) === 0
  ).pipe(Either.getOrElse(() => false))

// Not process.stdout itself: its writes can be asynchronous, and the report must be out before the process is gone. Asking
// for its descriptor makes a pipe one that can be full instead of one that blocks.
const make = (reportTo: number | null): Layer.Layer<Output> =>
  Layer.sync(Output, () => {
    const { fd } = process.stdout
    const stdout = sinkOf(fd)
    const stderr = sinkOf(process.stderr.fd)
    const parent = reportTo === null ? null : sinkOf(reportTo)
    if (isMissing(fd)) stdout.close()
    const write = (line: string) => {
      if (!stdout.take(line)) stderr.take(line)
    }
    return Output.of({
      line: (text) => write(`${text}\n`),
      report: (text) => {
        const line = `${text}\n`
        if (parent?.take(line) !== true) write(line)
      },
      descriptor: () => reportTo ?? (stdout.isOpen() ? fd : process.stderr.fd),
      isTerminal: process.stdout.isTTY === true
    })
  })

export const layer: Layer.Layer<Output> = make(null)

/** A worker's: its report goes to its parent by that descriptor. */
export const layerReportingTo: (descriptor: number) => Layer.Layer<Output> = make
