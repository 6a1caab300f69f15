import * as Either from "effect/Either"
import * as Binary from "../../basics/Binary.ts"
import { ModelId } from "../../basics/Ids.ts"
import * as Snapshot from "../Snapshot.ts"
import type * as Bets from "./Bets.ts"
import { digest, makeWithSlots, type ModelState, type Parameters, type State } from "./HierarchicalState.ts"
import type * as Labels from "./Labels.ts"
import * as Quality from "./Quality.ts"
import type { QualityChange } from "./QualityChange.ts"
import { verdicts } from "../LearningEvent.ts"
import * as Ridge from "./Ridge.ts"
import * as Sources from "./Sources.ts"

/** The state as bytes: folding on from `decode(encode(state))` gives the same bits as folding on from `state`. */
export const encode = (state: State): Uint8Array => {
  const isAdded = hasAdditions(state)
  const w = Snapshot.begin(isAdded ? Snapshot.addedVersion : Snapshot.plainVersion)
  Binary.writeString(w, digest(state.parameters))
  Binary.writeVarint(w, state.baseDimension)
  Binary.writeVarint(w, state.slots.size)
  for (const label of state.slots.keys()) Binary.writeString(w, label)
  Binary.writeVarint(w, state.runs)
  writeLabels(w, state.labels)
  Binary.writeVarint(w, state.models.length)
  for (const model of state.models) writeModel(w, model)
  writeQuality(w, state.quality)
  for (const ridge of [state.tokens, state.latency]) Ridge.write(w, ridge)
  if (isAdded) writeAdditions(w, state)
  return Snapshot.seal(w)
}

/** Everything that is known of one model; nothing of one that the log does not know. */
export const encodeModel = (state: State, id: ModelId): Uint8Array => {
  const w = Binary.writer()
  const k = state.index.get(id)
  const model = k === undefined ? undefined : state.models[k]
  const evidence = k === undefined ? undefined : state.quality.models[k]
  if (k === undefined || model === undefined || evidence === undefined) return Binary.written(w)
  writeModel(w, model)
  writeEvidence(w, evidence)
  for (const { rows } of [state.tokens, state.latency]) {
    const row = rows[k]
    if (row !== undefined) Ridge.writeRow(w, row)
  }
  return Binary.written(w)
}

/** The state that was encoded, if every bit is there and it was made by these parameters. */
export const decode = (
  bytes: Uint8Array,
  parameters: Parameters,
  baseDimension: number
): Either.Either<State, Snapshot.SnapshotDamaged> =>
  Either.flatMap(Snapshot.open(bytes), ({ r, version }) => {
    if (Binary.readString(r) !== digest(parameters) || Binary.readVarint(r) !== baseDimension) {
      return Either.left(new Snapshot.SnapshotDamaged({ reason: "parameters" }))
    }
    const slots = Array.from({ length: Binary.readCount(r, 1) }, () => Binary.readString(r))
    const state = makeWithSlots(parameters, baseDimension, baseDimension + slots.length)
    for (const label of slots) state.slots.set(label, state.slots.size)
    state.runs = Binary.readVarint(r)
    readLabels(r, state.labels)
    const count = Binary.readCount(r, 1)
    for (let k = 0; k < count && !r.damaged; k++) {
      const model = readModel(r)
      if (model === null) r.damaged = true
      else {
        state.models.push(model)
        state.index.set(model.id, k)
      }
    }
    readQuality(r, state.quality, count)
    for (const ridge of [state.tokens, state.latency]) Ridge.read(r, ridge, count)
    if (version === Snapshot.addedVersion) readAdditions(r, state)
    return r.damaged || r.position !== r.bytes.length
      ? Either.left(new Snapshot.SnapshotDamaged({ reason: "length" }))
      : Either.right(state)
  })

/** What a snapshot had no place for at first. */
const hasAdditions = ({ quality, sources }: State): boolean =>
  sources.since !== null || quality.models.some(({ upstream }) => upstream !== null)

const writeAdditions = (w: Binary.Writer, { quality, sources }: State): void => {
  for (const { upstream } of quality.models) writeTask(w, upstream)
  writeSources(w, sources)
}

const readAdditions = (r: Binary.Reader, { quality, sources }: State): void => {
  for (const model of quality.models) model.upstream = readTask(r)
  Quality.setSiblings(quality)
  readSources(r, sources)
}

const fallOrRise = ["down", "up"] as const

