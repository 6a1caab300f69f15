import * as Binary from "../../domain/basics/Binary.ts"
import type { ModelId } from "../../domain/basics/Ids.ts"
import * as Hierarchical from "../../domain/learning/bandit/Hierarchical.ts"
import * as Learning from "../../domain/learning/LearnedState.ts"

const equalBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i])

/** Bit for bit, everything that a snapshot holds. */
export const isEqual = (a: Learning.Learning, b: Learning.Learning): boolean =>
  equalBytes(Learning.encode(a), Learning.encode(b))

/** Everything that is known of that model. */
const bitsOf = ({ answers, disabled, state }: Learning.Learning, model: ModelId): Uint8Array => {
  const w = Binary.writer(1 << 12)
  Binary.writeBytes(w, Hierarchical.encodeModel(state, model))
  Binary.writeByte(w, disabled.has(model) ? 1 : 0)
  Binary.writeFloat64(w, answers.get(model) ?? 0)
  return Binary.written(w)
}

/** The first model, in the order of the log, of which the two know different things; null if it is none of them. */
export const firstDifference = (a: Learning.Learning, b: Learning.Learning): ModelId | null => {
  const longer = a.state.models.length < b.state.models.length ? b : a
  return longer.state.models.find(({ id }) => !equalBytes(bitsOf(a, id), bitsOf(b, id)))?.id ?? null
}
