import * as Effect from "effect/Effect"
import { DecisionsQuery } from "../../services/api/DecisionsQuery.ts"
import type { DecisionEntry, DecisionList, ModelEntry, ModelList } from "../../services/api/Responses.ts"
import { type Caller, type RouterShape, UnknownModel } from "../../services/routing/Router.ts"
import { type Alias, aliasOf } from "../../domain/routing/Alias.ts"
import { readerOf } from "../../domain/basics/Owner.ts"
import { decoder } from "./Body.ts"
import type { AnyError } from "./ErrorTable.ts"
import type { Handler } from "./Handler.ts"
import { speaksAnthropic, speaksGoogle } from "./Door.ts"
import {
  aliasEntry,
  anthropicModel,
  anthropicModels,
  autoEntry,
  decisionEntry,
  decisionIdOf,
  googleModel,
  googleModels,
  modelEntry,
  type ShownWith
} from "./Present.ts"
import { query } from "./Query.ts"
import { json } from "./Reply.ts"

export interface LookupDependencies {
  readonly router: Pick<RouterShape, "decisions" | "decision" | "models">
  readonly reference: () => ShownWith
  readonly aliases: () => ReadonlyArray<Alias>
  /** Unix time, seconds. */
  readonly startedAtSeconds: number
}

interface Shown<Asked extends keyof RouterShape> {
  readonly router: Pick<RouterShape, Asked>
  readonly reference: () => ShownWith
}

const decodeDecisionsQuery = decoder(DecisionsQuery)
const defaultDecisions = 50

export const decisions =
  (dependencies: LookupDependencies): Handler =>
  ({ caller, request: { url = "" } }) =>
    Effect.map(decisionList(dependencies, { caller, url }), (found) => json(found))

/** A page of decisions, newest first, to who asks for that address. */
export const decisionList = (
  { reference, router }: Shown<"decisions">,
  { caller, url }: { readonly caller: Caller; readonly url: string }
): Effect.Effect<DecisionList, AnyError> =>
  Effect.gen(function* () {
    const asked = yield* decodeDecisionsQuery(yield* query({ url }))
    const limit = asked.limit ?? defaultDecisions
    // One more than is shown tells whether there is a next page.
    const found = yield* router.decisions({
      ...readerOf(caller),
      model: asked.model ?? null,
      fromMillis: asked.from ?? null,
      untilMillis: asked.until ?? null,
      userId: asked.user_id ?? null,
      task: asked.task ?? null,
      algorithm: asked.algorithm ?? null,
      reason: asked.reason ?? null,
      outcome: asked.outcome ?? null,
      before: asked.cursor ?? null,
      limit: limit + 1
    })
    const page = found.slice(0, limit)
    return {
      object: "list",
      data: page.map((stored) => decisionEntry(stored.record, stored.feedback, reference())),
      next_cursor: found.length > limit ? (page.at(-1)?.record.decision.id ?? null) : null
    }
  })

export const decision =
  (dependencies: LookupDependencies): Handler =>
  ({ caller, target }) =>
    Effect.map(decisionEntryOf(dependencies, caller, target?.id ?? ""), (found) => json(found))

/** The decision of that id, or of the answer of that id. */
export const decisionEntryOf = (
  { reference, router }: Shown<"decision">,
  caller: Caller,
  id: string
): Effect.Effect<DecisionEntry, AnyError> =>
  Effect.gen(function* () {
    const stored = yield* router.decision(yield* decisionIdOf(id), caller)
    return decisionEntry(stored.record, stored.feedback, reference())
  })

/** The models that the caller's key may use, and the names that stand for one of them. */
const usableBy = ({ aliases, router }: LookupDependencies, { allowedModels }: Caller) => {
  const all = router.models()
  if (allowedModels === undefined) return { models: all, aliases: aliases() }
  const isAllowed = (id: string) => allowedModels.includes(id)
  return {
    models: all.filter(({ model }) => isAllowed(model.id)),
    aliases: aliases().filter(({ model, models }) =>
      model === null ? models === null || models.some(isAllowed) : isAllowed(model)
    )
  }
}

export const modelList = (dependencies: LookupDependencies, caller: Caller): ModelList => {
  const { startedAtSeconds } = dependencies
  const { aliases, models: all } = usableBy(dependencies, caller)
  return {
    object: "list",
    data: [
      autoEntry(all, startedAtSeconds),
      ...all.map((one) => modelEntry(one, startedAtSeconds)),
      // Who stands for any name that begins so has no name to be listed by.
      ...aliases
        .filter(({ name }) => !name.endsWith("*"))
        .map((alias) => aliasEntry(alias, alias.name, all, startedAtSeconds))
    ]
  }
}

export const models =
  (dependencies: LookupDependencies): Handler =>
  ({ caller, door }) =>
    Effect.sync(() => {
      const list = modelList(dependencies, caller)
      if (speaksGoogle(door)) return json(googleModels(list))
      return json(speaksAnthropic(door) ? anthropicModels(list) : list)
    })

export const model =
  (dependencies: LookupDependencies): Handler =>
  ({ caller, door, target }) =>
    Effect.suspend(() => {
      const { startedAtSeconds } = dependencies
      const { aliases, models: all } = usableBy(dependencies, caller)
      const shown = (entry: ModelEntry) => {
        if (speaksGoogle(door)) return json(googleModel(entry))
        return json(speaksAnthropic(door) ? anthropicModel(entry) : entry)
      }
      const id = target?.id ?? ""
      if (id === "auto") return Effect.succeed(shown(autoEntry(all, startedAtSeconds)))
      const found = all.find((one) => one.model.id === id)
      if (found !== undefined) return Effect.succeed(shown(modelEntry(found, startedAtSeconds)))
      const alias = aliasOf(aliases, id)
      return alias === null
        ? Effect.fail(new UnknownModel({ model: id.slice(0, 128) }))
        : Effect.succeed(shown(aliasEntry(alias, id, all, startedAtSeconds)))
    })
