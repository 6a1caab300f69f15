import type { Position } from "../../basics/Ids.ts"
import type { Verdict } from "../LearningEvent.ts"
import * as Bets from "./Bets.ts"
import * as Linalg from "./Linalg.ts"
import { type Cell, type Memory, type ModelEvidence, noMemory, type Quality, touched } from "./Quality.ts"
import { effectOf, posteriorOf, taskMean } from "./QualityPosterior.ts"
import { refresh } from "./QualityRefresh.ts"
import { remaining, windowOf } from "./QualityShift.ts"

const { at } = Linalg

/** The smallest normal double: one over less than it is infinite. */
const leastDivisor = 2 ** -1022

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
  /** What an operator said about it; null while nobody did. */
  readonly verdict: ChangeVerdict | null
}

export interface ChangeVerdict {
  readonly verdict: Verdict
  readonly by: string
  /** Log position from which it holds. */
  readonly position: Position
}

/** The first change that the evidence proves: the cell's fall, the model's, the cell's rise, the model's, a return. */
export const changeOf = (
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
  evidence: Bets.evidence(side),
  verdict: null
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
  touched(model)
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
  const left = remaining(quality, model, [{ cell, window: side }], shift)
  close(model, cell, position, side)
  cell.base = effect + left
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
  const since = cells.map((cell) => ({
    cell,
    window: viaUnlabelled && cell.task === null ? cell.detector[direction] : windowOf(model, cell, direction)
  }))
  const left = remaining(quality, model, since, shift)
  for (const [i, { cell, window }] of since.entries()) {
    const stays = isReturn
      ? !cell.moved
      : didNotMove(window, shift, noise) ||
        (onlyUnlabelled && cell.task !== null && cell.n >= quality.parameters.gateCell)
    if (!isReturn) cell.moved = !stays
    if (stays) cell.base -= left
    else {
      if (cell.n > 0) close(model, cell, position, window)
      cell.base = effects[i] ?? 0
      cell.memory = noMemory()
    }
    Bets.clear(cell.detector)
  }
  const unlabelled = model.cells.get(null)
  if (unlabelled !== undefined) unlabelled.base = 0
  model.base = level - quality.level - model.offset + left
  beginAnew(model)
  model.memory.evidence = 0
  model.epoch += 1
  touched(model)
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
  evidence,
  verdict: null
})

const modelReturned = (quality: Quality, model: ModelEvidence, position: Position): QualityChange => {
  const { evidence, fall } = model.memory
  moveModelBack(quality, model, -fall, position)
  return returned(null, "model", position, evidence)
}

/** The model's level moves by `shift`, and with it the cells that its last change moved. */
const moveModelBack = (quality: Quality, model: ModelEvidence, shift: number, position: Position): void => {
  model.memory = noMemory()
  const direction = shift < 0 ? "fall" : "rise"
  moveModel(quality, model, shift, {
    direction,
    position,
    viaUnlabelled: false,
    onlyUnlabelled: false,
    isReturn: true
  })
}

const cellReturned = (quality: Quality, model: ModelEvidence, cell: Cell, position: Position): QualityChange => {
  const { evidence, fall } = cell.memory
  moveCellBack(quality, model, cell, -fall, position)
  return returned(cell.task, cell.task === null ? "unlabelled" : "task", position, evidence)
}

const moveCellBack = (quality: Quality, model: ModelEvidence, cell: Cell, shift: number, position: Position): void => {
  const effect = ownEffect(quality, model, cell)
  close(model, cell, position, cell.detector[shift < 0 ? "fall" : "rise"])
  cell.base = effect + shift
  cell.memory = noMemory()
  Bets.clear(cell.detector)
  model.epoch += 1
  refresh(quality)
}

/** Whether an operator's word on this change can be followed: a return has no old level that it could be taken back to. */
export const canJudge = (change: QualityChange, verdict: Verdict): boolean =>
  change.verdict === null && (verdict === "confirm" || change.direction !== "back")

/** An operator's word that a change is real and lasts: nobody looks for a return. */
export const confirm = (model: ModelEvidence, { scope, task }: QualityChange): void => {
  if (scope !== "task") model.memory = noMemory()
  const cell = model.cells.get(task)
  if (scope === "task" && cell !== undefined) cell.memory = noMemory()
}

/**
 * An operator's word that a change is none: the level is where it was expected to be, as a prior, since what was judged before
 * the change has left it already, and what was judged since is void. Falls before this one stay remembered.
 */
export const dismiss = (quality: Quality, model: ModelEvidence, change: QualityChange, position: Position): void => {
  const { after, answers, before, scope, task } = change
  if (answers === null || after === null || before === null) return
  const shift = before - after
  const earlierFall = (fall: number) => Math.min(0, fall + (answers / (answers + 5)) * shift)
  if (scope === "task") {
    const cell = model.cells.get(task)
    if (cell === undefined) return
    const { memory } = cell
    Bets.clear(cell.detector)
    const levelOf = () =>
      at(posteriorOf(quality, model).theta, 0) + effectOf(quality, model, cell, model.posterior.theta)
    const level = levelOf() + shift
    moveCellBack(quality, model, cell, shift, position)
    // Without its answers the model's own level may be another.
    cell.base += level - levelOf()
    touched(model)
    refresh(quality)
    cell.memory = remembered(memory, earlierFall(memory.fall))
    return
  }
  const { memory } = model
  const level = at(posteriorOf(quality, model).theta, 0) + shift
  // Answers that speak for a rise since would else stay as the evidence of the level that it goes back to.
  for (const cell of model.cells.values()) Bets.clear(cell.detector)
  beginAnew(model)
  moveModelBack(quality, model, shift, position)
  model.memory = remembered(memory, earlierFall(memory.fall))
  // The mean level of all models may have moved with it.
  model.base = level - quality.level - model.offset
  touched(model)
  refresh(quality)
}

const remembered = ({ at }: Memory, fall: number): Memory => (fall < -1e-9 ? { fall, at, evidence: 0 } : noMemory())

/** An operator's word that the model is another now: all its levels are void, its slopes stay. */
export const reset = (quality: Quality, model: ModelEvidence, position: Position): void => {
  model.resets.push(position)
  if (model.resets.length > 4) model.resets.shift()
  const empty = Bets.makeWindow()
  for (const cell of model.cells.values()) {
    close(model, cell, position, empty, leastDivisor)
    cell.base = 0
    cell.memory = noMemory()
    cell.moved = true
    Bets.clear(cell.detector)
  }
  model.base = 0
  model.memory = noMemory()
  beginAnew(model)
  model.epoch += 1
  touched(model)
  refresh(quality)
}
