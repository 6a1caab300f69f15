import * as Bets from "./Bets.ts"
import * as Linalg from "./Linalg.ts"
import type { Cell, ModelEvidence, Quality } from "./Quality.ts"
import { effectOf, posteriorOf } from "./QualityPosterior.ts"

/** What was judged of a cell since a possible change. */
export interface Since {
  readonly cell: Cell
  readonly window: Bets.Window
}

/** The window as it stands; undefined where it is of an earlier candidate. Changes nothing: what is asked must not be folded. */
export const presentWindow = (model: ModelEvidence, cell: Cell, direction: Bets.Direction): Bets.Window | undefined => {
  const window = cell.windows[direction]
  return window.candidate === model.candidates[direction] ? window : undefined
}

/** Answers of a cell since the model's present candidate for a change. */
export const windowOf = (model: ModelEvidence, cell: Cell, direction: Bets.Direction): Bets.Window => {
  const window = cell.windows[direction]
  if (window.candidate !== model.candidates[direction]) {
    window.candidate = model.candidates[direction]
    Bets.emptyWindow(window)
  }
  return window
}

/**
 * What of a shift is left to move, between nothing and all of it. A shift is that from what was predicted without the answers
 * since the change; the estimate has learned from them as well, so the whole shift would count them twice.
 */
export const remaining = (
  quality: Quality,
  model: ModelEvidence,
  since: ReadonlyArray<Since>,
  shift: number
): number => {
  const { theta } = posteriorOf(quality, model)
  let n = 0
  let followed = 0
  for (const { cell, window } of since) {
    if (window.n <= 0 || cell.n <= 0) continue
    const fitted = Linalg.dot(cell.x, theta, theta.length) / cell.n + effectOf(quality, model, cell, theta)
    n += window.n
    followed += window.n * fitted - window.predicted
  }
  if (n === 0) return shift
  const left = shift - (quality.parameters.followed * followed) / n
  return shift < 0 ? Math.min(0, Math.max(shift, left)) : Math.max(0, Math.min(shift, left))
}
