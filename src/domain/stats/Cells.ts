import { uniform } from "../basics/Rng.ts"
import type { Span } from "./Cover.ts"

/** So many short stretches of a window stand for all of it. */
const cells = 512

/**
 * A random part of a window's time, one `every`-th of it: of each run of so many equal stretches one, whichever it is with
 * the same probability. So every instant is in it with probability 1 / `every`. Ascending, at most 513.
 */
export const cellsOf = ({ fromMillis, untilMillis }: Span, every: number): ReadonlyArray<Span> => {
  if (every <= 1) return [{ fromMillis, untilMillis }]
  const width = Math.max(1, Math.ceil((untilMillis - fromMillis) / (cells * every)))
  const run = width * every
  // Of the calendar, so that a window that moves on looks at the same decisions.
  const first = Math.floor(fromMillis / run)
  const count = Math.floor((untilMillis - 1) / run) - first + 1
  return Array.from({ length: count }, (_, i) => {
    const from = (first + i) * run + width * Math.floor(every * uniform(`cell ${first + i} of ${run}`))
    return { fromMillis: Math.max(fromMillis, from), untilMillis: Math.min(untilMillis, from + width) }
  }).filter((cell) => cell.fromMillis < cell.untilMillis)
}
