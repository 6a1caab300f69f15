import type { Position } from "../../basics/Ids.ts"
import * as Bets from "./Bets.ts"
import * as Linalg from "./Linalg.ts"
import {
  type Cell,
  effectOf,
  ensureCell,
  isDue,
  type Memory,
  type ModelEvidence,
  noMemory,
  posteriorOf,
  type Quality,
  refresh,
  taskMean
} from "./Quality.ts"

const { at } = Linalg

/** A judgement of one answer, or a revision of it. */
export interface Judgement {
  readonly model: ModelEvidence
  readonly task: string | null
  /** Length d. */
  readonly x: Float64Array
  readonly judged: number
  readonly weight: number
  readonly position: Position
  /** Position of the state that chose the model. */
  readonly decidedAt: Position
  readonly previous: { readonly quality: number; readonly weight: number; readonly position: Position } | null
  /** Where its label was evicted since its first judgement: it counts for the model and for no cell. */
  readonly withoutCell: boolean
}

/** A level that moved: part of what is folded, so the same in every replica at the same position. */
export interface QualityChange {
  readonly task: string | null
  /** What moved: all answers of the model, those to one task, or those without a task. */
  readonly scope: "model" | "task" | "unlabelled"
  readonly direction: "down" | "up" | "back"
  /** Where it was noticed, and where it began. */
  readonly position: Position
  readonly since: Position
  /** Judged answers since, what they were expected to be and what they are; null for a return. */
  readonly answers: number | null
  readonly before: number | null
  readonly after: number | null
  /** One in so many is the chance to see this although nothing changed. */
  readonly evidence: number
}

/** Applies a judgement; the change that it brought to light, if any. */
export const foldJudgement = (quality: Quality, judgement: Judgement, runs: number): QualityChange | null => {
  const { model, position, previous, task, weight } = judgement
  if (judgement.withoutCell) {
    if (model.resets.some((at) => previous === null || previous.position < at)) return null
    addToModel(model, judgement, differenceTo(previous, judgement))
    afterFold(quality, model)
    return null
  }
  const cell = ensureCell(quality, model, task)
  if (!isLearned(cell, judgement)) return null
  freeze(quality, model)
  if (previous === null) {
    if (weight > 0) foldFirst(quality, cell, judgement)
  } else foldRevision(model, cell, judgement, differenceTo(previous, judgement))
  afterFold(quality, model)
  return previous !== null || weight === 0 ? null : changeOf(quality, model, cell, position, runs)
}

const afterFold = (quality: Quality, model: ModelEvidence): void => {
  model.isFactored = false
  quality.folded += 1
  if (isDue(quality.folded)) refresh(quality)
}

/** From where on answers count at that position. */
const validFrom = ({ closings }: Cell, position: Position): Position => {
  let since = 0
  for (const closing of closings) if (closing.at <= position) since = closing.since
  return since
}

/** Whether this judgement belongs to the level that the cell now has. */
const isLearned = (cell: Cell, { decidedAt, position, previous }: Judgement): boolean => {
  const first = previous === null ? position : previous.position
  return decidedAt >= validFrom(cell, first) && first >= validFrom(cell, position)
}

const freeze = (quality: Quality, model: ModelEvidence): void => {
  if (model.frozen !== null) return
  const { theta } = posteriorOf(quality, model)
  model.frozen = { theta: Float64Array.from(theta), effects: new Map() }
}

const frozenEffect = (quality: Quality, model: ModelEvidence, cell: Cell): number => {
  const { frozen } = model
  if (frozen === null) return 0
  const known = frozen.effects.get(cell.task)
  if (known !== undefined) return known
  const effect = effectOf(quality, model, cell, frozen.theta)
  frozen.effects.set(cell.task, effect)
  return effect
}

