/** What a request can need of a model beyond text in and text out. */
export const capabilities = [
  "vision",
  "audio",
  "files",
  "tools",
  "json_schema",
  "reasoning",
  "logprobs",
  /** More than one answer to one request. */
  "choices",
  /** Tools that the upstream runs itself, and parts that only its protocol has. */
  "native_tools"
] as const
export type Capability = (typeof capabilities)[number]

/** Whether a model can, and who says so; what nobody says excludes nothing. */
export interface Ability {
  readonly can: boolean
  /** `upstream` is the list of its provider; `protocol` says that there are no words for it where it is called. */
  readonly source: "configuration" | "upstream" | "families" | "refusal" | "protocol"
}
export type Abilities = { readonly [C in Capability]?: Ability }

/**
 * The first capability that the request needs and the model lacks; null if there is none. Who names a model insists on it:
 * then only the configuration counts, and what there are no words for.
 */
export const lacking = (needs: ReadonlyArray<Capability>, abilities: Abilities, isPinned: boolean): Capability | null =>
  needs.find((need) => {
    const ability = abilities[need]
    return (
      ability !== undefined &&
      !ability.can &&
      (!isPinned || ability.source === "configuration" || ability.source === "protocol")
    )
  }) ?? null
