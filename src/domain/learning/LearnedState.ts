import * as Either from "effect/Either"
import * as Hierarchical from "./bandit/Hierarchical.ts"
import * as Binary from "../basics/Binary.ts"
import type { ModelId, Position } from "../basics/Ids.ts"
import type { LearningEvent, ModelEvent } from "./LearningEvent.ts"
import { SnapshotDamaged } from "./Snapshot.ts"

/** A model that is never called again loses half of its share within so many answers. */
const shareHalfLife = 500
const shareKept = 0.5 ** (1 / shareHalfLife)

const magic = 0x4e4c4443
/** 1 had no header and no disabled models. */
const schemaVersion = 2

/** Everything that is folded from the log: what is known of the models, who answered lately, and who may not. */
export interface Learning {
  readonly state: Hierarchical.State
  /** Discounted number of answers of each model. */
  readonly answers: Map<string, number>
  /** Models that an operator took out of the choice. */
  readonly disabled: Set<string>
}

export const make = (parameters: Hierarchical.Parameters, dimension: number): Learning => ({
  state: Hierarchical.make(parameters, dimension),
  answers: new Map(),
  disabled: new Set()
})

/** Applies the next event of the log; the change of a model that it proves, if any. */
export const fold = (
  { answers, disabled, state }: Learning,
  position: Position,
  event: LearningEvent
): Hierarchical.Change | null => {
  const change = Hierarchical.fold(state, position, event)
  if (event.type === "availability") {
    if (event.enabled) disabled.delete(event.model)
    else disabled.add(event.model)
  }
  if (event.type !== "run" || !event.ok) return change
  for (const [model, count] of answers) answers.set(model, count * shareKept)
  answers.set(event.model, (answers.get(event.model) ?? 0) + 1)
  return change
}

/** Of the recent answers of all replicas, [0, 1]. */
export const shareOf = ({ answers }: Learning, model: ModelId): number => {
  let sum = 0
  for (const count of answers.values()) sum += count
  return sum === 0 ? 0 : (answers.get(model) ?? 0) / sum
}

/** Whether the model is in the log as this event says. */
export const knows = ({ state }: Learning, { model, priorQuality, priorSd, upstream }: ModelEvent): boolean => {
  const known = Hierarchical.priorOf(state, model)
  return (
    known !== undefined &&
    known.priorQuality === priorQuality &&
    known.priorSd === priorSd &&
    known.upstream === upstream
  )
}

export const encode = ({ answers, disabled, state }: Learning): Uint8Array => {
  const w = Binary.writer(1 << 16)
  Binary.writeUint32(w, magic)
  Binary.writeByte(w, schemaVersion)
  Binary.writeVarint(w, disabled.size)
  for (const model of disabled) Binary.writeString(w, model)
  Binary.writeVarint(w, answers.size)
  for (const [model, count] of answers) {
    Binary.writeString(w, model)
    Binary.writeFloat64(w, count)
  }
  Binary.writeBytes(w, Hierarchical.encode(state))
  return Binary.sealed(w)
}

/** What was encoded, if every bit of it is there. */
export const decode = (
  bytes: Uint8Array,
  parameters: Hierarchical.Parameters,
  dimension: number
): Either.Either<Learning, SnapshotDamaged> => {
  const body = Binary.unsealed(bytes)
  if (body === null) return Either.left(new SnapshotDamaged({ reason: "checksum" }))
  const r = Binary.reader(body)
  if (Binary.readUint32(r) !== magic || Binary.readByte(r) !== schemaVersion) {
    return Either.left(new SnapshotDamaged({ reason: "version" }))
  }
  const disabled = new Set(Array.from({ length: Binary.readCount(r, 1) }, () => Binary.readString(r)))
  const answers = new Map<string, number>()
  const count = Binary.readCount(r, 9)
  for (let i = 0; i < count; i++) answers.set(Binary.readString(r), Binary.readFloat64(r))
  if (r.damaged) return Either.left(new SnapshotDamaged({ reason: "length" }))
  return Either.map(Hierarchical.decode(body.subarray(r.position), parameters, dimension), (state) => ({
    state,
    answers,
    disabled
  }))
}
