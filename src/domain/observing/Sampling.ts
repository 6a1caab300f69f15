/** Which traces are recorded. `always_on` and `always_off` are the ratios 1 and 0. */
export interface Sampler {
  /** A caller's own decision, where it made one, is followed. */
  readonly parentBased: boolean
  /** In [0, 1], of the traces that begin here. */
  readonly ratio: number
}

/** As many values a trace id's last digits can have. */
const steps = 2 ** 48

/**
 * Whether a trace is recorded: a function of its id, so that all who sample it by one ratio agree.
 *
 * The threshold on the last 56 bits is OpenTelemetry's (specification, Probability Sampling). Only the upper 48 of them are
 * compared: a number holds these exactly.
 */
export const isSampled = (
  { parentBased, ratio }: Sampler,
  traceId: string,
  parent: { readonly sampled: boolean } | null
): boolean => {
  if (parentBased && parent !== null) return parent.sampled
  if (ratio >= 1) return true
  return Number.parseInt(traceId.slice(-14, -2), 16) >= (1 - ratio) * steps
}
