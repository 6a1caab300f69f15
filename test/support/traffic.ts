import { patientMs } from "./patience.ts"

/** A machine that is too slow for the rate must not make the test measure its own queue. */
const maxOpen = 64

/** Sends at a steady rate, as long as no more than 64 are open, until it is stopped and all is answered. */
export const paced = (
  perSecond: number,
  send: (number: number) => Promise<unknown>
): { readonly stop: () => Promise<void> } => {
  const startedAt = performance.now()
  const open = new Set<Promise<unknown>>()
  let due = 0
  let sent = 0
  const timer = setInterval(() => {
    const dueNow = Math.floor(((performance.now() - startedAt) * perSecond) / 1000)
    for (; due < dueNow; due++) {
      if (open.size >= maxOpen) continue
      const one: Promise<unknown> = send(sent++).finally(() => open.delete(one))
      open.add(one)
    }
  }, 5)
  return {
    stop: async () => {
      clearInterval(timer)
      while (open.size > 0) await Promise.all(open)
    }
  }
}

/** Looks again until there is something; fails after the limit, which a busy machine makes longer. */
export const eventually = async <A>(
  what: string,
  limitMs: number,
  look: () => Promise<A | undefined> | A | undefined,
  everyMs = 20
): Promise<A> => {
  const startedAt = performance.now()
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    const waitedMs = performance.now() - startedAt
    if (waitedMs > patientMs(limitMs)) throw new Error(`${what}: not within ${Math.round(waitedMs)} ms`)
    await new Promise((resolve) => setTimeout(resolve, everyMs))
  }
}

/** Looks again until it is so. */
export const until = (
  what: string,
  isSo: () => Promise<boolean> | boolean,
  limitMs = 20_000,
  everyMs?: number
): Promise<true> => eventually(what, limitMs, async () => ((await isSo()) ? true : undefined), everyMs)

/** A line on stderr each quarter of a minute of a test that was asked for many rounds; none of a short one. */
export const roundsTold = (what: string, rounds: number): ((done: number) => void) => {
  const startedMs = performance.now()
  let toldMs = startedMs
  return (done) => {
    const now = performance.now()
    if (now - toldMs < 15_000) return
    toldMs = now
    process.stderr.write(`${what}: ${done} of ${rounds} rounds in ${Math.round((now - startedMs) / 1000)} s\n`)
  }
}
