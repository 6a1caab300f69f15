import { studentQuantile } from "../../stats/Stats.ts"
import type { Mark, Run } from "./Replay.ts"

/** A mean over runs and its 95 % interval; the interval is the mean itself of one run. */
export interface Estimate {
  readonly mean: number
  readonly low: number
  readonly high: number
}

export const estimate = (values: ReadonlyArray<number>): Estimate => {
  const n = values.length
  const mean = values.reduce((sum, value) => sum + value, 0) / Math.max(1, n)
  if (n < 2) return { mean, low: mean, high: mean }
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1)
  const half = studentQuantile(n - 1) * Math.sqrt(variance / n)
  return { mean, low: mean - half, high: mean + half }
}

/** What one algorithm reached after so many requests. */
export interface Checkpoint {
  readonly at: number
  readonly ofBestSingle: Estimate
  readonly ofOracle: Estimate
  /** Quality and bill against the best single model's. */
  readonly quality: Estimate
  readonly cost: Estimate
  /** Against the algorithm that others are compared with, on the same orders, percentage points; null for itself. */
  readonly difference: Estimate | null
}

export const percent = (part: number, whole: number): number => (whole === 0 ? 100 : (100 * part) / whole)

export const markAt = ({ marks }: Run, at: number): Mark | undefined => marks.find((mark) => mark.at === at)

const over = (runs: ReadonlyArray<Run>, at: number, valueOf: (mark: Mark) => number): ReadonlyArray<number> =>
  runs.flatMap((run) => {
    const mark = markAt(run, at)
    return mark === undefined ? [] : [valueOf(mark)]
  })

const ofBest = ({ best, reward }: Mark) => percent(reward, best)

export const checkpointOf = (runs: ReadonlyArray<Run>, at: number, against: ReadonlyArray<Run> | null): Checkpoint => {
  const others = against === null ? [] : over(against, at, ofBest)
  return {
    at,
    ofBestSingle: estimate(over(runs, at, ofBest)),
    ofOracle: estimate(over(runs, at, ({ oracle, reward }) => percent(reward, oracle))),
    quality: estimate(over(runs, at, ({ bestQuality, quality }) => percent(quality, bestQuality))),
    cost: estimate(over(runs, at, ({ bestCostUsd, costUsd }) => percent(costUsd, bestCostUsd))),
    difference:
      against === null ? null : estimate(over(runs, at, ofBest).map((value, run) => value - (others[run] ?? value)))
  }
}

/** Percent of the best single model's reward so far, after each of the curve's points. */
export const curveOf = (
  runs: ReadonlyArray<Run>
): ReadonlyArray<{ readonly at: number; readonly percent: number; readonly oracle: number }> =>
  (runs[0]?.marks ?? []).map(({ at }) => ({
    at,
    percent: estimate(over(runs, at, ofBest)).mean,
    oracle: estimate(over(runs, at, ({ best, oracle }) => percent(oracle, best))).mean
  }))

/** What was reported of changes, over all runs. */
export const alarmsOf = (runs: ReadonlyArray<Run>) => {
  const delays = runs.flatMap(({ noticedAfter }) => noticedAfter ?? []).sort((a, b) => a - b)
  return {
    noticed: delays.length,
    missed: runs.length - delays.length,
    medianJudgements: delays[Math.floor(delays.length / 2)] ?? null,
    falseAlarms: runs.reduce((sum, run) => sum + run.falseAlarms, 0)
  }
}
