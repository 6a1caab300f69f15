import type { Position } from "../../basics/Ids.ts"
import { at } from "./Linalg.ts"

/**
 * Change detection by betting. A detector plays, for each direction, against the claim that answers are still as good as
 * predicted: each bet multiplies its evidence by 1 + stake (predicted - judged) / (1 - predicted). As long as the claim holds
 * each product is a martingale, so evidence of A has a chance of one in A, for any distribution on [0, 1], any dependence
 * and any weights. Shin, Ramdas and Rinaldo, E-detectors, arXiv:2203.03532; the Shiryaev-Roberts form.
 */
export interface Detector {
  readonly fall: Side
  readonly rise: Side
}

/** Sums over the judged answers since a possible beginning of a change. */
export interface Window {
  /** Log position of the first of them. */
  start: Position
  /** Sum of weights, and the weighted sums of what was predicted, of what was judged and of its squares. */
  n: number
  predicted: number
  judged: number
  squares: number
}

/** One direction. The window begins where the middle bet began to win. */
export interface Side extends Window {
  /** Evidence of each bet: 0 at the start. */
  readonly bets: Float64Array
  /** What the middle bet has won since its last loss, at least 1. */
  growth: number
}

/** A task's or a model's answers can change in two directions. */
export const directions = ["fall", "rise"] as const
export type Direction = (typeof directions)[number]

/** Assumed relative fall of the predicted quality (of the predicted distance from 1, for a rise), all equally likely. */
const stakes = [0.1, 0.2, 0.35, 0.55, 0.8] as const
const middle = 0.35

export interface BetParameters {
  /** A change by less than this is never reported, reward units. */
  readonly tolerance: number
  /** The largest prediction that the prompt's text alone can cause: near 1 a single bad answer would prove everything. */
  readonly largestPrediction: number
}

export const makeWindow = (): Window => ({ start: 0, n: 0, predicted: 0, judged: 0, squares: 0 })

const makeSide = (): Side => ({ ...makeWindow(), bets: new Float64Array(stakes.length), growth: 1 })

export const make = (): Detector => ({ fall: makeSide(), rise: makeSide() })

/** Evidence of a change in this direction: 1 in so many is the chance to see it although nothing changed. */
export const evidence = ({ bets }: Side): number =>
  (at(bets, 0) + at(bets, 1) + at(bets, 2) + at(bets, 3) + at(bets, 4)) / 5

/** How far judged answers lie from predicted ones, shrunk towards 0 as if by five answers. */
export const shift = ({ judged, n, predicted }: Window): number => (judged - predicted) / (n + 5)

export const emptyWindow = (window: Window): void => {
  window.n = window.predicted = window.judged = window.squares = 0
}

export const add = (window: Window, predicted: number, judged: number, weight: number): void => {
  window.n += weight
  window.predicted += weight * predicted
  window.judged += weight * judged
  window.squares += weight * judged * judged
}

export const clear = ({ fall, rise }: Detector): void => {
  for (const side of [fall, rise]) {
    side.bets.fill(0)
    side.growth = 1
    emptyWindow(side)
  }
}

/**
 * One judged answer: `predicted` before it was seen, `judged` in [0, 1], `weight` in [0, 1], `mean` of the cell's answers
 * before it.
 */
export const bet = (
  detector: Detector,
  parameters: BetParameters,
  position: Position,
  answer: { readonly predicted: number; readonly judged: number; readonly weight: number; readonly mean: number }
): void => {
  for (const direction of directions) {
    const side = detector[direction]
    const { judged, mean, predicted, weight } = answer
    const isRise = direction === "rise"
    const { largestPrediction, tolerance } = parameters
    const claimed = (isRise ? 1 - predicted : predicted) - tolerance
    const most = Math.max(largestPrediction, (isRise ? 1 - mean : mean) - tolerance)
    const p = claimed < -tolerance ? -tolerance : claimed > most ? most : claimed
    const gain = (weight * (p - (isRise ? 1 - judged : judged))) / (1 - p)
    for (const [j, stake] of stakes.entries()) side.bets[j] = (1 + at(side.bets, j)) * (1 + stake * gain)
    if (side.growth <= 1) side.start = position
    side.growth = Math.max(1, side.growth) * (1 + middle * gain)
    if (side.growth <= 1) emptyWindow(side)
    else add(side, predicted, judged, weight)
  }
}
