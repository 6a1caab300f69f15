import * as Binary from "../../domain/basics/Binary.ts"
import type { ModelId } from "../../domain/basics/Ids.ts"
import * as Learning from "../../domain/learning/LearnedState.ts"

const equalBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i])

/** Bit for bit, everything that a snapshot holds. */
export const isEqual = (a: Learning.Learning, b: Learning.Learning): boolean =>
  equalBytes(Learning.encode(a), Learning.encode(b))

/** Everything that was observed of the model with that number. */
const bitsOf = ({ answers, disabled, state }: Learning.Learning, k: number): Uint8Array => {
  const w = Binary.writer(1 << 12)
  const model = state.models[k]
  if (model === undefined) return Binary.written(w)
  Binary.writeString(w, model.id)
  Binary.writeByte(w, disabled.has(model.id) ? 1 : 0)
  const { calls, epoch, high, low, observations, priorQuality, resets, since, successes } = model
  const scalars = [priorQuality ?? Number.NaN, calls, successes, observations, low, high, since, epoch, ...resets]
  Binary.writeFloat64s(w, Float64Array.of(...scalars, answers.get(model.id) ?? 0))
  for (const { rows } of [state.quality, state.tokens, state.latency]) {
    const row = rows[k]
    if (row === undefined) continue
    Binary.writeFloat64s(w, row.s)
    Binary.writeFloat64s(w, row.b)
    Binary.writeFloat64s(w, Float64Array.of(row.n, row.r2, row.offset, row.lambda0, row.prior))
  }
  return Binary.written(w)
}

/** The first model, in the order of the log, of which the two know different things; null if it is none of them. */
export const firstDifference = (a: Learning.Learning, b: Learning.Learning): ModelId | null => {
  const longer = a.state.models.length < b.state.models.length ? b : a
  return longer.state.models.find((_, k) => !equalBytes(bitsOf(a, k), bitsOf(b, k)))?.id ?? null
}
