import * as Effect from "effect/Effect"
import type { TelemetryShape } from "../../services/observing/Telemetry.ts"
import type { Handler } from "./Handler.ts"
import { indexPage } from "./IndexPage.ts"
import { json, page, type Reply, text } from "./Reply.ts"

const frontPage = page(indexPage)

export const index: Handler = () => Effect.succeed(frontPage)

export const metrics =
  (telemetry: Pick<TelemetryShape, "render">): Handler =>
  () =>
    Effect.sync(() => text("text/plain; version=0.0.4; charset=utf-8", telemetry.render()))

/** Pages that most processes never serve: what they need is loaded at the first request, then kept. */
export const documentation: Effect.Effect<{ readonly openapi: Handler; readonly docs: Handler }> = Effect.gen(
  function* () {
    const contract = Effect.promise(() => import("../../services/api/OpenApi.ts"))
    // What is kept must not be the interruption of the first who asked and left.
    const kept = (reply: Effect.Effect<Reply>) => Effect.cached(Effect.uninterruptible(reply))
    const openapi = yield* kept(Effect.map(contract, ({ specification }) => json(specification())))
    const docs = yield* kept(
      Effect.gen(function* () {
        const { specification } = yield* contract
        const { render } = yield* Effect.promise(() => import("./DocsPage.ts"))
        return page(yield* render(specification()))
      })
    )
    return { openapi: () => openapi, docs: () => docs }
  }
)
