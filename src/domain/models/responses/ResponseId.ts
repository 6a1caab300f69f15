// The id of an answer that its upstream keeps: the decision's, and where the answer is, so that whoever names it later is
// taken there, by any replica, and nothing is stored for it.

/** An answer that an upstream keeps. */
interface Kept {
  /** Name of the provider in the configuration. */
  readonly provider: string
  /** By which the provider knows the answer. */
  readonly id: string
}

/** `answerId` is `resp_` and the decision's. */
export const keptId = (answerId: string, { id, provider }: Kept): string =>
  `${answerId}_${Buffer.from(JSON.stringify([provider, id]), "utf8").toString("base64url")}`

/** Null for an id that is not made of these. */
export const keptIn = (id: string): Kept | null => {
  const [, where] = /^resp_[\da-f-]{36}_([\w-]+)$/i.exec(id) ?? []
  if (where === undefined) return null
  try {
    const [provider, inner]: ReadonlyArray<unknown> = JSON.parse(Buffer.from(where, "base64url").toString("utf8"))
    return typeof provider === "string" && typeof inner === "string" ? { provider, id: inner } : null
  } catch {
    return null
  }
}