const writeSources = (w: Binary.Writer, { bySource, since }: Sources.Sources): void => {
  Binary.writeFloat64(w, orNaN(since))
  writeList(w, [...bySource], ([name, source]) => {
    Binary.writeString(w, name)
    writeNumbers(w, [source.pairs, source.difference, source.verdicts])
    writeList(w, [...source.cells], ([key, { n, squares, sum }]) => {
      Binary.writeString(w, key)
      writeNumbers(w, [n, sum, squares])
    })
    writeList(w, source.recent, ({ direction, model, position, verdicts: count }) => {
      Binary.writeString(w, model)
      Binary.writeByte(w, fallOrRise.indexOf(direction))
      writeNumbers(w, [position, count])
    })
    writeList(w, source.changes, ({ direction, position, verdicts: count }) => {
      Binary.writeByte(w, fallOrRise.indexOf(direction))
      writeNumbers(w, [position, count])
    })
  })
}

const readSources = (r: Binary.Reader, sources: Sources.Sources): void => {
  sources.since = orNull(Binary.readFloat64(r))
  const count = Binary.readCount(r, 28)
  for (let i = 0; i < count && !r.damaged; i++) {
    const source = Sources.makeSource()
    sources.bySource.set(Binary.readString(r), source)
    source.pairs = Binary.readFloat64(r)
    source.difference = Binary.readFloat64(r)
    source.verdicts = Binary.readFloat64(r)
    readList(r, 25, () =>
      source.cells.set(Binary.readString(r), {
        n: Binary.readFloat64(r),
        sum: Binary.readFloat64(r),
        squares: Binary.readFloat64(r)
      })
    )
    readList(r, 18, () => {
      const model = Binary.readString(r)
      const direction = readDirection(r)
      const [position, verdicts] = [Binary.readFloat64(r), Binary.readFloat64(r)]
      if (ModelId.is(model)) source.recent.push({ model, direction, position, verdicts })
      else r.damaged = true
    })
    readList(r, 17, () =>
      source.changes.push({
        direction: readDirection(r),
        position: Binary.readFloat64(r),
        verdicts: Binary.readFloat64(r)
      })
    )
  }
}

const readDirection = (r: Binary.Reader): (typeof fallOrRise)[number] => {
  const direction = fallOrRise[Binary.readByte(r)]
  if (direction === undefined) r.damaged = true
  return direction ?? "down"
}

const writeList = <A>(w: Binary.Writer, items: ReadonlyArray<A>, write: (item: A) => void): void => {
  Binary.writeVarint(w, items.length)
  for (const item of items) write(item)
}

const readList = <A>(r: Binary.Reader, minimumBytes: number, read: () => A): Array<A> =>
  Array.from({ length: Binary.readCount(r, minimumBytes) }, read)

const writeNumbers = (w: Binary.Writer, values: ReadonlyArray<number>): void => {
  for (const value of values) Binary.writeFloat64(w, value)
}

/** A task, or an upstream, that may be none. */
const writeTask = (w: Binary.Writer, task: string | null): void => {
  Binary.writeByte(w, task === null ? 0 : 1)
  if (task !== null) Binary.writeString(w, task)
}

const readTask = (r: Binary.Reader): string | null => (Binary.readByte(r) === 0 ? null : Binary.readString(r))

/** A number that may be none. */
const orNaN = (value: number | null): number => value ?? Number.NaN
const orNull = (value: number): number | null => (Number.isNaN(value) ? null : value)

const writeLabels = (w: Binary.Writer, { evicted, residents, waiting }: Labels.Labels): void => {
  writeList(w, [...residents], ([label, { count, since }]) => {
    Binary.writeString(w, label)
    writeNumbers(w, [count, since])
  })
  writeList(w, [...waiting], ([label, count]) => {
    Binary.writeString(w, label)
    Binary.writeFloat64(w, count)
  })
  writeList(w, evicted, ({ at, label }) => {
    Binary.writeString(w, label)
    Binary.writeFloat64(w, at)
  })
}

const readLabels = (r: Binary.Reader, { evicted, residents, waiting }: Labels.Labels): void => {
  readList(r, 17, () =>
    residents.set(Binary.readString(r), { count: Binary.readFloat64(r), since: Binary.readFloat64(r) })
  )
  readList(r, 9, () => waiting.set(Binary.readString(r), Binary.readFloat64(r)))
  readList(r, 9, () => evicted.push({ label: Binary.readString(r), at: Binary.readFloat64(r) }))
}

const scopes = ["model", "task", "unlabelled"] as const
const ways = ["down", "up", "back"] as const