/** A first judgement: it is compared with what was expected, then learned. */
const foldFirst = (quality: Quality, cell: Cell, judgement: Judgement): void => {
  const { judged, model, position, weight, x } = judgement
  const { d, parameters } = quality
  const theta = model.frozen?.theta ?? model.posterior.theta
  const expected = Linalg.dot(theta, x, d) + frozenEffect(quality, model, cell)
  // The frozen prediction follows what the cell has shown since: a level known from few answers cannot be tested by itself.
  const predicted = expected + cell.errors / (cell.n + 4)
  cell.errors += weight * (judged - expected)
  const answer = { predicted, judged, weight, mean: cell.sum / cell.n }
  if (cell.n >= parameters.gateCell) Bets.bet(cell.detector, parameters, position, answer)
  if (model.n >= parameters.gateModel && cell.n >= parameters.gateModelCell) {
    Bets.bet(model.detector, parameters, position, answer)
    for (const direction of Bets.directions) {
      const side = model.detector[direction]
      if (side.growth <= 1) {
        model.candidates[direction] += 1
        continue
      }
      const window = windowOf(model, cell, direction)
      if (window.n === 0) window.start = side.start
      Bets.add(window, predicted, judged, weight)
    }
  }
  betOnReturn(model.memory, predicted, judged, weight)
  betOnReturn(cell.memory, predicted, judged, weight)
  const difference = { weight, sum: weight * judged, squares: weight * judged * judged }
  addToModel(model, judgement, difference)
  addToCell(cell, judgement, difference)
}

interface Difference {
  readonly weight: number
  readonly sum: number
  readonly squares: number
}

const differenceTo = (previous: Judgement["previous"], { judged, weight }: Judgement): Difference => {
  const before = previous ?? { quality: 0, weight: 0 }
  return {
    weight: weight - before.weight,
    sum: weight * judged - before.weight * before.quality,
    squares: weight * judged * judged - before.weight * before.quality * before.quality
  }
}

const addToModel = (model: ModelEvidence, { x }: Judgement, { squares, sum, weight }: Difference): void => {
  const d = model.b.length
  if (weight !== 0) Linalg.addOuter(model.s, x, d, weight)
  for (let i = 0; i < d; i++) model.b[i] = at(model.b, i) + sum * at(x, i)
  model.n = Math.max(0, model.n + weight)
  model.squares += squares
}

const addToCell = (cell: Cell, { x }: Judgement, { squares, sum, weight }: Difference): void => {
  if (weight !== 0) for (let i = 0; i < cell.x.length; i++) cell.x[i] = at(cell.x, i) + weight * at(x, i)
  cell.n = Math.max(0, cell.n + weight)
  cell.sum += sum
  cell.squares += squares
}

/** What was judged is replaced; what was bet is not: evidence is never revised. */
const foldRevision = (model: ModelEvidence, cell: Cell, judgement: Judgement, difference: Difference): void => {
  const first = judgement.previous?.position ?? judgement.position
  addToModel(model, judgement, difference)
  addToCell(cell, judgement, difference)
  for (const direction of Bets.directions) {
    for (const window of [cell.detector[direction], windowOf(model, cell, direction)]) {
      if (window.n <= 0 || first < window.start) continue
      window.n += difference.weight
      window.judged += difference.sum
      window.squares += difference.squares
    }
  }
}

/** Answers of a cell since the model's present candidate for a change. */
const windowOf = (model: ModelEvidence, cell: Cell, direction: Bets.Direction): Bets.Window => {
  const window = cell.windows[direction]
  if (window.candidate !== model.candidates[direction]) {
    window.candidate = model.candidates[direction]
    Bets.emptyWindow(window)
  }
  return window
}

const clamp = (value: number, low: number, high: number): number => (value < low ? low : value > high ? high : value)

/** A likelihood-ratio bet between the two known levels of a fallen model or cell. */
const betOnReturn = (memory: Memory, predicted: number, judged: number, weight: number): void => {
  if (memory.fall === 0) return
  const old = clamp(predicted - memory.fall, 0.02, 0.98)
  const now = clamp(predicted, 0.02, 0.98)
  const gain = (0.8 * weight * (old - now) * (judged - now)) / (now * (1 - now))
  memory.evidence = (1 + memory.evidence) * Math.max(0.02, 1 + gain)
}

