import * as Schema from "effect/Schema"
import type { Attempt, Outcome } from "../../../../domain/routing/Outcome.ts"
import { AttemptsCell } from "./Cells.ts"

const encode = Schema.encodeSync(AttemptsCell)

/** The usual case: the first model called answered. */
const toldByOutcome = (outcome: Outcome | null): ReadonlyArray<Attempt> =>
  outcome === null || !outcome.ok || outcome.latencyMs === null
    ? []
    : [{ model: outcome.model, ok: true, status: 200, latencyMs: outcome.latencyMs, error: null }]

const isToldByOutcome = (attempts: ReadonlyArray<Attempt>, outcome: Outcome | null): boolean => {
  const [told] = toldByOutcome(outcome)
  const [only, ...more] = attempts
  return (
    told !== undefined &&
    only !== undefined &&
    more.length === 0 &&
    only.model === told.model &&
    only.ok === told.ok &&
    only.status === told.status &&
    only.latencyMs === told.latencyMs &&
    only.error === told.error
  )
}

/** Null where the outcome tells the same. */
export const attemptsCellOf = (attempts: ReadonlyArray<Attempt>, outcome: Outcome | null): string | null =>
  isToldByOutcome(attempts, outcome)
    ? null
    : encode(attempts.map((a) => [a.model, a.ok, a.status, a.latencyMs, a.error] as const))

export const attemptsOf = (cell: typeof AttemptsCell.Type | null, outcome: Outcome | null): ReadonlyArray<Attempt> =>
  cell?.map(([model, ok, status, latencyMs, error]) => ({ model, ok, status, latencyMs, error })) ??
  toldByOutcome(outcome)
