import { knownChanges } from "./ChangeMarks.ts"
import { Chart } from "./Chart.tsx"
import { moment, percent, quality } from "./Format.ts"
import { colourName } from "./Palette.ts"
import { ModelName, Nothing, Panel } from "./Parts.tsx"
import { runningQuality, stepsOf } from "./Series.ts"

const Legend = ({
  models,
  values
}: {
  readonly models: ReadonlyArray<string>
  readonly values: (model: string) => string
}) => (
  <ul class="legend">
    {models.map((model) => (
      <li key={model}>
        <ModelName name={model} /> <b>{values(model)}</b>
      </li>
    ))}
  </ul>
)

const Changes = ({ from }: { readonly from: number }) => {
  const shown = knownChanges.value.filter(({ atSeconds }) => atSeconds >= from)
  if (shown.length === 0) return null
  return (
    <ul class="marks">
      {shown.map(({ atSeconds, change, label }) => (
        <li key={label}>
          <b>{label}</b>, noticed {moment(new Date(1000 * atSeconds).toISOString())}
          {change.before === null || change.after === null
            ? ""
            : `: ${quality(change.before)} expected, ${quality(change.after)} seen`}
        </li>
      ))}
    </ul>
  )
}

export const Share = () => {
  const steps = stepsOf()
  const about =
    "Who answered, of all requests of each step. A dashed line is a change of a model’s answers that was noticed."
  if (steps === null || steps.models.length === 0) {
    return (
      <Panel id="share" title="Share over time" about={about}>
        <Nothing>No requests in this time.</Nothing>
      </Panel>
    )
  }
  const { at, from, models, times, until } = steps
  const totals = times.map((_, step) => models.reduce((sum, model) => sum + (at(step, model)?.requests ?? 0), 0))
  const below = times.map(() => 0)
  const stacked = models.map((model) => {
    const values = times.map((_, step) => {
      const total = totals[step] ?? 0
      if (total === 0) return null
      return (below[step] = (below[step] ?? 0) + (at(step, model)?.requests ?? 0) / total)
    })
    return { label: model, colour: colourName(model), values: [...values, values.at(-1) ?? null] }
  })
  const all = totals.reduce((sum, total) => sum + total, 0)
  const shareOf = (model: string) =>
    percent(times.reduce((sum, _, step) => sum + (at(step, model)?.requests ?? 0), 0) / Math.max(1, all))
  return (
    <Panel id="share" title="Share over time" about={about}>
      <Chart
        label={`Share over time. Of all requests: ${models.map((model) => `${model} ${shareOf(model)}`).join(", ")}`}
        times={[...times, until]}
        from={from}
        until={until}
        lines={stacked.reverse()}
        marks={knownChanges.value}
        range={[0, 1]}
        percent
        stacked
      />
      <Legend models={models} values={shareOf} />
      <Changes from={from} />
    </Panel>
  )
}

export const Quality = () => {
  const steps = stepsOf()
  const about = "Mean of all judged answers so far, with its 95 % interval, which narrows as evidence comes."
  const running =
    steps === null
      ? []
      : steps.models
          .map((model) => ({ model, ...runningQuality(steps.times.map((_, step) => steps.at(step, model)?.quality)) }))
          .filter(({ mean }) => mean.some((value) => value !== null))
  if (steps === null || running.length === 0) {
    return (
      <Panel id="quality" title="Quality of each model" about={about}>
        <Nothing>No answer of this time is judged yet. Quality is learned from feedback alone.</Nothing>
      </Panel>
    )
  }
  const { from, times, until } = steps
  const known = running.flatMap(({ high, low, mean }) => [...low, ...high, ...mean]).filter((value) => value !== null)
  const bottom = Math.max(0, Math.floor(10 * Math.min(...known) - 0.5) / 10)
  const top = Math.min(1, Math.ceil(10 * Math.max(...known) + 0.2) / 10)
  const now = (model: string) => {
    const found = running.find((one) => one.model === model)
    const [mean, low, high] = [found?.mean.at(-1), found?.low.at(-1), found?.high.at(-1)]
    return typeof low === "number" && typeof high === "number"
      ? `${quality(mean)} ± ${quality((high - low) / 2)}`
      : quality(mean)
  }
  const names = running.map(({ model }) => model)
  return (
    <Panel id="quality" title="Quality of each model" about={about}>
      <Chart
        label={`Quality of each model. Now: ${names.map((model) => `${model} ${now(model)}`).join(", ")}`}
        // What a step has is known at its end.
        times={times.map((time, step) => times[step + 1] ?? Math.max(time, until))}
        from={from}
        until={until}
        lines={running.map(({ high, low, mean, model }) => ({
          label: model,
          colour: colourName(model),
          values: mean,
          low,
          high
        }))}
        marks={knownChanges.value}
        range={[bottom, top]}
        percent={false}
        stacked={false}
      />
      <Legend models={names} values={now} />
    </Panel>
  )
}
