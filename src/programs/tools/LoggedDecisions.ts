import * as Effect from "effect/Effect"
import type { DecisionId, Position } from "../../domain/basics/Ids.ts"
import type { DatabaseError } from "../../services/storage/Database.ts"
import type { DatabaseToolsShape } from "../../services/storage/DatabaseTools.ts"
import type { OpenRouter } from "./OpenRouter.ts"
import { progressOf } from "./Progress.ts"

const perPage = 500

export type StoredDecision = Effect.Effect.Success<ReturnType<DatabaseToolsShape["decisionsAfter"]>>[number]

/** Takes the router's decisions up to that position, oldest first and a page at a time, until `take` returns false. */
export const eachDecision = (
  { router, tools }: Pick<OpenRouter, "router" | "tools">,
  until: Position,
  doing: string,
  take: (decision: StoredDecision) => boolean
): Effect.Effect<void, DatabaseError> =>
  Effect.gen(function* () {
    const progress = progressOf(doing, "positions", until)
    let after: DecisionId | null = null
    while (true) {
      const page: ReadonlyArray<StoredDecision> = yield* tools.decisionsAfter(router.id, after, until, perPage)
      const goesOn = page.every(take)
      const last = page.at(-1)
      if (last === undefined) break
      after = last.decision.id
      progress.at(last.decision.policy.position)
      if (!goesOn || page.length < perPage) break
    }
    progress.end()
  })
