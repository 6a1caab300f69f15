/** Fields of a chat request that models spell differently: its name there, or null where the model does not take it. */
export const dialectFields = ["max_tokens", "max_completion_tokens", "temperature", "parallel_tool_calls"] as const
export type DialectField = (typeof dialectFields)[number]
export type Dialect = { readonly [F in DialectField]?: string | null }

/** One change to a request on its way to a model: renamed, or left out (`to` is null). */
export interface Adjustment {
  readonly field: DialectField
  readonly to: string | null
}

type Body = Readonly<Record<string, unknown>>

const none: ReadonlyArray<Adjustment> = []
const noChanges: ReadonlyMap<string, string | null> = new Map()

const isDialectField = (field: string): field is DialectField => dialectFields.some((known) => known === field)

/** A limit of -1 is how some clients say that there is none. */
const isNoLimit = (field: DialectField, value: unknown) =>
  (field === "max_tokens" || field === "max_completion_tokens") && typeof value === "number" && value < 0

/** What has to change in the body for a model that speaks so. */
export const adjustmentsOf = (body: Body, dialect: Dialect): ReadonlyArray<Adjustment> => {
  let adjustments: Array<Adjustment> | null = null
  for (const field of dialectFields) {
    const value = body[field]
    if (value === undefined || value === null) continue
    const to = isNoLimit(field, value) ? null : dialect[field]
    if (to !== undefined && to !== field) (adjustments ??= []).push({ field, to })
  }
  return adjustments ?? none
}

/**
 * Members at the top that change, in JSON, null for one that is left out. A name that is there already keeps its value;
 * without `streamUsage` the options of streams are left out too.
 */
export const changesOf = (
  body: Body,
  adjustments: ReadonlyArray<Adjustment>,
  streamUsage: boolean
): ReadonlyMap<string, string | null> => {
  const withoutOptions = !streamUsage && body["stream_options"] !== undefined
  if (adjustments.length === 0 && !withoutOptions) return noChanges
  const changes = new Map<string, string | null>()
  if (withoutOptions) changes.set("stream_options", null)
  for (const { field, to } of adjustments) {
    changes.set(field, null)
    if (to !== null && body[to] === undefined) changes.set(to, JSON.stringify(body[field]))
  }
  return changes
}

/** As `x-conduit-adjusted` says it; a limit that is none is no change. */
export const adjustedText = (body: Body, adjustments: ReadonlyArray<Adjustment>): string | null =>
  adjustments.length === 0
    ? null
    : adjustments
        .filter(({ field }) => !isNoLimit(field, body[field]))
        .map(({ field, to }) => `${field}->${to ?? "none"}`)
        .join(", ") || null

const otherName: Dialect = { max_tokens: "max_completion_tokens", max_completion_tokens: "max_tokens" }

/** How the field has to be spelt for a model that refused it; null if that is not known, or nothing of this kind. */
export const dialectAfter = (body: Body, refused: string | null): Dialect | null => {
  if (refused === null || !isDialectField(refused) || body[refused] === undefined) return null
  return { [refused]: otherName[refused] ?? null }
}
