const maxChars = 500

// oxlint-disable-next-line no-control-regex -- control characters are what it removes
const controls = /[\u0000-\u001f\u007f]+/g

/** A transport error in words: its code says more than its message, and neither contains the request. */
export const transportDetail = (error: unknown): string => {
  if (!(error instanceof Error)) return "the connection failed"
  const code = "code" in error && typeof error.code === "string" ? `${error.code}: ` : ""
  return `${code}${error.message}`.replace(controls, " ").slice(0, maxChars)
}
