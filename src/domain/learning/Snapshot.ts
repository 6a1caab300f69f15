import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as Binary from "../basics/Binary.ts"

/** A stored state that cannot be used: an older one, or a fold from the start of the log, takes its place. */
export class SnapshotDamaged extends Schema.TaggedError<SnapshotDamaged>()("SnapshotDamaged", {
  reason: Schema.Literal("magic", "version", "checksum", "length", "parameters")
}) {
  override get message() {
    return `the snapshot cannot be used: its ${this.reason} is wrong`
  }
}

const magic = 0x4e534443
/**
 * 1 had neither deviations of priors nor verdicts on changes; it was of other parameters, so nothing can go on from it. 2 is
 * still written where it says everything, so that a replica of an older version reads it: it has no additions at its end.
 */
export const plainVersion = 2
export const addedVersion = 3
type Version = typeof plainVersion | typeof addedVersion

/** A buffer that begins as every snapshot does. */
export const begin = (version: Version): Binary.Writer => {
  const w = Binary.writer(1 << 16)
  Binary.writeUint32(w, magic)
  Binary.writeByte(w, version)
  return w
}

/** The bytes to store: what was written and a CRC-32 over all of it. */
export const seal = (w: Binary.Writer): Uint8Array => Binary.sealed(w)

/** What stands between begin and seal; every changed bit and every missing byte is found. */
export const open = (
  bytes: Uint8Array
): Either.Either<{ readonly r: Binary.Reader; readonly version: Version }, SnapshotDamaged> => {
  const body = Binary.unsealed(bytes)
  if (body === null) return Either.left(new SnapshotDamaged({ reason: "checksum" }))
  const r = Binary.reader(body)
  if (Binary.readUint32(r) !== magic) return Either.left(new SnapshotDamaged({ reason: "magic" }))
  const version = Binary.readByte(r)
  return version === plainVersion || version === addedVersion
    ? Either.right({ r, version })
    : Either.left(new SnapshotDamaged({ reason: "version" }))
}
