import type { Position } from "../../basics/Ids.ts"

/** At most so many tasks have cells of their own. */
const mostResidents = 256
/** Counters for the others: Metwally et al., Efficient computation of frequent elements (Space-Saving), ICDT 2005. */
const mostWaiting = 64
/** Evictions that are remembered, for revisions of answers whose cell is gone. */
const mostEvicted = 64
/** After so many runs a waiting label may take a resident's place. */
const exchangeEvery = 1000

/** The task labels of a router: those with cells of their own, and how often the others come. */
export interface Labels {
  readonly residents: Map<string, { count: number; readonly since: Position }>
  readonly waiting: Map<string, number>
  readonly evicted: Array<{ readonly label: string; readonly at: Position }>
}

export const make = (): Labels => ({ residents: new Map(), waiting: new Map(), evicted: [] })

/** Gives a label its place while there is one. */
export const ensure = ({ residents }: Labels, label: string, position: Position): void => {
  if (!residents.has(label) && residents.size < mostResidents) residents.set(label, { count: 0, since: position })
}

const smallest = <A>(entries: Iterable<readonly [string, A]>, countOf: (value: A) => number): string | null => {
  let found: string | null = null
  let least = Number.POSITIVE_INFINITY
  for (const [label, value] of entries) {
    if (countOf(value) >= least) continue
    least = countOf(value)
    found = label
  }
  return found
}

/** Counts a run of that label; the resident label that it or another one displaced, if any. */
export const countRun = (labels: Labels, label: string | null, runs: number, position: Position): string | null => {
  if (label !== null) {
    ensure(labels, label, position)
    count(labels, label)
  }
  return runs % exchangeEvery === 0 ? exchange(labels, position) : null
}

const count = ({ residents, waiting }: Labels, label: string): void => {
  const resident = residents.get(label)
  if (resident !== undefined) {
    resident.count += 1
    return
  }
  const known = waiting.get(label)
  if (known !== undefined || waiting.size < mostWaiting) {
    waiting.set(label, (known ?? 0) + 1)
    return
  }
  const rarest = smallest(waiting, (value) => value)
  if (rarest === null) return
  const inherited = waiting.get(rarest) ?? 0
  waiting.delete(rarest)
  waiting.set(label, inherited + 1)
}

const exchange = (labels: Labels, position: Position): string | null => {
  const { evicted, residents, waiting } = labels
  const incoming = smallest(waiting, (value) => -value)
  const outgoing = smallest(residents, ({ count }) => count)
  let displaced: string | null = null
  if (incoming !== null && outgoing !== null) {
    const incomingCount = waiting.get(incoming) ?? 0
    if (incomingCount > 2 * (residents.get(outgoing)?.count ?? 0)) {
      displaced = outgoing
      residents.delete(outgoing)
      waiting.delete(incoming)
      residents.set(incoming, { count: incomingCount, since: position })
      evicted.push({ label: outgoing, at: position })
      if (evicted.length > mostEvicted) evicted.shift()
    }
  }
  for (const resident of residents.values()) resident.count /= 2
  for (const [label, value] of waiting) waiting.set(label, value / 2)
  return displaced
}

/** The task that a label stands for now: a waiting label is treated as none. */
export const taskOf = ({ residents }: Labels, label: string | null): string | null =>
  label !== null && residents.has(label) ? label : null

/**
 * Where a judgement counts that was first folded at `first`: the label's cell, the one without a task because it was
 * waiting then, or no cell because that one has been evicted since.
 */
export const cellOf = (
  { evicted, residents }: Labels,
  label: string | null,
  first: Position
): { readonly task: string | null; readonly withoutCell: boolean } => {
  if (label === null) return { task: null, withoutCell: false }
  const resident = residents.get(label)
  if (resident !== undefined && resident.since <= first) return { task: label, withoutCell: false }
  return { task: null, withoutCell: evicted.some((one) => one.label === label && one.at >= first) }
}
