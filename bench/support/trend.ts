interface Point {
  readonly at: number
  readonly value: number
}

export const seriesOf = <A extends { readonly atSeconds: number }>(
  samples: ReadonlyArray<A>,
  value: (one: A) => number
): ReadonlyArray<Point> => samples.map((one) => ({ at: one.atSeconds, value: value(one) }))

/** Growth of a straight line through the series, from its first point to its last; least squares. */
const growthOf = (series: ReadonlyArray<Point>): number => {
  const mean = (of: (point: Point) => number) => series.reduce((sum, point) => sum + of(point), 0) / series.length
  const [at, value] = [mean((p) => p.at), mean((p) => p.value)]
  const covariance = mean((p) => (p.at - at) * (p.value - value))
  const variance = mean((p) => (p.at - at) ** 2)
  return (covariance / variance) * ((series.at(-1)?.at ?? 0) - (series[0]?.at ?? 0))
}

/** Memory in MiB is flat if its line grows by less than a tenth, or by less than 10 MiB. */
export const flatness = (series: ReadonlyArray<Point>) => {
  const growth = growthOf(series)
  const values = series.map((point) => point.value)
  const [least, most] = [Math.min(...values), Math.max(...values)]
  const isFlat = growth < Math.max(10, 0.1 * least)
  return {
    isFlat,
    text: `${isFlat ? "flat" : "GROWS"}, ${least.toFixed(0)} to ${most.toFixed(0)} MiB, trend ${growth >= 0 ? "+" : ""}${growth.toFixed(1)} MiB over the run`
  }
}
