import { Worker } from "node:worker_threads"
import type { Report } from "../../services/running/ShutdownReport.ts"

/**
 * A thread that ends the process when the event loop cannot: a synchronous endless loop, or a finalizer that never
 * returns, stops every timer and signal handler of the main thread, and nothing but SIGKILL ends it.
 */
export interface Watchdog {
  /** From now on the process is killed at `deadlineMillis` (Unix time) or at an earlier deadline, unless it is disarmed. */
  readonly armNoLater: (deadlineMillis: number) => void
  /** What the thread would write. */
  readonly publish: (report: Report) => void
  readonly disarm: () => void
}

const headerBytes = 32
const reportBytes = 256 * 1024

// Evaluated from a string, so that it runs the same from sources, from `dist` and from a bundle.
const source = `
const { shared, descriptor } = require("node:worker_threads").workerData
const fs = require("node:fs")
const header = new Int32Array(shared, 0, 4)
const times = new Float64Array(shared, 16, 2)
const write = (fd, text) => {
  const bytes = Buffer.from(text)
  let at = 0
  for (let tries = 0; at < bytes.length && tries < 200; tries++) {
    try { at += fs.writeSync(fd, bytes, at) }
    catch (error) { if (error.code !== "EAGAIN") return false; Atomics.wait(header, 3, 0, 5) }
  }
  return at === bytes.length
}
for (;;) {
  const version = Atomics.load(header, 0)
  const deadline = times[0]
  if (deadline === 0) { Atomics.wait(header, 0, version); continue }
  if (deadline < 0) break
  const left = deadline - Date.now()
  if (left > 0) { Atomics.wait(header, 0, version, left); continue }
  const newest = Atomics.load(header, 1)
  const at = ${headerBytes} + (newest % 2) * ${reportBytes}
  const report = JSON.parse(Buffer.from(new Uint8Array(shared, at, newest >> 1)).toString("utf8"))
  report.outcome = "watchdog"
  report.exit_code = 137
  report.duration_seconds = Math.round(Date.now() - times[1]) / 1000
  const line = JSON.stringify(report) + "\\n"
  if (!write(descriptor, line)) write(2, line)
  process.kill(process.pid, "SIGKILL")
  Atomics.wait(header, 3, 0, 1000)
}
`

/** What is written goes to the descriptor, or to stderr where that is closed. */
export const start = (descriptor: number): Watchdog => {
  // Two reports, written in turns: the thread never reads a half written one.
  const shared = new SharedArrayBuffer(headerBytes + 2 * reportBytes)
  const header = new Int32Array(shared, 0, 4)
  const times = new Float64Array(shared, 16, 2)
  const text = new Uint8Array(shared, headerBytes)
  const worker = new Worker(source, { eval: true, workerData: { shared, descriptor }, stdout: false, stderr: false })
  worker.unref()
  const tell = () => {
    Atomics.add(header, 0, 1)
    Atomics.notify(header, 0)
  }
  return {
    armNoLater: (deadlineMillis) => {
      if (times[1] === 0) times[1] = Date.now()
      times[0] = times[0] === undefined || times[0] === 0 ? deadlineMillis : Math.min(times[0], deadlineMillis)
      tell()
    },
    publish: (report) => {
      const bytes = Buffer.from(JSON.stringify(fitting(report)))
      const turn = 1 - (Atomics.load(header, 1) % 2)
      text.set(bytes, turn * reportBytes)
      Atomics.store(header, 1, 2 * bytes.length + turn)
    },
    disarm: () => {
      times[0] = -1
      tell()
    }
  }
}

/** The report without the facts of its errors, should those be too many for the shared memory. */
const fitting = (report: Report): Report =>
  report.errors.length > 100 || JSON.stringify(report.errors).length > reportBytes / 2
    ? {
        ...report,
        errors: report.errors
          .slice(0, 100)
          .map(({ _tag, message, phase }) => ({ _tag, phase, message: message.slice(0, 500) }))
      }
    : report
