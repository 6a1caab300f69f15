import type { ModelId, Position } from "../../basics/Ids.ts"
import { human, type SourceVerdict, type Standings } from "../FeedbackSource.ts"
import type { QualityEvent } from "../LearningEvent.ts"
import type { QualityChange } from "./QualityChange.ts"

/**
 * What is known of those who judge besides people: how far a source lies above people on answers that both have judged, and how
 * much its verdicts vary within a model and task. Folded from the log; nothing is kept before the first verdict of such a source.
 */
export interface Sources {
  /** Position of that verdict; decisions that were judged before it are not counted. */
  since: Position | null
  readonly bySource: Map<string, Source>
}

export interface Source {
  /** Answers that people have judged too, and by how much this source lies above them, summed. */
  pairs: number
  difference: number
  /** First verdicts. */
  verdicts: number
  /** By model and task: number, sum and sum of squares of its verdicts. */
  readonly cells: Map<string, { n: number; sum: number; squares: number }>
  /** Changes of models that its verdicts brought to light, and after how many of them; the last few. */
  readonly recent: Array<RecentChange>
  /** Where the source itself has changed, and after how many verdicts; the last four. */
  readonly changes: Array<Omit<RecentChange, "model">>
}

/** Of a model, by the verdicts of a source. */
export interface RecentChange {
  readonly model: ModelId
  readonly direction: "down" | "up"
  readonly position: Position
  readonly verdicts: number
}

const mostSources = 16
const mostCells = 4096
/** So many pairs of no difference count beforehand, and so many verdicts of a variance of .04. */
const priorPairs = 10
const priorVerdicts = 4
const priorVariance = 0.04
/** So many models that change in one direction within so many verdicts of one source are a change of the source. */
const manyModels = 3
const withinVerdicts = 200

export const make = (): Sources => ({ since: null, bySource: new Map() })

export const makeSource = (): Source => ({
  pairs: 0,
  difference: 0,
  verdicts: 0,
  cells: new Map(),
  recent: [],
  changes: []
})

const sourceIn = ({ bySource }: Sources, name: string): Source | undefined => {
  const known = bySource.get(name)
  if (known !== undefined || bySource.size >= mostSources) return known
  const source = makeSource()
  bySource.set(name, source)
  return source
}

const ofPeople = ({ quality, weight }: { readonly quality: number; readonly weight: number }): SourceVerdict => ({
  source: human,
  quality,
  weight
})

const verdictsIn = ({ quality, verdicts, weight }: QualityEvent): ReadonlyArray<SourceVerdict> =>
  (verdicts ?? [ofPeople({ quality, weight })]).filter((one) => one.weight > 0)

const verdictsBefore = ({ before, previous }: QualityEvent): ReadonlyArray<SourceVerdict> =>
  (before ?? (previous === null ? [] : [ofPeople(previous)])).filter((one) => one.weight > 0)

const separator = "\n"

/** Counts the verdicts of an event, in the place of those that it revises. */
export const learn = (sources: Sources, position: Position, event: QualityEvent, task: string | null): void => {
  if (event.verdicts === undefined && sources.since === null) return
  sources.since ??= position
  if (event.previous !== null && event.previous.position < sources.since) return
  const [now, before] = [verdictsIn(event), verdictsBefore(event)]
  const cell = task === null ? event.model : `${event.model}${separator}${task}`
  count(sources, cell, before, -1)
  count(sources, cell, now, 1)
  for (const { source } of now) {
    const known = before.some((one) => one.source === source) ? undefined : sources.bySource.get(source)
    if (known !== undefined) known.verdicts += 1
  }
}

const count = (sources: Sources, key: string, verdicts: ReadonlyArray<SourceVerdict>, times: 1 | -1): void => {
  const people = verdicts.find(({ source }) => source === human)
  for (const { quality, source: name } of verdicts) {
    const source = sourceIn(sources, name)
    if (source === undefined) continue
    const cell = source.cells.get(key) ?? { n: 0, sum: 0, squares: 0 }
    if (times === -1 && cell.n <= 0) continue
    if (source.cells.has(key) || source.cells.size < mostCells) source.cells.set(key, cell)
    cell.n += times
    cell.sum += times * quality
    cell.squares += times * quality * quality
    if (name === human || people === undefined) continue
    source.pairs += times
    source.difference += times * (quality - people.quality)
  }
}

/** A task without cells of its own any more: what was said of it tells nothing of the noise. */
export const evict = ({ bySource }: Sources, task: string): void => {
  for (const { cells } of bySource.values()) {
    for (const key of cells.keys()) if (key.endsWith(`${separator}${task}`)) cells.delete(key)
  }
}

const varianceOf = (source: Source | undefined): number => {
  let squares = priorVerdicts * priorVariance
  let freedom = priorVerdicts
  for (const { n, squares: all, sum } of source?.cells.values() ?? []) {
    if (n <= 1) continue
    squares += Math.max(0, all - (sum * sum) / n)
    freedom += n - 1
  }
  return squares / freedom
}

const nobody: Standings = new Map()

/** How each source is taken now: what lies above people comes down, what varies more than people do counts for less. */
export const standings = ({ bySource }: Sources): Standings => {
  if (bySource.size === 0) return nobody
  const ofHumans = varianceOf(bySource.get(human))
  return new Map(
    [...bySource].map(([name, source]) => [
      name,
      name === human
        ? { offset: 0, share: 1 }
        : {
            offset: source.difference / (source.pairs + priorPairs),
            share: Math.min(1, ofHumans / varianceOf(source))
          }
    ])
  )
}

/** A source whose verdicts changed for several models at once: it is the source that is another now. */
export interface SourceChange {
  readonly source: string
  readonly direction: "down" | "up"
  /** The changes of models that are none. */
  readonly models: ReadonlyArray<Pick<RecentChange, "model" | "position">>
}

/**
 * Notes a change of a model that an event brought to light; the change of the event's source that it is instead, if so. What
 * was known of its offset is void then.
 */
export const noteChange = (sources: Sources, event: QualityEvent, change: QualityChange): SourceChange | null => {
  const { direction, position } = change
  const [only, second] = verdictsIn(event)
  const source = only === undefined || second !== undefined ? undefined : sources.bySource.get(only.source)
  if (only === undefined || source === undefined || direction === "back") return null
  const isNear = (one: Omit<RecentChange, "model">) =>
    one.direction === direction && one.verdicts >= source.verdicts - withinVerdicts
  const here = { model: event.model, direction, position, verdicts: source.verdicts }
  // A model whose turn comes a little later shows the same change of the source.
  if (source.changes.some(isNear)) return { source: only.source, direction, models: [here] }
  source.recent.push(here)
  const near = source.recent.filter(isNear)
  if (new Set(near.map(({ model }) => model)).size < manyModels) {
    while (source.recent.length > 2 * manyModels) source.recent.shift()
    return null
  }
  source.recent.length = 0
  source.pairs = 0
  source.difference = 0
  source.changes.push({ direction, position, verdicts: source.verdicts })
  if (source.changes.length > 4) source.changes.shift()
  return { source: only.source, direction, models: near }
}
