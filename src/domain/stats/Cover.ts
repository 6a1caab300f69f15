// Which sums, of whole hours and whole days since 1970 in UTC, make up a window, and which parts of it they leave.

export const hourMillis = 3_600_000
export const dayHours = 24

/** Sums of `hours` (1 or 24) that begin from hour `from` on and before hour `until`. */
export interface SumRange {
  readonly hours: 1 | 24
  readonly from: number
  readonly until: number
}

export interface Span {
  readonly fromMillis: number
  readonly untilMillis: number
}

export interface Cover {
  readonly sums: ReadonlyArray<SumRange>
  /** What the sums cover; null if there are none. */
  readonly summed: Span | null
  /** The rest. */
  readonly rest: ReadonlyArray<Span>
}

const isEach = (stepsMillis: ReadonlyArray<number>, hours: number) =>
  stepsMillis.every((millis) => millis % (hours * hourMillis) === 0)

/** The steps of the answer must not divide a sum; `summedFromMillis`: all from then on is in the sums. */
export const coverOf = (
  { fromMillis, untilMillis }: Span,
  stepsMillis: ReadonlyArray<number>,
  summedFromMillis: number
): Cover => {
  const from = Math.ceil(Math.max(fromMillis, summedFromMillis) / hourMillis)
  const until = Math.floor(untilMillis / hourMillis)
  if (from >= until || !isEach(stepsMillis, 1)) return { sums: [], summed: null, rest: [{ fromMillis, untilMillis }] }
  const summed = { fromMillis: from * hourMillis, untilMillis: until * hourMillis }
  const rest = [
    { fromMillis, untilMillis: summed.fromMillis },
    { fromMillis: summed.untilMillis, untilMillis }
  ]
  return {
    sums: rangesOf(from, until, isEach(stepsMillis, dayHours)),
    summed,
    rest: rest.filter((span) => span.fromMillis < span.untilMillis)
  }
}

const rangesOf = (from: number, until: number, takesDays: boolean): ReadonlyArray<SumRange> => {
  const firstDay = Math.ceil(from / dayHours) * dayHours
  const afterDays = Math.floor(until / dayHours) * dayHours
  if (!takesDays || firstDay >= afterDays) return [{ hours: 1, from, until }]
  const ranges: ReadonlyArray<SumRange> = [
    { hours: 1, from, until: firstDay },
    { hours: 24, from: firstDay, until: afterDays },
    { hours: 1, from: afterDays, until }
  ]
  return ranges.filter((range) => range.from < range.until)
}
