import { byName } from "../../domain/learning/algorithms/Algorithms.ts"
import { type Conditions, replay, type Run, type Subject, subjectOf } from "../../domain/learning/evaluation/Replay.ts"
import type { RewardName, Table } from "../../domain/learning/evaluation/Table.ts"
import { readTable } from "./Tables.ts"

/** One run: everything that it needs, as it is sent to a worker. */
export interface Job {
  readonly file: string
  readonly reward: RewardName
  readonly algorithm: string
  readonly conditions: Conditions
  readonly seed: string
  readonly checkpoints: ReadonlyArray<number>
}

const tables = new Map<string, Table>()
const subjects = new Map<string, Subject>()

/** Read once in each thread. */
export const tableOf = (file: string): Table => {
  const known = tables.get(file)
  if (known !== undefined) return known
  const table = readTable(file)
  tables.set(file, table)
  return table
}

const subjectFor = (file: string, reward: RewardName): Subject => {
  const key = `${reward} ${file}`
  const known = subjects.get(key)
  if (known !== undefined) return known
  const subject = subjectOf(tableOf(file), reward)
  subjects.set(key, subject)
  return subject
}

export const work = ({ algorithm, checkpoints, conditions, file, reward, seed }: Job): Run => {
  const known = byName.get(algorithm)
  if (known === undefined) throw new RangeError(`no algorithm is called ${algorithm}`)
  return replay(subjectFor(file, reward), known, conditions, seed, checkpoints)
}
