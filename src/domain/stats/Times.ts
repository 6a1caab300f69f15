import type { Percentiles } from "./Stats.ts"

// How long answers took, as counts in bins: such histograms add up, and take back what was added.

const perOctave = 8
const octaves = 20

/** Where the bins begin and end, milliseconds: from 1 ms to 2^20 ms (17 minutes), each 9 % wide. */
export const binEdges: ReadonlyArray<number> = Array.from(
  { length: perOctave * octaves + 1 },
  (_, i) => 2 ** (i / perOctave)
)

/** Counts by bin; bin 0 is below the first edge, the last one from the last edge on. */
export type Bins = ReadonlyMap<number, number>

/** As PostgreSQL's `width_bucket(ms, edges)`. */
export const binOf = (ms: number): number => {
  let [low, high] = [0, binEdges.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (ms < (binEdges[middle] ?? Infinity)) high = middle
    else low = middle + 1
  }
  return low
}

export const binsOf = (times: ReadonlyArray<number>): Bins => {
  const bins = new Map<number, number>()
  for (const ms of times) bins.set(binOf(ms), (bins.get(binOf(ms)) ?? 0) + 1)
  return bins
}

/** So many decimal digits of one number are the count of a bin: up to 10^12 - 1. */
export const binDigits = 12

/** What a sum of `10^(binDigits * bin)` counted. */
export const binsIn = (digits: string): Bins => {
  const bins = new Map<number, number>()
  for (let bin = 0, end = digits.length; end > 0; bin++, end -= binDigits) {
    const count = Number(digits.slice(Math.max(0, end - binDigits), end))
    if (count > 0) bins.set(bin, count)
  }
  return bins
}

/** Within the bin in which they are: by no more than its width, 9 %, from the true ones; null of no time. */
export const percentilesIn = (bins: Bins): Percentiles | null => {
  const sorted = Array.from(bins).sort(([a], [b]) => a - b)
  const count = sorted.reduce((sum, [, inBin]) => sum + inBin, 0)
  if (count === 0) return null
  const at = (share: number): number => {
    const place = share * (count - 1)
    let before = 0
    for (const [bin, inBin] of sorted) {
      if (place < before + inBin) return within(bin, (place - before + 0.5) / inBin)
      before += inBin
    }
    return binEdges.at(-1) ?? 0
  }
  return { p50: at(0.5), p90: at(0.9), p95: at(0.95), p99: at(0.99) }
}

const within = (bin: number, share: number): number => {
  const high = binEdges[bin] ?? binEdges.at(-1) ?? 0
  const low = binEdges[bin - 1]
  return low === undefined ? high * Math.min(1, share) : low * (high / low) ** Math.min(1, share)
}
