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

// Not process.stdout: its writes can be asynchronous, and the report must be out before the process is gone.
export const layer: Layer.Layer<Output> = Layer.sync(Output, () => {
  let isOpen = true
  return Output.of({
    line: (text) => {
      const bytes = Buffer.from(`${text}\n`)
      if (isOpen) isOpen = writeAll(stdout, bytes)
      if (!isOpen) writeAll(stderr, bytes)
    },
    isTerminal: process.stdout.isTTY === true
  })
})
