/** Seconds of a Retry-After header, a number or an HTTP date (RFC 9110 10.2.3); null if it is neither. */
export const retryAfterSeconds = (header: string | null, nowMillis: number): number | null => {
  if (header === null) return null
  if (/^\s*\d{1,9}(\.\d+)?\s*$/.test(header)) return Number(header)
  const at = Date.parse(header)
  return Number.isNaN(at) ? null : Math.max(0, Math.ceil((at - nowMillis) / 1000))
}
