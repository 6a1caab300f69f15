import * as Zlib from "node:zlib"
import * as Effect from "effect/Effect"
import type { Frame, Scenario } from "../../domain/simulation/Scenario.ts"
import type { Call } from "./Chat.ts"
import { write } from "./Http.ts"
import type { Journal } from "./Journal.ts"

/** How a scripted body goes over the wire. */
export interface WireScript {
  readonly headers: Readonly<Record<string, string>>
  readonly coding: Scenario["coding"] | null
  readonly frames: ReadonlyArray<Frame>
  /** Nothing of the body comes behind so many bytes. */
  readonly mostBytes: number | null
  readonly end: "end" | "cut" | "open"
}

const codings = {
  gzip: { name: "gzip", encode: Zlib.gzipSync },
  deflate: { name: "deflate", encode: Zlib.deflateSync },
  "deflate-raw": { name: "deflate", encode: Zlib.deflateRawSync },
  br: { name: "br", encode: (text: string) => Zlib.brotliCompressSync(text) }
} as const

/** A coded body is one piece. */
const bytesOf = ({ coding, frames }: WireScript): ReadonlyArray<{ readonly bytes: Buffer; readonly waitMs: number }> =>
  coding === null || coding === undefined
    ? frames.map(({ text, waitMs = 0 }) => ({ bytes: Buffer.from(text), waitMs }))
    : [{ bytes: codings[coding].encode(frames.map(({ text }) => text).join("")), waitMs: 0 }]

/** Writes the body frame by frame and ends it as the script says. */
export const writeFrames = Effect.fnUntraced(function* (
  { breaking, response }: Pick<Call, "breaking" | "response">,
  journal: Journal,
  script: WireScript
) {
  const { coding, end, headers, mostBytes } = script
  response.writeHead(200, {
    ...headers,
    ...(coding === null || coding === undefined ? {} : { "content-encoding": codings[coding].name })
  })
  response.flushHeaders()
  let left = mostBytes ?? Infinity
  for (const { bytes, waitMs } of bytesOf(script)) {
    if (left <= 0) break
    if (waitMs > 0) yield* Effect.sleep(waitMs)
    yield* write(response, bytes.subarray(0, left))
    left -= bytes.length
    journal.event()
  }
  if (end === "open") return yield* Effect.never
  if (end === "end") {
    response.end()
    return
  }
  breaking()
  response.socket?.destroySoon()
})
