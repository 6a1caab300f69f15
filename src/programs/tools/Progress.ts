/** Says on stderr how far long work is: often on a terminal, in place; else a line every few seconds. */
export interface Progress {
  readonly at: (done: number) => void
  readonly end: () => void
}

/** Where it is said, and by which clock. */
export interface Audience {
  readonly isTerminal: boolean
  readonly nowMs: () => number
  readonly write: (text: string) => void
}

const onTerminalMillis = 200
const inLogMillis = 5_000

const onStderr = (): Audience => ({
  isTerminal: process.stderr.isTTY === true,
  nowMs: () => performance.now(),
  write: (text) => void process.stderr.write(text)
})

const spoken = (seconds: number): string =>
  seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.floor(seconds / 60)} min ${Math.ceil(seconds % 60)} s`

export const progressOf = (
  what: string,
  unit: string,
  total: number,
  { isTerminal, nowMs, write }: Audience = onStderr()
): Progress => {
  const interval = isTerminal ? onTerminalMillis : inLogMillis
  const startedAt = nowMs()
  let saidAt = startedAt
  let isOpen = false
  return {
    at: (done) => {
      const now = nowMs()
      if (now - saidAt < interval) return
      saidAt = now
      const rate = done / ((now - startedAt) / 1000)
      const left = rate > 0 ? `, ${spoken(Math.max(0, total - done) / rate)} left` : ""
      const line = `${what}: ${done} of ${total} ${unit}, ${Math.round(rate)} a second${left}`
      write(isTerminal ? `\r\u001b[K${line}` : `${line}\n`)
      isOpen = isTerminal
    },
    end: () => {
      if (isOpen) write("\r\u001b[K")
      isOpen = false
    }
  }
}
