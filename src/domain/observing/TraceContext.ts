/** W3C Trace Context, https://www.w3.org/TR/trace-context-2/: which trace a call belongs to, and below which span. */
export interface TraceContext {
  readonly traceId: string
  readonly spanId: string
  readonly sampled: boolean
  /** The other seven flags as they came, among them whether the trace id is random: they are not ours to change. */
  readonly otherFlags: number
}

/** Later versions may say more behind a further dash; version ff is none, and the first one ends there. */
const shape = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const nobody = /^0+$/
const sampledFlag = 1

/** Of a `traceparent` header; null if it is not well-formed, which is as if there were none. */
export const parse = (header: string): TraceContext | null => {
  const [, version, traceId = "", spanId = "", flags = "", more] = shape.exec(header) ?? []
  if (version === undefined || version === "ff" || (version === "00" && more !== undefined)) return null
  if (nobody.test(traceId) || nobody.test(spanId)) return null
  const bits = Number.parseInt(flags, 16)
  // What other flags mean is known of the first version alone, which is the one that is written.
  const otherFlags = version === "00" ? bits & ~sampledFlag : 0
  return { traceId, spanId, sampled: (bits & sampledFlag) === sampledFlag, otherFlags }
}

export const format = ({ otherFlags, sampled, spanId, traceId }: TraceContext): string => {
  const flags = otherFlags | (sampled ? sampledFlag : 0)
  return `00-${traceId}-${spanId}-${flags.toString(16).padStart(2, "0")}`
}
