import type { Position } from "../../basics/Ids.ts"
import * as Bets from "./Bets.ts"
import * as Linalg from "./Linalg.ts"
import { type Cell, ensureCell, type Memory, type ModelEvidence, type Quality, touched } from "./Quality.ts"
import { changeOf, type QualityChange } from "./QualityChange.ts"
import { effectOf, posteriorOf } from "./QualityPosterior.ts"
import { isDue, refresh } from "./QualityRefresh.ts"
import { windowOf } from "./QualityShift.ts"

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
  touched(model)
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

const clamp = (value: number, low: number, high: number): number => (value < low ? low : value > high ? high : value)

/** A likelihood-ratio bet between the two known levels of a fallen model or cell. */
const betOnReturn = (memory: Memory, predicted: number, judged: number, weight: number): void => {
  if (memory.fall === 0) return
  const old = clamp(predicted - memory.fall, 0.02, 0.98)
  const now = clamp(predicted, 0.02, 0.98)
  const gain = (0.8 * weight * (old - now) * (judged - now)) / (now * (1 - now))
  memory.evidence = (1 + memory.evidence) * Math.max(0.02, 1 + gain)
}
