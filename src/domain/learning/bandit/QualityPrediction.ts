import * as Bets from "./Bets.ts"
import * as Linalg from "./Linalg.ts"
import type { Cell, Memory, ModelEvidence, Quality, QualityParameters } from "./Quality.ts"
import { cellNoise, cellRidge, effectOf, posteriorOf, taskMean } from "./QualityPosterior.ts"
import { presentWindow, remaining } from "./QualityShift.ts"

const { at } = Linalg

/** What is expected of a model's answer. */
export interface QualityPrediction {
  readonly mean: number
  /** Deviation of the draw. */
  readonly sd: number
  /** Deviation of the mean of such answers, for intervals that are shown. */
  readonly shownSd: number
  /** Weight of a suspected change, [0, 1). */
  readonly suspicion: number
  /** How much better it would be if a suspected or remembered fall were not, or no longer, so. */
  readonly rise: number
  /** Share of the requests that it would win with that rise which it gets to prove it. */
  readonly probeShare: number
}

/** Share of the requests that a model gets of those that it would win if it were back: less the longer ago it fell. */
const probeShare = (
  { hintEvidence, probe, probeRuns, suspected, trial, trialEvidence }: QualityParameters,
  isSuspected: boolean,
  memory: Memory | null,
  runs: number
): number => {
  if (memory !== null && memory.evidence > trialEvidence) return trial
  if (isSuspected || (memory !== null && memory.evidence > hintEvidence)) return suspected
  return memory === null ? 0 : probe * Math.min(1, probeRuns / Math.max(1, runs - memory.at))
}

interface Suspicion {
  readonly weight: number
  /** By how much the level moved, and what of it the estimate has not followed yet. */
  readonly shift: number
  readonly left: number
}

const noSuspicion: Suspicion = { weight: 0, shift: 0, left: 0 }

/** A lighter suspicion moves nothing. */
const leastWeight = 0.05

/** The strongest of the suspicions that a cell and its model are under. */
const suspicionOf = (quality: Quality, model: ModelEvidence, cell: Cell | undefined): Suspicion => {
  let strongest: { readonly side: Bets.Side; readonly direction: Bets.Direction; readonly isOfCell: boolean } | null =
    null
  let evidence = 0
  for (const detector of cell === undefined ? [model.detector] : [cell.detector, model.detector]) {
    for (const direction of Bets.directions) {
      const side = detector[direction]
      const found = Bets.evidence(side)
      if (found <= evidence) continue
      evidence = found
      strongest = { side, direction, isOfCell: detector !== model.detector }
    }
  }
  if (strongest === null) return noSuspicion
  const { direction, isOfCell, side } = strongest
  const weight = evidence / (evidence + quality.parameters.halfWeight)
  const moved = Bets.shift(side)
  const shift = direction === "rise" ? Math.max(0, moved) : Math.min(0, moved)
  if (weight <= leastWeight) return { weight, shift, left: 0 }
  const since =
    isOfCell && cell !== undefined
      ? [{ cell, window: side }]
      : [...model.cells.values()].flatMap((one) => {
          const window = presentWindow(model, one, direction)
          return window === undefined ? [] : [{ cell: one, window }]
        })
  return { weight, shift, left: remaining(quality, model, since, shift) }
}

/**
 * Predicts at the features `x` (length d). `runs` is the number of calls so far: the clock of probing. O(d²), and O(d³ / 6)
 * once after an observation of the model.
 */
export const predict = (
  quality: Quality,
  model: ModelEvidence,
  task: string | null,
  x: Float64Array,
  runs: number
): QualityPrediction => {
  const { d, parameters, work } = quality
  const { chol, noise, theta } = posteriorOf(quality, model)
  const cell = model.cells.get(task)
  const n = cell?.n ?? 0
  const ridge = cellRidge(quality, model, task)
  const inverse = ridge === Number.POSITIVE_INFINITY ? 0 : 1 / (n + ridge)
  for (let i = 0; i < d; i++) work[i] = at(x, i) - (cell === undefined ? 0 : at(cell.x, i) * inverse)
  Linalg.solveLower(chol, work, d, work)
  const leverage = Linalg.dot(work, work, d)
  const effect = cell === undefined ? taskMean(quality, task) : effectOf(quality, model, cell, theta)
  let mean = Linalg.dot(theta, x, d) + effect

  const { left, shift, weight } = suspicionOf(quality, model, cell)
  if (weight > leastWeight) mean += weight * left
  const isSuspected = shift < 0 && weight > 0.3
  const memory = model.memory.fall < 0 ? model.memory : cell !== undefined && cell.memory.fall < 0 ? cell.memory : null
  const rise = Math.max(isSuspected ? -weight * shift : 0, memory === null ? 0 : -memory.fall)

  const unknown = ridge === Number.POSITIVE_INFINITY ? 0 : ridge / (n + ridge)
  const taskVariance = task === null ? 0 : (quality.tasks.get(task)?.variance ?? quality.taskVariance)
  const spread = unknown * unknown * (taskVariance + (task === null ? 0 : quality.cellVariance))
  const shown =
    cellNoise(parameters, noise, cell) * (leverage + inverse) + spread + weight * (1 - weight) * shift * shift
  return {
    mean,
    sd: parameters.v * Math.sqrt(noise * (leverage + parameters.cellShare * inverse)),
    shownSd: Math.sqrt(shown),
    suspicion: weight,
    rise,
    probeShare: probeShare(parameters, isSuspected, memory, runs)
  }
}
