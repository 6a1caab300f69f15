import { combine, type FeedbackSubmission } from "./Feedback.ts"

/**
 * Who judged an answer: people, a model that judges (`judge`, `judge:NAME`), or what was only seen (`implicit:SIGNAL`). Each
 * has an offset and a noise of its own; people have none, they are what the others are measured by.
 */
export const human = "human"

/** Of the source that a submission names: whatever is neither a judge nor implicit is people. */
export const feedbackSource = (named: string): string => {
  const source = named.startsWith("session:") ? named.slice("session:".length) : named
  const [kind] = source.split(":", 1)
  return kind === "judge" || kind === "implicit" ? source.slice(0, 64) : human
}

/** What one source says of an answer, as it says it: [0, 1] and [0, 1]. */
export interface SourceVerdict {
  readonly source: string
  readonly quality: number
  readonly weight: number
}

/** How a source is taken: `offset` is subtracted from what it says, its weight is multiplied by `share`, (0, 1]. */
export interface Standing {
  readonly offset: number
  readonly share: number
}

export type Standings = ReadonlyMap<string, Standing>

/** A verdict as it was taken. */
export type TakenVerdict = SourceVerdict & Standing

const asSaid: Standing = { offset: 0, share: 1 }

type Said = Pick<FeedbackSubmission, "kind" | "value" | "confidence" | "source">

/** What each source says, all of its feedback together. */
export const verdictsOf = (feedback: ReadonlyArray<Said>): ReadonlyArray<SourceVerdict> => {
  const bySource = new Map<string, Array<Said>>()
  for (const one of feedback) {
    const source = feedbackSource(one.source)
    bySource.set(source, [...(bySource.get(source) ?? []), one])
  }
  return [...bySource].flatMap(([source, all]) => {
    const judged = combine(all)
    return judged === null ? [] : [{ source, ...judged }]
  })
}

export const taken = (verdicts: ReadonlyArray<SourceVerdict>, standings: Standings): ReadonlyArray<TakenVerdict> =>
  verdicts.map((verdict) => ({
    ...verdict,
    ...(verdict.source === human ? asSaid : (standings.get(verdict.source) ?? asSaid))
  }))

const clampUnit = (value: number): number => Math.min(1, Math.max(0, value))

/**
 * The verdicts of all sources as one: the mean by their weights, with the largest of these, so that an answer that a judge saw
 * too is still one answer. Null for none.
 */
export const joined = (
  verdicts: ReadonlyArray<TakenVerdict>
): { readonly quality: number; readonly weight: number } | null => {
  const [only] = verdicts
  if (only === undefined) return null
  if (verdicts.length === 1) return { quality: clampUnit(only.quality - only.offset), weight: only.weight * only.share }
  let sum = 0
  let total = 0
  let most = 0
  for (const { offset, quality, share, weight } of verdicts) {
    sum += weight * share * clampUnit(quality - offset)
    total += weight * share
    most = Math.max(most, weight * share)
  }
  return total > 0 ? { quality: clampUnit(sum / total), weight: most } : null
}

/** Only what people say is told apart from nothing. */
export const isOfPeople = (verdicts: ReadonlyArray<SourceVerdict>): boolean =>
  verdicts.every(({ source }) => source === human)
