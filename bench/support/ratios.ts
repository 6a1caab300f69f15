import { median } from "./measure.ts"

/** One turn of one system. */
export interface Turn {
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
  readonly cpu: number
}

export type Turns = ReadonlyMap<string, ReadonlyArray<Turn>>

/** Against the turn of another in the same round; the median of the rounds. */
export const ratio = (turns: Turns, cell: string, name: string, to: string, value: (turn: Turn) => number): number => {
  const others = turns.get(`${cell} ${to}`) ?? []
  return median((turns.get(`${cell} ${name}`) ?? []).map((turn, i) => value(turn) / value(others[i]!)))
}