/** The first change that the evidence proves: the cell's fall, the model's, the cell's rise, the model's, a return. */
const changeOf = (
  quality: Quality,
  model: ModelEvidence,
  cell: Cell,
  position: Position,
  runs: number
): QualityChange | null => {
  const { alarm, halfWeight } = quality.parameters
  for (const direction of Bets.directions) {
    const cellSide = cell.detector[direction]
    const modelSide = model.detector[direction]
    if (Bets.evidence(cellSide) > alarm) {
      if (cell.task !== null) return taskChanged(quality, model, cell, direction, position, runs)
      const onlyUnlabelled = Bets.evidence(modelSide) < halfWeight
      const change = changed(null, onlyUnlabelled ? "unlabelled" : "model", direction, cellSide, position)
      modelChanged(quality, model, { direction, position, runs, source: cellSide, viaUnlabelled: true, onlyUnlabelled })
      return change
    }
    if (Bets.evidence(modelSide) > alarm) {
      const change = changed(null, "model", direction, modelSide, position)
      const source = modelSide
      modelChanged(quality, model, { direction, position, runs, source, viaUnlabelled: false, onlyUnlabelled: false })
      return change
    }
  }
  if (model.memory.fall !== 0 && model.memory.evidence > alarm) return modelReturned(quality, model, position)
  if (cell.memory.fall !== 0 && cell.memory.evidence > alarm) return cellReturned(quality, model, cell, position)
  return null
}

const changed = (
  task: string | null,
  scope: QualityChange["scope"],
  direction: Bets.Direction,
  side: Bets.Side,
  position: Position
): QualityChange => ({
  task,
  scope,
  direction: direction === "rise" ? "up" : "down",
  position,
  since: side.start,
  answers: side.n,
  before: side.predicted / side.n,
  after: side.judged / side.n,
  evidence: Bets.evidence(side)
})

/**
 * Everything before the window leaves the cell: its old level becomes a free parameter, its slopes stay. What leaves is taken
 * in proportion to the cell's features, which keeps S positive semidefinite. Less than `least` of an answer stays.
 */
const close = (model: ModelEvidence, cell: Cell, position: Position, window: Bets.Window, least = 0.5): void => {
  const n = Math.min(window.n, cell.n)
  const share = cell.n > 0 ? n / cell.n : 0
  const left = cell.n - n
  if (left > least) {
    const sum = cell.sum - window.judged
    const x = Float64Array.from(cell.x, (value) => value * (1 - share))
    Linalg.addOuter(model.s, x, x.length, -1 / left)
    for (let i = 0; i < x.length; i++) {
      model.b[i] = at(model.b, i) - (at(x, i) * sum) / left
      cell.x[i] = at(cell.x, i) * share
    }
    model.squares -= (sum * sum) / left
    model.n = Math.max(0, model.n - 1)
    cell.n = n
    cell.sum = window.judged
    cell.squares = window.squares
  }
  cell.closings.push({ at: position, since: n > 0 ? window.start : position })
  if (cell.closings.length > 4) cell.closings.shift()
  model.isFactored = false
}

const beginAnew = (model: ModelEvidence): void => {
  Bets.clear(model.detector)
  model.candidates.fall += 1
  model.candidates.rise += 1
}

/** A cell's effect against its task's, as the posterior has it. */
const ownEffect = (quality: Quality, model: ModelEvidence, cell: Cell): number =>
  effectOf(quality, model, cell, posteriorOf(quality, model).theta) - taskMean(quality, cell.task)

const taskChanged = (
  quality: Quality,
  model: ModelEvidence,
  cell: Cell,
  direction: Bets.Direction,
  position: Position,
  runs: number
): QualityChange => {
  const side = cell.detector[direction]
  const shift = Bets.shift(side)
  const change = changed(cell.task, "task", direction, side, position)
  const effect = ownEffect(quality, model, cell)
  close(model, cell, position, side)
  cell.base = effect + shift
  cell.memory = direction === "fall" ? { fall: shift, at: runs, evidence: 0 } : noMemory()
  Bets.clear(cell.detector)
  beginAnew(model)
  model.epoch += 1
  refresh(quality)
  return change
}

const modelChanged = (
  quality: Quality,
  model: ModelEvidence,
  options: {
    readonly direction: Bets.Direction
    readonly position: Position
    readonly runs: number
    readonly source: Bets.Side
    readonly viaUnlabelled: boolean
    readonly onlyUnlabelled: boolean
  }
): void => {
  const { direction, runs, source } = options
  const shift = Bets.shift(source)
  const fallen = Math.min(0, model.memory.fall)
  moveModel(quality, model, shift, { ...options, isReturn: false })
  model.memory = direction === "fall" ? { fall: shift + fallen, at: runs, evidence: 0 } : noMemory()
}

