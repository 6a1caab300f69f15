/**
 * Writes a message in the protocol buffers' wire format, from its end to its beginning, so that the length of what is inside
 * is known when it is written, and nothing is copied. Fields are therefore written in reverse.
 */
export interface Writer {
  readonly varint: (field: number, value: number) => void
  readonly double: (field: number, value: number) => void
  readonly fixed64: (field: number, value: bigint) => void
  readonly text: (field: number, value: string) => void
  readonly hex: (field: number, value: string) => void
  readonly message: (field: number, write: () => void) => void
  /** What was written; the writer can be used no more. */
  readonly bytes: () => Uint8Array
}

const wire = { varint: 0, fixed64: 1, delimited: 2 } as const
const longestVarint = 10
/** Below it a number is shifted as it is; signed and larger ones are 64 bits of two's complement. */
const smallEnd = 2 ** 31

export const makeWriter = (): Writer => {
  let buffer = Buffer.allocUnsafe(64 * 1024)
  let start = buffer.length

  const room = (count: number) => {
    if (count > start) {
      const written = buffer.length - start
      const larger = Buffer.allocUnsafe(2 * (written + count))
      buffer.copy(larger, larger.length - written, start)
      start = larger.length - written
      buffer = larger
    }
    start -= count
    return start
  }

  const number = (value: number) => {
    if (value >= 0 && value < smallEnd) {
      let count = 1
      for (let rest = value >>> 7; rest > 0; rest >>>= 7) count++
      let at = room(count)
      for (let rest = value; ; rest >>>= 7) {
        buffer[at++] = rest > 0x7f ? (rest & 0x7f) | 0x80 : rest
        if (rest <= 0x7f) return
      }
    }
    const digits: Array<number> = []
    for (let rest = BigInt.asUintN(64, BigInt(value)); digits.length < longestVarint; rest >>= 7n) {
      digits.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0))
      if (rest <= 0x7fn) break
    }
    const at = room(digits.length)
    buffer.set(digits, at)
  }
  const tag = (field: number, type: number) => number((field << 3) | type)

  return {
    varint: (field, value) => {
      number(value)
      tag(field, wire.varint)
    },
    double: (field, value) => {
      const at = room(8)
      buffer.writeDoubleLE(value, at)
      tag(field, wire.fixed64)
    },
    fixed64: (field, value) => {
      const at = room(8)
      buffer.writeBigUInt64LE(value, at)
      tag(field, wire.fixed64)
    },
    text: (field, value) => {
      const count = Buffer.byteLength(value)
      const at = room(count)
      buffer.write(value, at)
      number(count)
      tag(field, wire.delimited)
    },
    hex: (field, value) => {
      const count = value.length / 2
      const at = room(count)
      buffer.write(value, at, "hex")
      number(count)
      tag(field, wire.delimited)
    },
    message: (field, write) => {
      const before = buffer.length - start
      write()
      number(buffer.length - start - before)
      tag(field, wire.delimited)
    },
    bytes: () => buffer.subarray(start)
  }
}
