import type { ModelId } from "../basics/Ids.ts"
import type { RoutingRequest } from "./Decision.ts"
import { bareName } from "./ModelName.ts"
import { normalise, type Preference, preferences } from "./Weights.ts"

/** What a name stands for that clients ask for and no model has. */
export interface Alias {
  /** As it is written: the whole name, or with `*` at its end all names that begin so. */
  readonly name: string
  /** Null for Conduit's choice. */
  readonly model: ModelId | null
  /** Among these; null for all. Never empty. */
  readonly models: ReadonlyArray<ModelId> | null
  /** For requests that state none; null for that of the policy. */
  readonly preference: Preference | null
}

/** The alias of a name: the name itself before a beginning of it, and the longest beginning. */
export const aliasOf = (aliases: ReadonlyArray<Alias>, asked: string): Alias | null => {
  let found: Alias | null = null
  for (const alias of aliases) {
    if (alias.name === asked) return alias
    const isBeginning = alias.name.endsWith("*") && asked.startsWith(alias.name.slice(0, -1))
    if (isBeginning && (found === null || alias.name.length > found.name.length)) found = alias
  }
  return found
}

/** The same for a name as clients write it: with the name of a protocol or a provider before it, or not. */
export const aliasMeantBy = (
  aliases: ReadonlyArray<Alias>,
  asked: string,
  isProvider: (name: string) => boolean
): Alias | null => aliasOf(aliases, asked) ?? aliasOf(aliases, bareName(asked, isProvider))

/** The request that a request by such a name stands for: what it states itself counts before what the alias says. */
export const throughAlias = (request: RoutingRequest, alias: Alias): RoutingRequest => {
  const { constraints, isPreferenceStated, pinned } = request
  const { models, preference } = alias
  const allowed =
    models === null
      ? constraints.allowed_models
      : models.filter((model) => constraints.allowed_models?.includes(model) ?? true)
  return {
    ...request,
    askedModel: pinned,
    pinned: alias.model,
    constraints: allowed === undefined ? constraints : { ...constraints, allowed_models: allowed },
    ...(preference === null || isPreferenceStated ? {} : { preference, weights: normalise(preferences[preference]) })
  }
}
