/** A growing little-endian buffer. */
export interface Writer {
  bytes: Uint8Array
  view: DataView
  length: number
}

export const writer = (capacity = 256): Writer => {
  const bytes = new Uint8Array(capacity)
  return { bytes, view: new DataView(bytes.buffer), length: 0 }
}

const reserve = (w: Writer, count: number): number => {
  const start = w.length
  if (start + count > w.bytes.length) {
    const bytes = new Uint8Array(Math.max(w.bytes.length * 2, start + count))
    bytes.set(w.bytes)
    w.bytes = bytes
    w.view = new DataView(bytes.buffer)
  }
  w.length = start + count
  return start
}

export const writeByte = (w: Writer, value: number): void => {
  const start = reserve(w, 1)
  w.bytes[start] = value
}

export const writeUint32 = (w: Writer, value: number): void => {
  const start = reserve(w, 4)
  w.view.setUint32(start, value, true)
}

/** Of all that is NaN one: which bits an engine writes for it depends on how it has compiled the code. */
const putFloat64 = ({ view }: Writer, position: number, value: number): void => {
  if (Number.isNaN(value)) view.setBigUint64(position, 0x7ff8_0000_0000_0000n, true)
  else view.setFloat64(position, value, true)
}

export const writeFloat64 = (w: Writer, value: number): void => {
  const start = reserve(w, 8)
  putFloat64(w, start, value)
}

/** LEB128 of an integer in [0, 2^53). */
export const writeVarint = (w: Writer, value: number): void => {
  let rest = value
  while (rest > 127) {
    writeByte(w, (rest % 128) | 128)
    rest = Math.floor(rest / 128)
  }
  writeByte(w, rest)
}

export const writeBytes = (w: Writer, bytes: Uint8Array): void => {
  const start = reserve(w, bytes.length)
  w.bytes.set(bytes, start)
}

const utf8 = new TextEncoder()

export const writeString = (w: Writer, text: string): void => {
  const bytes = utf8.encode(text)
  writeVarint(w, bytes.length)
  writeBytes(w, bytes)
}

export const writeFloat32s = (w: Writer, values: Float32Array): void => {
  writeVarint(w, values.length)
  let position = reserve(w, values.length * 4)
  for (const value of values) {
    w.view.setFloat32(position, value, true)
    position += 4
  }
}

/** Without a length: the reader knows it. */
export const writeFloat64s = (w: Writer, values: Float64Array): void => {
  let position = reserve(w, values.length * 8)
  for (const value of values) {
    putFloat64(w, position, value)
    position += 8
  }
}

const nibbles = new Uint8Array(128)
for (let i = 0; i < 16; i++) nibbles["0123456789abcdef".charCodeAt(i)] = i

/** 16 bytes of a UUID in its usual form. */
export const writeUuid = (w: Writer, uuid: string): void => {
  const start = reserve(w, 16)
  let at = 0
  for (let i = 0; i < 16; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) at += 1
    w.bytes[start + i] = ((nibbles[uuid.charCodeAt(at)] ?? 0) << 4) | (nibbles[uuid.charCodeAt(at + 1)] ?? 0)
    at += 2
  }
}

export const written = (w: Writer): Uint8Array => w.bytes.slice(0, w.length)

/**
 * Reads what a `Writer` wrote. Reading beyond the end, or a length that cannot be, sets `damaged` and answers zeros, so a
 * decoder checks once at its end instead of at every field.
 */
export interface Reader {
  readonly bytes: Uint8Array
  readonly view: DataView
  position: number
  damaged: boolean
}

export const reader = (bytes: Uint8Array): Reader => ({
  bytes,
  view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
  position: 0,
  damaged: false
})

/** The position of the next `count` bytes, which are then taken, or -1. */
const take = (r: Reader, count: number): number => {
  const start = r.position
  if (r.damaged || count > r.bytes.length - start) {
    r.damaged = true
    return -1
  }
  r.position = start + count
  return start
}

export const readByte = (r: Reader): number => {
  const start = take(r, 1)
  return start < 0 ? 0 : (r.bytes[start] ?? 0)
}

export const readUint32 = (r: Reader): number => {
  const start = take(r, 4)
  return start < 0 ? 0 : r.view.getUint32(start, true)
}

export const readFloat64 = (r: Reader): number => {
  const start = take(r, 8)
  return start < 0 ? 0 : r.view.getFloat64(start, true)
}

export const readVarint = (r: Reader): number => {
  let value = 0
  let scale = 1
  for (let i = 0; i < 8; i++) {
    const byte = readByte(r)
    value += (byte & 127) * scale
    if (byte < 128) {
      if (value > Number.MAX_SAFE_INTEGER) break
      return value
    }
    scale *= 128
  }
  r.damaged = true
  return 0
}

/** A number of things that take at least `minimumBytes` each: more than there is room for is damage, not an allocation. */
export const readCount = (r: Reader, minimumBytes: number): number => {
  const count = readVarint(r)
  if (count * minimumBytes <= r.bytes.length - r.position) return count
  r.damaged = true
  return 0
}

const text = new TextDecoder("utf-8", { ignoreBOM: true })

export const readString = (r: Reader): string => {
  const length = readCount(r, 1)
  const start = take(r, length)
  return start < 0 ? "" : text.decode(r.bytes.subarray(start, start + length))
}

export const readFloat32s = (r: Reader): Float32Array => {
  const values = new Float32Array(readCount(r, 4))
  const start = take(r, values.length * 4)
  if (start >= 0) for (let i = 0; i < values.length; i++) values[i] = r.view.getFloat32(start + 4 * i, true)
  return values
}

export const readFloat64s = (r: Reader, into: Float64Array): void => {
  const start = take(r, into.length * 8)
  if (start >= 0) for (let i = 0; i < into.length; i++) into[i] = r.view.getFloat64(start + 8 * i, true)
}

const hex = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, "0"))

export const readUuid = (r: Reader): string => {
  const start = take(r, 16)
  if (start < 0) return ""
  let out = ""
  for (let i = 0; i < 16; i++) {
    out += hex[r.bytes[start + i] ?? 0]
    if (i === 3 || i === 5 || i === 7 || i === 9) out += "-"
  }
  return out
}

const crcTable = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1
  return c >>> 0
})

/** CRC-32 (IEEE 802.3) of the first `length` bytes: finds every error burst of up to 32 bits. */
export const crc32 = (bytes: Uint8Array, length: number): number => {
  let crc = 0xffffffff
  for (let i = 0; i < length; i++) crc = (crcTable[(crc ^ (bytes[i] ?? 0)) & 255] ?? 0) ^ (crc >>> 8)
  return ~crc >>> 0
}

/** What was written, and its CRC-32 behind it. */
export const sealed = (w: Writer): Uint8Array => {
  writeUint32(w, crc32(w.bytes, w.length))
  return written(w)
}

/** The bytes before a CRC-32 that fits them, or null. */
export const unsealed = (bytes: Uint8Array): Uint8Array | null => {
  const length = bytes.length - 4
  if (length < 0) return null
  const stored = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(length, true)
  return stored === crc32(bytes, length) ? bytes.subarray(0, length) : null
}
