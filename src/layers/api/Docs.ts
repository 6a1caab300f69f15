import * as Effect from "effect/Effect"
import type { Reply } from "./Reply.ts"
import { json, text } from "./Reply.ts"

/** Pages that most processes never serve: what they need is loaded at the first request, then kept. */
export interface Docs {
  readonly openApi: Effect.Effect<Reply>
  readonly page: Effect.Effect<Reply>
}

export const make: Effect.Effect<Docs> = Effect.gen(function* () {
  const contract = Effect.promise(() => import("../../services/api/Api.ts"))
  // What is kept must not be the interruption of the first who asked and left.
  const kept = (page: Effect.Effect<Reply>) => Effect.cached(Effect.uninterruptible(page))
  const openApi = yield* kept(Effect.map(contract, ({ specification }) => json(specification())))
  const page = yield* kept(
    Effect.gen(function* () {
      const { Api } = yield* contract
      const { render } = yield* Effect.promise(() => import("./DocsPage.ts"))
      return text("text/html; charset=utf-8", yield* render(Api))
    })
  )
  return { openApi, page }
})