/** The model's level moves by `shift`, and with it every cell but those whose answers say that they did not move. */
const moveModel = (
  quality: Quality,
  model: ModelEvidence,
  shift: number,
  options: {
    readonly direction: Bets.Direction
    readonly position: Position
    readonly viaUnlabelled: boolean
    readonly onlyUnlabelled: boolean
    readonly isReturn: boolean
  }
): void => {
  const { direction, isReturn, onlyUnlabelled, position, viaUnlabelled } = options
  const level = at(posteriorOf(quality, model).theta, 0)
  const cells = [...model.cells.values()]
  const effects = cells.map((cell) => ownEffect(quality, model, cell))
  const noise = windowNoise(model, cells, direction)
  for (const [i, cell] of cells.entries()) {
    const isSource = viaUnlabelled && cell.task === null
    const window = isSource ? cell.detector[direction] : windowOf(model, cell, direction)
    const stays = isReturn
      ? !cell.moved
      : didNotMove(window, shift, noise) ||
        (onlyUnlabelled && cell.task !== null && cell.n >= quality.parameters.gateCell)
    if (!isReturn) cell.moved = !stays
    if (stays) cell.base -= shift
    else {
      if (cell.n > 0) close(model, cell, position, window)
      cell.base = effects[i] ?? 0
      cell.memory = noMemory()
    }
    Bets.clear(cell.detector)
  }
  const unlabelled = model.cells.get(null)
  if (unlabelled !== undefined) unlabelled.base = 0
  model.base = level - quality.level - model.offset + shift
  beginAnew(model)
  model.memory.evidence = 0
  model.epoch += 1
  model.isFactored = false
  refresh(quality)
}

/** The noise of the answers since the change: a steady score can have turned into hit and miss. */
const windowNoise = (model: ModelEvidence, cells: ReadonlyArray<Cell>, direction: Bets.Direction): number => {
  let n = 0
  let judged = 0
  for (const cell of cells) {
    const window = windowOf(model, cell, direction)
    n += window.n
    judged += window.judged
  }
  return n >= 1 ? Math.max(model.noise, (judged / n) * (1 - judged / n)) : model.noise
}

/** Whether a cell's answers are likelier without the model's change than with it. */
const didNotMove = ({ judged, n, predicted }: Bets.Window, shift: number, noise: number): boolean => {
  const residual = n > 0 ? (judged - predicted) / n : 0
  return n >= 3 && (n / (2 * noise)) * (residual * residual - (residual - shift) ** 2) < -2
}

const returned = (task: string | null, scope: QualityChange["scope"], position: Position, evidence: number) => ({
  task,
  scope,
  direction: "back" as const,
  position,
  since: position,
  answers: null,
  before: null,
  after: null,
  evidence
})

const modelReturned = (quality: Quality, model: ModelEvidence, position: Position): QualityChange => {
  const { evidence, fall } = model.memory
  model.memory = noMemory()
  moveModel(quality, model, -fall, {
    direction: "rise",
    position,
    viaUnlabelled: false,
    onlyUnlabelled: false,
    isReturn: true
  })
  return returned(null, "model", position, evidence)
}

const cellReturned = (quality: Quality, model: ModelEvidence, cell: Cell, position: Position): QualityChange => {
  const { evidence, fall } = cell.memory
  const effect = ownEffect(quality, model, cell)
  close(model, cell, position, cell.detector.rise)
  cell.base = effect - fall
  cell.memory = noMemory()
  Bets.clear(cell.detector)
  model.epoch += 1
  refresh(quality)
  return returned(cell.task, cell.task === null ? "unlabelled" : "task", position, evidence)
}

/** An operator's word that the model is another now: all its levels are void, its slopes stay. */
export const reset = (quality: Quality, model: ModelEvidence, position: Position): void => {
  model.resets.push(position)
  if (model.resets.length > 4) model.resets.shift()
  const empty = Bets.makeWindow()
  for (const cell of model.cells.values()) {
    close(model, cell, position, empty, 0)
    cell.base = 0
    cell.memory = noMemory()
    cell.moved = true
    Bets.clear(cell.detector)
  }
  model.base = 0
  model.memory = noMemory()
  beginAnew(model)
  model.epoch += 1
  model.isFactored = false
  refresh(quality)
}
