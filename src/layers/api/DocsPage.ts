import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiSwagger from "@effect/platform/HttpApiSwagger"
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Effect from "effect/Effect"
import { routes } from "../../services/api/Routes.ts"

/** Swagger UI with the document in it, complete in itself: scripts and styles are part of the page. */
export const render = (document: Readonly<Record<string, unknown>>): Effect.Effect<string> =>
  Effect.gen(function* () {
    // The library takes its own description of an API only; what it makes of it is replaced by the document.
    const api = HttpApi.make("conduit").annotate(OpenApi.Transform, () => ({ ...document }))
    const page = yield* HttpLayerRouter.toHttpEffect(
      HttpApiSwagger.layerHttpLayerRouter({ api, path: routes.docs.path })
    )
    const request = HttpServerRequest.fromWeb(new Request(`http://localhost${routes.docs.path}`))
    const { body } = yield* Effect.provideService(page, HttpServerRequest.HttpServerRequest, request)
    if (body._tag !== "Uint8Array") return yield* Effect.dieMessage(`the page came as ${body._tag}`)
    return new TextDecoder().decode(body.body)
  }).pipe(Effect.scoped, Effect.orDie)
