import type { Run } from "./Replay.ts"
import { changesAt, type Scenario } from "./Scenario.ts"
import { type Estimate, estimate, markAt, percent } from "./Summary.ts"

/** A stretch of a run with a change: percent of the oracle. */
export interface Phase {
  readonly name: string
  readonly from: number
  readonly to: number
  readonly ofOracle: Estimate
}

const stretches = (scenario: Scenario, length: number) => {
  const [first, second] = changesAt(scenario, length)
  const last = { name: "last 1,000", from: Math.max(0, length - 1000), to: length }
  if (first === undefined) return [{ name: "all", from: 0, to: length }, last]
  const before = { name: "before", from: 0, to: first }
  const after = { name: "first 500 after", from: first, to: Math.min(length, first + 500) }
  if (second === undefined) return [before, after, last]
  const back = [0, 500, 1000, 1500].flatMap((from) =>
    second + from + 500 <= length
      ? [{ name: `${from} to ${from + 500} after the return`, from: second + from, to: second + from + 500 }]
      : []
  )
  return [before, after, ...back]
}

/** Where the sums must be known for the stretches of a scenario. */
export const phaseMarks = (scenario: Scenario, length: number): ReadonlyArray<number> =>
  stretches(scenario, length).flatMap(({ from, to }) => [from, to])

export const phasesOf = (runs: ReadonlyArray<Run>, scenario: Scenario): ReadonlyArray<Phase> => {
  const length = runs[0]?.marks.at(-1)?.at ?? 0
  return stretches(scenario, length).map(({ from, name, to }) => ({
    name,
    from,
    to,
    ofOracle: estimate(
      runs.flatMap((run) => {
        const end = markAt(run, to)
        const start = from === 0 ? { reward: 0, oracle: 0 } : markAt(run, from)
        return end === undefined || start === undefined
          ? []
          : [percent(end.reward - start.reward, end.oracle - start.oracle)]
      })
    )
  }))
}
