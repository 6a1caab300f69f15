import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as Binary from "../basics/Binary.ts"
import { type Position, RouterId } from "../basics/Ids.ts"

/** A learned state as a file: what a snapshot holds, and where it came from. */
export interface StateFile {
  readonly routerId: RouterId
  /** Of the policy that can read the state. */
  readonly fingerprint: string
  /** The log position up to which the state is folded. */
  readonly position: Position
  /** As snapshots encode it. */
  readonly state: Uint8Array
}

/** A file that cannot be read as a state. */
export class StateFileDamaged extends Schema.TaggedError<StateFileDamaged>()("StateFileDamaged", {
  reason: Schema.Literal("checksum", "magic", "version", "content")
}) {
  override get message() {
    return `it is not a state that \`conduit state export\` wrote, or not all of it: its ${this.reason} is wrong`
  }
}

const magic = 0x46534443
const schemaVersion = 1

export const encode = (file: StateFile): Uint8Array => {
  const w = Binary.writer(file.state.length + 256)
  Binary.writeUint32(w, magic)
  Binary.writeByte(w, schemaVersion)
  Binary.writeString(w, file.routerId)
  Binary.writeString(w, file.fingerprint)
  Binary.writeVarint(w, file.position)
  Binary.writeVarint(w, file.state.length)
  Binary.writeBytes(w, file.state)
  return Binary.sealed(w)
}

/** What was encoded, if every bit of it is there. */
export const decode = (bytes: Uint8Array): Either.Either<StateFile, StateFileDamaged> => {
  const damaged = (reason: StateFileDamaged["reason"]) => Either.left(new StateFileDamaged({ reason }))
  const body = Binary.unsealed(bytes)
  if (body === null) return damaged("checksum")
  const r = Binary.reader(body)
  if (Binary.readUint32(r) !== magic) return damaged("magic")
  if (Binary.readByte(r) !== schemaVersion) return damaged("version")
  const routerId = Binary.readString(r)
  const fingerprint = Binary.readString(r)
  const position = Binary.readVarint(r)
  const length = Binary.readVarint(r)
  if (r.damaged || !RouterId.is(routerId) || r.position + length !== body.length) return damaged("content")
  return Either.right({ routerId, fingerprint, position, state: body.slice(r.position) })
}
