/** What a request can need of a model beyond text in and text out. */
export const capabilities = ["vision", "audio", "files", "tools", "json_schema", "reasoning", "logprobs"] as const
export type Capability = (typeof capabilities)[number]

/** Whether a model can, and who says so; what nobody says excludes nothing. */
export interface Ability {
  readonly can: boolean
  /** `upstream` is the list of its provider. */
  readonly source: "configuration" | "upstream" | "families" | "refusal"
}
export type Abilities = { readonly [C in Capability]?: Ability }

/**
 * The first capability that the request needs and the model lacks; null if there is none. Who names a model insists on it:
 * then only the configuration counts.
 */
export const lacking = (needs: ReadonlyArray<Capability>, abilities: Abilities, isPinned: boolean): Capability | null =>
  needs.find((need) => {
    const ability = abilities[need]
    return ability !== undefined && !ability.can && (!isPinned || ability.source === "configuration")
  }) ?? null
