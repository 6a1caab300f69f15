import { uniform } from "../../basics/Rng.ts"
import type { Row } from "./Table.ts"

/** What happens to the best model, or to the traffic, while a table is replayed. */
export const scenarios = ["none", "halved", "lower", "one-task", "price", "new-model", "recovery", "drift"] as const
export type Scenario = (typeof scenarios)[number]

export const descriptions = {
  none: "nothing changes",
  halved: "from the middle on the best model's answers are half as good",
  lower: "from the middle on they are worse by 0.3",
  "one-task": "from the middle on they are worth 0.3 of what they were, on the most frequent task",
  price: "from the middle on it costs 20 times as much",
  "new-model": "it can be chosen from the middle on",
  recovery: "its answers are half as good in the second third, and then what they were",
  drift: "the mix of tasks moves all the time, and no model changes"
} satisfies Record<Scenario, string>

/** What differs from the table at that request. */
export interface Twist {
  /** Of the best model's quality: times, then plus. */
  readonly times: number
  readonly plus: number
  readonly priceTimes: number
  readonly isAvailable: boolean
}

const untouched: Twist = { times: 1, plus: 0, priceTimes: 1, isAvailable: true }

/** Where something changes, by the number of requests. */
export const changesAt = (scenario: Scenario, length: number): ReadonlyArray<number> => {
  if (scenario === "none" || scenario === "drift") return []
  return scenario === "recovery" ? [Math.floor(length / 3), Math.floor((2 * length) / 3)] : [Math.floor(length / 2)]
}

/** `task` is the row's, `frequent` the most frequent one. */
export const twistAt = (scenario: Scenario, at: number, length: number, task: string, frequent: string): Twist => {
  const [begins = Number.POSITIVE_INFINITY, ends = Number.POSITIVE_INFINITY] = changesAt(scenario, length)
  if (at < begins) return scenario === "new-model" ? { ...untouched, isAvailable: false } : untouched
  switch (scenario) {
    case "halved":
      return { ...untouched, times: 0.5 }
    case "lower":
      return { ...untouched, plus: -0.3 }
    case "one-task":
      return task === frequent ? { ...untouched, times: 0.3 } : untouched
    case "price":
      return { ...untouched, priceTimes: 20 }
    case "recovery":
      return at < ends ? { ...untouched, times: 0.5 } : untouched
    case "none":
    case "new-model":
    case "drift":
      return untouched
  }
}

/** A random order of the rows; where the traffic drifts, each task is common at another time, again and again. */
export const orderOf = (scenario: Scenario, rows: ReadonlyArray<Row>, seed: string): ReadonlyArray<number> => {
  const shuffled = rows
    .map((_, row) => ({ row, at: uniform(`${seed}|${row}`) }))
    .sort((a, b) => a.at - b.at)
    .map(({ row }) => row)
  return scenario === "drift" ? drifting(rows, shuffled, seed) : shuffled
}

/** Requests of one round of the drift. */
const period = 2000

const drifting = (rows: ReadonlyArray<Row>, shuffled: ReadonlyArray<number>, seed: string): ReadonlyArray<number> => {
  const waiting = new Map<string, Array<number>>()
  for (const row of shuffled) {
    const task = rows[row]?.task ?? ""
    const queue = waiting.get(task)
    if (queue === undefined) waiting.set(task, [row])
    else queue.push(row)
  }
  const shares = new Map([...waiting].map(([task, queue]) => [task, queue.length]))
  const phases = new Map([...waiting.keys()].map((task) => [task, 2 * Math.PI * uniform(`${seed}|phase|${task}`)]))
  return shuffled.map((_, at) => {
    let total = 0
    const weights = [...waiting].map(([task, queue]) => {
      const angle = (2 * Math.PI * at) / period + (phases.get(task) ?? 0)
      const weight = queue.length === 0 ? 0 : (shares.get(task) ?? 0) * Math.exp(1.2 * Math.sin(angle))
      total += weight
      return { queue, weight }
    })
    let point = uniform(`${seed}|drift|${at}`) * total
    for (const { queue, weight } of weights) {
      point -= weight
      if (point < 0) return queue.pop() ?? 0
    }
    return weights.findLast(({ queue }) => queue.length > 0)?.queue.pop() ?? 0
  })
}
