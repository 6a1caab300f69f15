import * as Either from "effect/Either"
import type * as Http from "node:http"
import type { Transform } from "node:stream"
import * as Zlib from "node:zlib"
import { UnsupportedCoding } from "./HttpErrors.ts"

type MakeDecoder = () => Transform

/** Node has it from 22.15 on. */
const zstd: unknown = Reflect.get(Zlib, "createZstdDecompress")
const isMakeDecoder = (value: unknown): value is MakeDecoder => typeof value === "function"

const decoders = new Map<string, MakeDecoder>([
  ["gzip", () => Zlib.createGunzip()],
  ["x-gzip", () => Zlib.createGunzip()],
  ["deflate", () => Zlib.createInflate()],
  ["br", () => Zlib.createBrotliDecompress()],
  ...(isMakeDecoder(zstd) ? [["zstd", zstd] as const] : [])
])

/** The content codings that are read, RFC 9110, 8.4.1. */
export const acceptedCodings = ["gzip", "deflate", "br", ...(isMakeDecoder(zstd) ? ["zstd"] : [])].join(", ")

/** What decodes the body of a request; null where it came as it is. */
export const decoderOf = ({ headers }: Http.IncomingMessage): Either.Either<Transform | null, UnsupportedCoding> => {
  const coding = headers["content-encoding"]?.trim().toLowerCase() ?? ""
  if (coding === "" || coding === "identity") return Either.right(null)
  const make = decoders.get(coding)
  return make === undefined ? Either.left(new UnsupportedCoding({ accepted: acceptedCodings })) : Either.right(make())
}