const writeVerdict = (w: Binary.Writer, verdict: QualityChange["verdict"]): void => {
  Binary.writeByte(w, verdict === null ? 0 : 1 + verdicts.indexOf(verdict.verdict))
  if (verdict === null) return
  Binary.writeString(w, verdict.by)
  Binary.writeFloat64(w, verdict.position)
}

const readVerdict = (r: Binary.Reader): QualityChange["verdict"] => {
  const code = Binary.readByte(r)
  if (code === 0) return null
  const verdict = verdicts[code - 1]
  if (verdict === undefined) r.damaged = true
  return { verdict: verdict ?? "confirm", by: Binary.readString(r), position: Binary.readFloat64(r) }
}

const writeModel = (w: Binary.Writer, { calls, changes, id, observations, successes }: ModelState): void => {
  Binary.writeString(w, id)
  writeNumbers(w, [calls, successes, observations])
  writeList(w, changes, (change) => {
    writeTask(w, change.task)
    Binary.writeByte(w, scopes.indexOf(change.scope))
    Binary.writeByte(w, ways.indexOf(change.direction))
    writeNumbers(w, [change.position, change.since, orNaN(change.answers), orNaN(change.before), orNaN(change.after)])
    Binary.writeFloat64(w, change.evidence)
    writeVerdict(w, change.verdict)
  })
}

const readModel = (r: Binary.Reader): ModelState | null => {
  const id = Binary.readString(r)
  if (!ModelId.is(id)) return null
  return {
    id,
    calls: Binary.readFloat64(r),
    successes: Binary.readFloat64(r),
    observations: Binary.readFloat64(r),
    changes: readList(r, 51, () => readChange(r))
  }
}

const readChange = (r: Binary.Reader): QualityChange => {
  const task = readTask(r)
  const scope = scopes[Binary.readByte(r)]
  const direction = ways[Binary.readByte(r)]
  if (scope === undefined || direction === undefined) r.damaged = true
  return {
    task,
    scope: scope ?? "model",
    direction: direction ?? "down",
    position: Binary.readFloat64(r),
    since: Binary.readFloat64(r),
    answers: orNull(Binary.readFloat64(r)),
    before: orNull(Binary.readFloat64(r)),
    after: orNull(Binary.readFloat64(r)),
    evidence: Binary.readFloat64(r),
    verdict: readVerdict(r)
  }
}

const writeWindow = (w: Binary.Writer, { judged, n, predicted, squares, start }: Bets.Window): void =>
  writeNumbers(w, [start, n, predicted, judged, squares])

const readWindow = (r: Binary.Reader, window: Bets.Window): void => {
  window.start = Binary.readFloat64(r)
  window.n = Binary.readFloat64(r)
  window.predicted = Binary.readFloat64(r)
  window.judged = Binary.readFloat64(r)
  window.squares = Binary.readFloat64(r)
}

const writeDetector = (w: Binary.Writer, { fall, rise }: Bets.Detector): void => {
  for (const side of [fall, rise]) {
    Binary.writeFloat64s(w, side.bets)
    Binary.writeFloat64(w, side.growth)
    writeWindow(w, side)
  }
}

const readDetector = (r: Binary.Reader, { fall, rise }: Bets.Detector): void => {
  for (const side of [fall, rise]) {
    Binary.readFloat64s(r, side.bets)
    side.growth = Binary.readFloat64(r)
    readWindow(r, side)
  }
}

const writeMemory = (w: Binary.Writer, { at, evidence, fall }: Quality.Memory): void =>
  writeNumbers(w, [fall, at, evidence])

const readMemory = (r: Binary.Reader): Quality.Memory => ({
  fall: Binary.readFloat64(r),
  at: Binary.readFloat64(r),
  evidence: Binary.readFloat64(r)
})

const writeCell = (w: Binary.Writer, cell: Quality.Cell): void => {
  writeTask(w, cell.task)
  writeNumbers(w, [cell.n, cell.sum, cell.squares, cell.base, cell.errors])
  Binary.writeFloat64s(w, cell.x)
  writeDetector(w, cell.detector)
  for (const window of [cell.windows.fall, cell.windows.rise]) {
    writeWindow(w, window)
    Binary.writeFloat64(w, window.candidate)
  }
  Binary.writeByte(w, cell.moved ? 1 : 0)
  writeMemory(w, cell.memory)
  writeList(w, cell.closings, ({ at, since }) => writeNumbers(w, [at, since]))
}

