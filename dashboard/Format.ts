// Numbers as people read them, with their units. A dash is what nobody knows.

const none = "–"

/** A share in [0, 1]. */
export const percent = (share: number | null | undefined, digits = 0): string =>
  share === null || share === undefined || !Number.isFinite(share) ? none : `${(100 * share).toFixed(digits)} %`

/** Dollars: as many digits as tell two requests apart. */
export const usd = (value: number | null | undefined): string => {
  if (value === null || value === undefined || !Number.isFinite(value)) return none
  const size = Math.abs(value)
  const digits = size === 0 || size >= 1 ? 2 : size >= 0.01 ? 3 : Math.min(8, 2 - Math.floor(Math.log10(size)))
  const sign = value < 0 ? "−" : ""
  return `${sign}$${size.toLocaleString("en-US", { minimumFractionDigits: Math.min(2, digits), maximumFractionDigits: digits })}`
}

export const count = (value: number): string =>
  value < 10_000
    ? Math.round(value).toLocaleString("en-US")
    : value < 1_000_000
      ? `${(value / 1_000).toFixed(1)}k`
      : `${(value / 1_000_000).toFixed(2)}M`

export const milliseconds = (value: number | null | undefined): string => {
  if (value === null || value === undefined || !Number.isFinite(value)) return none
  if (value < 1_000) return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`
  return `${(value / 1_000).toFixed(value < 10_000 ? 2 : 1)} s`
}

/** A quality in [0, 1]. */
export const quality = (value: number | null | undefined): string =>
  value === null || value === undefined || !Number.isFinite(value) ? none : value.toFixed(2)

export const range = (low: number | null, high: number | null): string =>
  low === null || high === null ? "too few for an interval" : `${low.toFixed(2)} to ${high.toFixed(2)}`

export const plural = (number: number, one: string, many = `${one}s`): string =>
  `${count(number)} ${number === 1 ? one : many}`

export const moment = (iso: string): string =>
  new Date(iso).toLocaleString([], { hour12: false, dateStyle: "medium", timeStyle: "medium" })

export const ago = (iso: string, nowMillis: number): string => {
  const seconds = Math.max(0, (nowMillis - Date.parse(iso)) / 1_000)
  if (seconds < 2) return "now"
  if (seconds < 60) return `${Math.floor(seconds)} s ago`
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ago`
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h ago`
  return `${Math.floor(seconds / 86_400)} d ago`
}
