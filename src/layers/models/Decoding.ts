import * as Zlib from "node:zlib"

type Unzip = Zlib.Gunzip | Zlib.Inflate | Zlib.InflateRaw | Zlib.BrotliDecompress

/** Some send the zlib format under the name `deflate`, as they should, some the bare one. */
const inflate = (first: Buffer): Unzip =>
  ((first[0] ?? 0) & 0x0f) === 8 ? Zlib.createInflate() : Zlib.createInflateRaw()

const decoders: Readonly<Record<string, (first: Buffer) => Unzip>> = {
  gzip: () => Zlib.createGunzip(),
  "x-gzip": () => Zlib.createGunzip(),
  deflate: inflate,
  br: () => Zlib.createBrotliDecompress()
}

/** Undoes one content coding, chunk by chunk. */
export interface Decoding {
  readonly push: (chunk: Buffer) => void
  readonly end: () => void
  readonly pause: () => void
  readonly resume: () => void
  readonly destroy: () => void
}

/**
 * For a body that is coded though `identity` was asked; null for one that is not. A coding that nobody knows is an error
 * at its first chunk (RFC 9110, 12.5.3).
 */
export const decodingOf = (
  encoding: string,
  on: {
    readonly data: (chunk: Buffer) => void
    readonly end: () => void
    readonly error: (error: unknown) => void
  }
): Decoding | null => {
  const coding = encoding.trim().toLowerCase()
  if (coding === "" || coding === "identity") return null
  let unzip: Unzip | null = null
  const begun = (chunk: Buffer) => {
    if (unzip !== null) return unzip
    const make = Object.hasOwn(decoders, coding) ? decoders[coding] : undefined
    if (make === undefined) {
      on.error(new Error(`the answer's content-encoding ${JSON.stringify(coding.slice(0, 40))} is not known`))
      return null
    }
    unzip = make(chunk).on("data", on.data).on("end", on.end).on("error", on.error)
    return unzip
  }
  return {
    push: (chunk) => begun(chunk)?.write(chunk),
    end: () => {
      if (unzip === null) on.end()
      else unzip.end()
    },
    pause: () => unzip?.pause(),
    resume: () => unzip?.resume(),
    destroy: () => unzip?.destroy()
  }
}
