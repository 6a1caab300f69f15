/** W3C Trace Context, https://www.w3.org/TR/trace-context/: which trace a call belongs to, and below which span. */
export interface TraceContext {
  readonly traceId: string
  readonly spanId: string
  readonly sampled: boolean
}

/** Later versions may say more behind a further dash; version ff is none, and the first one ends there. */
const shape = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const nobody = /^0+$/

/** Of a `traceparent` header; null if it is not well-formed, which is as if there were none. */
export const parse = (header: string): TraceContext | null => {
  const [, version, traceId = "", spanId = "", flags = "", more] = shape.exec(header) ?? []
  if (version === undefined || version === "ff" || (version === "00" && more !== undefined)) return null
  if (nobody.test(traceId) || nobody.test(spanId)) return null
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 }
}

export const format = ({ sampled, spanId, traceId }: TraceContext): string =>
  `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`
