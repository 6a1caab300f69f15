import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as Binary from "../basics/Binary.ts"
import { DecisionId, ModelId, type Position } from "../basics/Ids.ts"
import type { SourceVerdict, TakenVerdict } from "./FeedbackSource.ts"
import { type LearningEvent, verdicts } from "./LearningEvent.ts"

/** A payload of the learning log that cannot be read. */
export class EventDamaged extends Schema.TaggedError<EventDamaged>()("EventDamaged", {
  reason: Schema.Literal("version", "checksum", "content")
}) {
  override get message() {
    return `a payload of the learning log cannot be read: its ${this.reason} is wrong`
  }
}

const payloadVersion = 1
/**
 * Kinds of events as they are written, in the order in which they came to be: one that an older version does not know makes
 * that payload damaged to it. So a prior is written in its old form wherever that says everything.
 */
const kinds = [
  "model",
  "run",
  "quality",
  "reset",
  "availability",
  "reload",
  "modelWithSd",
  "verdict",
  "modelOfUpstream",
  "qualityOfSources"
] as const

const kindOf = (event: LearningEvent): (typeof kinds)[number] => {
  if (event.type === "quality") return event.verdicts === undefined ? "quality" : "qualityOfSources"
  if (event.type !== "model") return event.type
  return event.upstream !== undefined ? "modelOfUpstream" : event.priorSd !== undefined ? "modelWithSd" : "model"
}

/**
 * The events of one commit: version, the model ids and tasks that occur (events refer to them by number, 0 being no
 * task), the events, and a CRC-32. Features are float32, other numbers float64; NaN stands for null.
 */
export const encodeEvents = (events: ReadonlyArray<LearningEvent>): Uint8Array => {
  const names = new Map<string, number>()
  const nameOf = (name: string): number => {
    const known = names.get(name)
    if (known !== undefined) return known
    names.set(name, names.size + 1)
    return names.size
  }
  const body = Binary.writer(64 + 160 * events.length)
  Binary.writeVarint(body, events.length)
  for (const event of events) {
    Binary.writeByte(body, kinds.indexOf(kindOf(event)))
    Binary.writeVarint(body, event.type === "reload" ? 0 : nameOf(event.model))
    switch (event.type) {
      case "model":
        Binary.writeFloat64(body, event.priorQuality ?? Number.NaN)
        if (event.upstream !== undefined) {
          Binary.writeFloat64(body, event.priorSd ?? Number.NaN)
          Binary.writeString(body, event.upstream)
        } else if (event.priorSd !== undefined) Binary.writeFloat64(body, event.priorSd)
        break
      case "reset":
      case "reload":
        break
      case "availability":
        Binary.writeByte(body, event.enabled ? 1 : 0)
        break
      case "verdict":
        Binary.writeByte(body, verdicts.indexOf(event.verdict))
        Binary.writeString(body, event.by)
        break
      case "run":
        Binary.writeUuid(body, event.decisionId)
        Binary.writeVarint(body, event.task === null ? 0 : nameOf(event.task))
        Binary.writeFloat32s(body, event.features)
        Binary.writeByte(body, event.ok ? 1 : 0)
        Binary.writeFloat64(body, event.logOutputTokens ?? Number.NaN)
        Binary.writeFloat64(body, event.latencyScore ?? Number.NaN)
        break
      case "quality":
        Binary.writeUuid(body, event.decisionId)
        Binary.writeVarint(body, event.task === null ? 0 : nameOf(event.task))
        Binary.writeFloat32s(body, event.features)
        Binary.writeVarint(body, event.decidedAt)
        Binary.writeFloat64(body, event.quality)
        Binary.writeFloat64(body, event.weight)
        Binary.writeByte(body, event.previous === null ? 0 : 1)
        if (event.previous !== null) {
          Binary.writeFloat64(body, event.previous.quality)
          Binary.writeFloat64(body, event.previous.weight)
          Binary.writeVarint(body, event.previous.position)
        }
        if (event.verdicts !== undefined) writeSources(body, event.verdicts, event.before ?? [])
        break
    }
  }
  const w = Binary.writer(body.length + 64)
  Binary.writeByte(w, payloadVersion)
  Binary.writeVarint(w, names.size)
  for (const name of names.keys()) Binary.writeString(w, name)
  Binary.writeBytes(w, Binary.written(body))
  return Binary.sealed(w)
}

