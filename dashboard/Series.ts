import { series } from "./Figures.ts"
import { modelNames } from "./Palette.ts"

type Group = NonNullable<NonNullable<(typeof series)["value"]>["groups"]>[number]

/** The steps of the window, Unix seconds, the window's end behind them, and what each model has in each. */
export const stepsOf = () => {
  const found = series.value
  if (found === null) return null
  const width = found.window.step_seconds
  const from = Date.parse(found.window.from) / 1000
  const until = Date.parse(found.window.until) / 1000
  const first = Math.floor(from / width) * width
  const times = Array.from({ length: Math.max(1, Math.ceil((until - first) / width)) }, (_, i) =>
    Math.max(from, first + i * width)
  )
  const cells = new Map<string, Group>()
  for (const group of found.groups ?? []) {
    const step = Math.floor((Date.parse(group.from ?? found.window.from) / 1000 - first) / width)
    cells.set(`${step} ${group.model}`, group)
  }
  // What is young fills the chart too.
  const began = found.over_time[0]?.from
  const begins = began === undefined ? from : Math.max(from, Date.parse(began) / 1000 - width)
  const models = modelNames().filter((model) => found.by_model.some((one) => one.model === model))
  return { times, from: begins, until, models, at: (step: number, model: string) => cells.get(`${step} ${model}`) }
}

export interface Running {
  readonly mean: ReadonlyArray<number | null>
  readonly low: ReadonlyArray<number | null>
  readonly high: ReadonlyArray<number | null>
}

const z = 1.96

/** Mean of all judged answers from the beginning of the window to each step, with its 95 % interval, which narrows. */
export const runningQuality = (samples: ReadonlyArray<Group["quality"] | undefined>): Running => {
  const mean: Array<number | null> = []
  const low: Array<number | null> = []
  const high: Array<number | null> = []
  let [count, average, squares] = [0, 0, 0]
  for (const sample of samples) {
    if (sample !== undefined && sample !== null) {
      const all = count + sample.count
      const apart = sample.mean - average
      // Chan, Golub and LeVeque, Updating formulae and a pairwise algorithm for computing sample variances, 1979.
      squares += (sample.sd ?? 0) ** 2 * Math.max(0, sample.count - 1) + (apart ** 2 * count * sample.count) / all
      average += (apart * sample.count) / all
      count = all
    }
    const half = count < 4 ? null : z * Math.sqrt(squares / (count - 1) / count)
    mean.push(count === 0 ? null : average)
    low.push(half === null ? null : Math.max(0, average - half))
    high.push(half === null ? null : Math.min(1, average + half))
  }
  return { mean, low, high }
}
