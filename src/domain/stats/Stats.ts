import type { Reader } from "../basics/Owner.ts"

/** Which decisions are added up, of those that the reader reads, and what their rewards are measured with. Null is any. */
export interface StatsQuery extends Reader {
  /** The one that answered; the chosen one while nobody answered. */
  readonly model: string | null
  readonly task: string | null
  /** From this instant on, Unix milliseconds. */
  readonly fromMillis: number
  /** Before this instant. */
  readonly untilMillis: number
  /** Where the steps of the time series begin, ascending; the first one is not after `fromMillis`. */
  readonly stepsMillis: ReadonlyArray<number>
  /** Of decisions for which no other one was told. */
  readonly costReferenceUsd: number
  readonly latencyReferenceSeconds: number
  /** What `groups` are told apart by; empty for none. */
  readonly groupBy: ReadonlyArray<Dimension>
  /** Whether what routing saved is estimated too. */
  readonly savings: boolean
}

export type Dimension = "model" | "task" | "step"

/** Of `count` values; the variance is null for fewer than two. */
export interface Sample {
  readonly count: number
  readonly mean: number
  readonly variance: number | null
}

export interface Percentiles {
  readonly p50: number
  readonly p90: number
  readonly p95: number
  readonly p99: number
}

/** What some decisions add up to. */
export interface Figures {
  readonly requests: number
  readonly answered: number
  readonly failed: number
  readonly aborted: number
  /** Declined by the model or a filter. */
  readonly refused: number
  /** The last model said nothing. */
  readonly empty: number
  /** Answered or not: the last model called was another one than the chosen one. */
  readonly fallbacks: number
  readonly explored: number
  readonly inputTokens: number
  readonly outputTokens: number
  readonly costUsd: number
  /** How many have a cost. */
  readonly priced: number
  /** Of the answered and refused ones, milliseconds, within 9 %; null if there is none. */
  readonly latencyMs: Percentiles | null
  readonly firstTokenMs: Percentiles | null
  /** Of judged answers. */
  readonly quality: Sample | null
  /** Of the decisions that have a reward. */
  readonly reward: Sample | null
}

/** Decisions added up: all together, by model, by task and by time. */
export interface StatsRows {
  readonly totals: Figures
  /** Most requests first, at most `mostGroups`. */
  readonly byModel: ReadonlyArray<Figures & { readonly model: string }>
  /** The same; null are those that named no task. */
  readonly byTask: ReadonlyArray<Figures & { readonly task: string | null }>
  /** How many tasks there are in all. */
  readonly tasks: number
  /** Only steps with requests, in order; `step` is an index into `stepsMillis`. */
  readonly overTime: ReadonlyArray<Figures & { readonly step: number }>
  /** By the dimensions of `groupBy`, the others are null; steps in order, then most requests first, at most `mostCombined`. */
  readonly groups: ReadonlyArray<Figures & Group>
  /** How many there are in all. */
  readonly groupCount: number
  /** Failures, empty answers too, most frequent first, at most `mostGroups`. */
  readonly errors: ReadonlyArray<{ readonly model: string; readonly reason: string | null; readonly count: number }>
}

export interface Group {
  readonly model: string | null
  readonly task: string | null
  readonly step: number | null
}

/** No more combinations that `groupBy` asks for. */
export const mostCombined = 1_000

/** No more models, tasks and kinds of failure are told apart. */
export const mostGroups = 50

export const noFigures: Figures = {
  requests: 0,
  answered: 0,
  failed: 0,
  aborted: 0,
  refused: 0,
  empty: 0,
  fallbacks: 0,
  explored: 0,
  inputTokens: 0,
  outputTokens: 0,
  costUsd: 0,
  priced: 0,
  latencyMs: null,
  firstTokenMs: null,
  quality: null,
  reward: null
}

/** Of no decisions. */
export const noStats: StatsRows = {
  totals: noFigures,
  byModel: [],
  byTask: [],
  tasks: 0,
  overTime: [],
  groups: [],
  groupCount: 0,
  errors: []
}

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour
const widths = [minute, 2 * minute, hour, 2 * hour, 6 * hour, day]

/** Longer windows have no steps of minutes unless they are asked for: what divides an hour is read decision by decision. */
export const longestByMinutesMillis = 3 * hour

/**
 * At most 100 steps of a round width, in UTC, that cover the window, or steps of the width that is asked for; the first one
 * may begin before it.
 */
export const stepsOf = (
  fromMillis: number,
  untilMillis: number,
  askedMillis: number | null = null
): { readonly widthMillis: number; readonly stepsMillis: ReadonlyArray<number> } => {
  const least = (untilMillis - fromMillis) / 99
  const widthMillis = askedMillis ?? widths.find((width) => width >= least) ?? Math.ceil(least / day) * day
  const first = Math.floor(fromMillis / widthMillis) * widthMillis
  const count = Math.ceil((untilMillis - first) / widthMillis)
  return { widthMillis, stepsMillis: Array.from({ length: count }, (_, i) => first + i * widthMillis) }
}

/** The 0.975 quantile of the standard normal distribution. */
const z = 1.959963984540054

/** The 0.975 quantile of Student's t, within 1 % from 3 degrees of freedom on. Abramowitz and Stegun, 26.7.5. */
export const studentQuantile = (degrees: number): number =>
  z +
  (z ** 3 + z) / (4 * degrees) +
  (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * degrees ** 2) +
  (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / (384 * degrees ** 3)

export interface Interval {
  readonly low: number
  readonly high: number
}

/** The 95 % interval of a share, by Wilson: it stays inside [0, 1] and means something with few cases too. */
export const wilson = (successes: number, cases: number): Interval | null => {
  if (cases <= 0) return null
  const share = successes / cases
  const middle = share + z ** 2 / (2 * cases)
  const half = z * Math.sqrt((share * (1 - share)) / cases + z ** 2 / (4 * cases ** 2))
  const scale = 1 + z ** 2 / cases
  // Rounding would leave a little above 0 where there is no success.
  return { low: successes === 0 ? 0 : (middle - half) / scale, high: successes === cases ? 1 : (middle + half) / scale }
}

const leastValues = 4

/** The 95 % interval of the mean of what the sample was drawn from, by Student; null for fewer than 4 values. */
export const meanInterval = ({ count, mean, variance }: Sample): Interval | null => {
  if (variance === null || count < leastValues) return null
  const half = studentQuantile(count - 1) * Math.sqrt(variance / count)
  return { low: mean - half, high: mean + half }
}