const readCell = (r: Binary.Reader, d: number): Quality.Cell => {
  const cell = Quality.makeCell(readTask(r), d)
  cell.n = Binary.readFloat64(r)
  cell.sum = Binary.readFloat64(r)
  cell.squares = Binary.readFloat64(r)
  cell.base = Binary.readFloat64(r)
  cell.errors = Binary.readFloat64(r)
  Binary.readFloat64s(r, cell.x)
  readDetector(r, cell.detector)
  for (const window of [cell.windows.fall, cell.windows.rise]) {
    readWindow(r, window)
    window.candidate = Binary.readFloat64(r)
  }
  cell.moved = Binary.readByte(r) === 1
  cell.memory = readMemory(r)
  readList(r, 16, () => cell.closings.push({ at: Binary.readFloat64(r), since: Binary.readFloat64(r) }))
  return cell
}

const writeEvidence = (w: Binary.Writer, model: Quality.ModelEvidence): void => {
  writeNumbers(w, [
    orNaN(model.prior),
    orNaN(model.priorSd),
    model.offset,
    model.base,
    model.n,
    model.squares,
    model.noise,
    model.priorLevel
  ])
  Binary.writeFloat64s(w, model.s)
  Binary.writeFloat64s(w, model.b)
  writeDetector(w, model.detector)
  writeNumbers(w, [model.candidates.fall, model.candidates.rise])
  writeMemory(w, model.memory)
  writeList(w, model.resets, (at) => Binary.writeFloat64(w, at))
  Binary.writeVarint(w, model.epoch)
  writeList(w, [...model.cells.values()], (cell) => writeCell(w, cell))
  Binary.writeByte(w, model.frozen === null ? 0 : 1)
  if (model.frozen === null) return
  Binary.writeFloat64s(w, model.frozen.theta)
  writeList(w, [...model.frozen.effects], ([task, effect]) => {
    writeTask(w, task)
    Binary.writeFloat64(w, effect)
  })
}

const readEvidence = (r: Binary.Reader, quality: Quality.Quality): void => {
  const { d } = quality
  const model = Quality.addModel(quality)
  model.prior = orNull(Binary.readFloat64(r))
  model.priorSd = orNull(Binary.readFloat64(r))
  model.offset = Binary.readFloat64(r)
  model.base = Binary.readFloat64(r)
  model.n = Binary.readFloat64(r)
  model.squares = Binary.readFloat64(r)
  model.noise = Binary.readFloat64(r)
  model.priorLevel = Binary.readFloat64(r)
  Binary.readFloat64s(r, model.s)
  Binary.readFloat64s(r, model.b)
  readDetector(r, model.detector)
  model.candidates.fall = Binary.readFloat64(r)
  model.candidates.rise = Binary.readFloat64(r)
  model.memory = readMemory(r)
  readList(r, 8, () => model.resets.push(Binary.readFloat64(r)))
  model.epoch = Binary.readVarint(r)
  for (const cell of readList(r, 300, () => readCell(r, d))) model.cells.set(cell.task, cell)
  if (Binary.readByte(r) === 0) return
  const theta = new Float64Array(d)
  Binary.readFloat64s(r, theta)
  model.frozen = {
    theta,
    effects: new Map(readList(r, 9, (): [string | null, number] => [readTask(r), Binary.readFloat64(r)]))
  }
}

const writeQuality = (w: Binary.Writer, quality: Quality.Quality): void => {
  Binary.writeVarint(w, quality.folded)
  writeNumbers(w, [quality.level, quality.cellVariance, quality.taskVariance])
  Binary.writeFloat64s(w, quality.shared)
  writeList(w, [...quality.tasks], ([task, { mean, variance }]) => {
    Binary.writeString(w, task)
    writeNumbers(w, [mean, variance])
  })
  for (const model of quality.models) writeEvidence(w, model)
}

const readQuality = (r: Binary.Reader, quality: Quality.Quality, models: number): void => {
  quality.folded = Binary.readVarint(r)
  quality.level = Binary.readFloat64(r)
  quality.cellVariance = Binary.readFloat64(r)
  quality.taskVariance = Binary.readFloat64(r)
  Binary.readFloat64s(r, quality.shared)
  readList(r, 17, () =>
    quality.tasks.set(Binary.readString(r), { mean: Binary.readFloat64(r), variance: Binary.readFloat64(r) })
  )
  for (let k = 0; k < models && !r.damaged; k++) readEvidence(r, quality)
}
