import * as HttpApiSwagger from "@effect/platform/HttpApiSwagger"
import type * as HttpApi from "@effect/platform/HttpApi"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Effect from "effect/Effect"

/** Swagger UI with the contract in it, complete in itself: scripts and styles are part of the page. */
export const render = (api: HttpApi.HttpApi.Any): Effect.Effect<string> =>
  Effect.gen(function* () {
    const page = yield* HttpLayerRouter.toHttpEffect(HttpApiSwagger.layerHttpLayerRouter({ api, path: "/docs" }))
    const request = HttpServerRequest.fromWeb(new Request("http://localhost/docs"))
    const { body } = yield* Effect.provideService(page, HttpServerRequest.HttpServerRequest, request)
    if (body._tag !== "Uint8Array") return yield* Effect.dieMessage(`the page came as ${body._tag}`)
    return new TextDecoder().decode(body.body)
  }).pipe(Effect.scoped, Effect.orDie)
