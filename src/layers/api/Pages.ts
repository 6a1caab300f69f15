import * as Effect from "effect/Effect"
import type { TelemetryShape } from "../../services/observing/Telemetry.ts"
import type { Handler } from "./Handler.ts"
import * as DashboardPage from "./DashboardPage.ts"
import { inCoding, json, page, type Reply, text } from "./Reply.ts"

export const metrics =
  (telemetry: Pick<TelemetryShape, "renderAll">): Handler =>
  () =>
    Effect.map(telemetry.renderAll, (exposition) => text("text/plain; version=0.0.4; charset=utf-8", exposition))

/** Pages that most processes never serve: what they need is loaded at the first request, then kept. */
export const make: Effect.Effect<{ readonly openapi: Handler; readonly docs: Handler; readonly index: Handler }> =
  Effect.gen(function* () {
    const contract = Effect.promise(() => import("../../services/api/OpenApi.ts"))
    // What is kept must not be the interruption of the first who asked and left.
    const kept = <A>(made: Effect.Effect<A>) => Effect.cached(Effect.uninterruptible(made))
    const served =
      (reply: Effect.Effect<Reply>): Handler =>
      ({ request }) =>
        Effect.map(reply, (whole) => inCoding(whole, request.headers["accept-encoding"]))
    const openapi = yield* kept(Effect.map(contract, ({ specification }) => json(specification())))
    const docs = yield* kept(
      Effect.gen(function* () {
        const { specification } = yield* contract
        const { render } = yield* Effect.promise(() => import("./DocsPage.ts"))
        return page(yield* render(specification()), "inline")
      })
    )
    const index = yield* kept(Effect.map(DashboardPage.load, (html) => page(html, "hashed")))
    return { openapi: () => openapi, docs: served(docs), index: served(index) }
  })
