import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Fs from "node:fs"
import { Output } from "../services/Output.ts"

const stdout = 1
const stderr = 2
const retryMillis = 5
/** A reader that does not read for a second loses lines; a shutdown must not wait for it. */
const retryLimit = 200
const sleeper = new Int32Array(new SharedArrayBuffer(4))

const writeAll = (fd: number, bytes: Buffer): boolean => {
  for (let at = 0, tries = 0; at < bytes.length && tries < retryLimit;) {
    try {
      at += Fs.writeSync(fd, bytes, at)
    } catch (cause) {
      if (!(cause instanceof Error && "code" in cause && cause.code === "EAGAIN")) return false
      tries++
      Atomics.wait(sleeper, 0, 0, retryMillis)
    }
  }
  return true
}

/**
 * Closed before the start: node has opened the null device in its place, for reading and writing. Who discards the output
 * on purpose (`>/dev/null`) opened it for writing only.
 */
const isMissing = (): boolean =>
  Either.try(
    () =>
      Fs.fstatSync(stdout).rdev === Fs.statSync("/dev/null").rdev &&
      Fs.readSync(stdout, Buffer.alloc(1), 0, 1, null) === 0
  ).pipe(Either.getOrElse(() => false))

// Not process.stdout: its writes can be asynchronous, and the report must be out before the process is gone.
export const layer: Layer.Layer<Output> = Layer.sync(Output, () => {
  let isOpen = !isMissing()
  return Output.of({
    line: (text) => {
      const bytes = Buffer.from(`${text}\n`)
      if (isOpen) isOpen = writeAll(stdout, bytes)
      if (!isOpen) writeAll(stderr, bytes)
    },
    descriptor: () => (isOpen ? stdout : stderr),
    isTerminal: process.stdout.isTTY === true
  })
})
