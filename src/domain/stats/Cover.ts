// Which sums, of whole days, hours and, lately, quarter minutes since 1970 in UTC, make up a window, and which parts of it
// they leave.

export const hourMillis = 3_600_000
export const dayHours = 24
export const quarterMillis = 15_000
export const hourQuarters = hourMillis / quarterMillis
/** So many hours have sums of quarter minutes, the one that is not over among them. */
export const quarteredHours = 3

/** Sums of `hours` (1 or 24) that begin from hour `from` on and before hour `until`; 0 are those of quarter minutes, likewise. */
export interface SumRange {
  readonly hours: 0 | 1 | 24
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
  return coveredBy({ fromMillis, untilMillis }, rangesOf(from, until, isEach(stepsMillis, dayHours)), {
    fromMillis: from * hourMillis,
    untilMillis: until * hourMillis
  })
}

/** By sums of quarter minutes, which are whole from that time on. */
export const quarterCoverOf = (
  { fromMillis, untilMillis }: Span,
  stepsMillis: ReadonlyArray<number>,
  wholeFromMillis: number
): Cover => {
  const from = Math.ceil(Math.max(fromMillis, wholeFromMillis) / quarterMillis)
  const until = Math.floor(untilMillis / quarterMillis)
  if (from >= until || !isByQuarters(stepsMillis)) {
    return { sums: [], summed: null, rest: [{ fromMillis, untilMillis }] }
  }
  return coveredBy({ fromMillis, untilMillis }, [{ hours: 0, from, until }], {
    fromMillis: from * quarterMillis,
    untilMillis: until * quarterMillis
  })
}

export const isByQuarters = (stepsMillis: ReadonlyArray<number>) =>
  stepsMillis.every((millis) => millis % quarterMillis === 0)

const coveredBy = ({ fromMillis, untilMillis }: Span, sums: ReadonlyArray<SumRange>, summed: Span): Cover => ({
  sums,
  summed,
  rest: [
    { fromMillis, untilMillis: summed.fromMillis },
    { fromMillis: summed.untilMillis, untilMillis }
  ].filter((span) => span.fromMillis < span.untilMillis)
})

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