/** What `encodeEvents` made, or why it is not that. Never throws. */
export const decodeEvents = (bytes: Uint8Array): Either.Either<ReadonlyArray<LearningEvent>, EventDamaged> => {
  if (bytes[0] !== payloadVersion) return Either.left(new EventDamaged({ reason: "version" }))
  const body = Binary.unsealed(bytes)
  if (body === null) return Either.left(new EventDamaged({ reason: "checksum" }))
  const r = Binary.reader(body)
  Binary.readByte(r)
  const names = Array.from({ length: Binary.readCount(r, 1) }, () => Binary.readString(r))
  const models = names.map((name) => (ModelId.is(name) ? name : null))
  const count = Binary.readCount(r, 2)
  const events: Array<LearningEvent> = []
  for (let i = 0; i < count && !r.damaged; i++) {
    const event = readEvent(r, names, models)
    if (event === null) r.damaged = true
    else events.push(event)
  }
  return r.damaged || r.position !== body.length
    ? Either.left(new EventDamaged({ reason: "content" }))
    : Either.right(events)
}

const readEvent = (
  r: Binary.Reader,
  names: ReadonlyArray<string>,
  models: ReadonlyArray<ModelId | null>
): LearningEvent | null => {
  const type = kinds[Binary.readByte(r)]
  const name = Binary.readVarint(r)
  if (type === "reload") return name === 0 ? { type } : null
  const model = models[name - 1]
  if (type === undefined || model === undefined || model === null) return null
  if (type === "model") return { type, model, priorQuality: readNullable(r) }
  if (type === "modelWithSd") {
    return { type: "model", model, priorQuality: readNullable(r), priorSd: Binary.readFloat64(r) }
  }
  if (type === "modelOfUpstream") {
    const priorQuality = readNullable(r)
    const priorSd = readNullable(r)
    const upstream = Binary.readString(r)
    return { type: "model", model, priorQuality, ...(priorSd === null ? {} : { priorSd }), upstream }
  }
  if (type === "reset") return { type, model }
  if (type === "availability") return { type, model, enabled: Binary.readByte(r) === 1 }
  if (type === "verdict") {
    const verdict = verdicts[Binary.readByte(r)]
    return verdict === undefined ? null : { type, model, verdict, by: Binary.readString(r) }
  }
  const decisionId = Binary.readUuid(r)
  const task = readTask(r, names)
  const features = Binary.readFloat32s(r)
  if (!DecisionId.is(decisionId) || task === undefined) return null
  if (type === "run") {
    const ok = Binary.readByte(r) === 1
    return {
      type,
      decisionId,
      model,
      task,
      features,
      ok,
      logOutputTokens: readNullable(r),
      latencyScore: readNullable(r)
    }
  }
  const decidedAt: Position = Binary.readVarint(r)
  const quality = Binary.readFloat64(r)
  const weight = Binary.readFloat64(r)
  const previous =
    Binary.readByte(r) === 0
      ? null
      : { quality: Binary.readFloat64(r), weight: Binary.readFloat64(r), position: Binary.readVarint(r) }
  const event = { type: "quality" as const, decisionId, model, task, features, decidedAt, quality, weight, previous }
  return type === "quality" ? event : { ...event, ...readSources(r) }
}

const writeSources = (
  w: Binary.Writer,
  verdicts: ReadonlyArray<TakenVerdict>,
  before: ReadonlyArray<SourceVerdict>
): void => {
  Binary.writeVarint(w, verdicts.length)
  for (const verdict of verdicts) {
    writeVerdict(w, verdict)
    Binary.writeFloat64(w, verdict.offset)
    Binary.writeFloat64(w, verdict.share)
  }
  Binary.writeVarint(w, before.length)
  for (const verdict of before) writeVerdict(w, verdict)
}

const writeVerdict = (w: Binary.Writer, { quality, source, weight }: SourceVerdict): void => {
  Binary.writeString(w, source)
  Binary.writeFloat64(w, quality)
  Binary.writeFloat64(w, weight)
}

const readVerdict = (r: Binary.Reader): SourceVerdict => ({
  source: Binary.readString(r),
  quality: Binary.readFloat64(r),
  weight: Binary.readFloat64(r)
})

const readSources = (r: Binary.Reader) => ({
  verdicts: Array.from({ length: Binary.readCount(r, 33) }, () => ({
    ...readVerdict(r),
    offset: Binary.readFloat64(r),
    share: Binary.readFloat64(r)
  })),
  before: Array.from({ length: Binary.readCount(r, 17) }, () => readVerdict(r))
})

const readNullable = (r: Binary.Reader): number | null => {
  const value = Binary.readFloat64(r)
  return Number.isNaN(value) ? null : value
}

/** Null for no task, undefined for a number that no name has. */
const readTask = (r: Binary.Reader, names: ReadonlyArray<string>): string | null | undefined => {
  const number = Binary.readVarint(r)
  return number === 0 ? null : names[number - 1]
}
