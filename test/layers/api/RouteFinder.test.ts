import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { serveApi } from "../../support/httpApi.ts"
import { recordingRouter } from "../../support/recordingRouter.ts"

const chat = { model: "auto", messages: [{ role: "user", content: "hi" }] }
const errorOf = (body: string) => JSON.parse(body).error

describe("paths", () => {
  it.live("are the same under their aliases, with slashes doubled or at the end, and in a whole URL", () =>
    Effect.gen(function* () {
      const router = recordingRouter()
      const api = yield* serveApi(router)
      const paths = [
        "/v1/chat/completions",
        "/v1/chat/completions/",
        "//v1//chat/completions",
        "/chat/completions",
        "/openai/v1/chat/completions",
        "/api/v1/chat/completions",
        "/api/v1/chat/completions/?api-version=2024-10-21",
        "http://gateway.example/v1/chat/completions",
        "https://gateway.example:8443/openai/v1/chat/completions"
      ]
      for (const path of paths) assert.strictEqual((yield* api.post(path, chat)).status, 200, path)
      assert.lengthOf(router.asked, paths.length)
      assert.deepStrictEqual(new Set(api.ended.map(({ route }) => route)), new Set(["/v1/chat/completions"]))
      for (const path of ["/models", "/v1/models/", "/openai/v1/models", "http://gateway.example/v1/models"]) {
        assert.strictEqual(JSON.parse((yield* api.ask("GET", path)).body).object, "list", path)
      }
      for (const path of ["/v1/models/small", "/api/v1/models/small", "/v1//models/small/"]) {
        assert.strictEqual(JSON.parse((yield* api.ask("GET", path)).body).id, "small", path)
      }
      for (const path of ["http://gateway.example/health/ready", "/health/ready/", "http://gateway.example/health"]) {
        assert.strictEqual((yield* api.ask("GET", path)).status, 503, path)
      }
      assert.strictEqual((yield* api.ask("GET", "http://gateway.example")).status, 200)
    }).pipe(Effect.scoped)
  )

  it.live("take the model from Azure's path", () =>
    Effect.gen(function* () {
      const router = recordingRouter()
      const api = yield* serveApi(router)
      const path = "/openai/deployments/vendor%2Fsmall/chat/completions?api-version=2024-10-21"
      assert.strictEqual((yield* api.post(path, { messages: chat.messages })).status, 200)
      yield* api.post("/openai/deployments/auto/chat/completions", chat)
      assert.deepStrictEqual(
        router.asked.map(({ request }) => request.pinned as string | null),
        ["vendor/small", null]
      )
    }).pipe(Effect.scoped)
  )

  it.live("that are nothing's say what is meant", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(recordingRouter())
      const wrong: ReadonlyArray<readonly [method: string, path: string, hint: RegExp]> = [
        ["POST", "/v1/models/gemini-pro:embedContent", /of Gemini's API there are/],
        ["POST", "/v1beta/cachedContents", /of Gemini's API/],
        ["POST", "/api/chat", /Ollama's API is not served here/],
        ["POST", "/v1/api/chat", /Ollama's API/],
        ["GET", "/api/tags", /Ollama's API/],
        ["POST", "/v1/messages/batches", /POST \/v1\/messages, /],
        ["POST", "/v1/responses/resp_1", /not stored here/],
        ["POST", "/v1/engines/davinci/completions", /\/v1\/completions with/],
        ["POST", "/v1/moderations", /only chats and embeddings/],
        ["POST", "/v1/chat/completion", /did you mean \/v1\/chat\/completions\?/],
        ["GET", "/v1/model", /did you mean \/v1\/models\?/],
        ["GET", `/${"x".repeat(5000)}`, /nothing at this path: GET/]
      ]
      for (const [method, path, hint] of wrong) {
        const { body, status } = method === "GET" ? yield* api.ask(method, path) : yield* api.post(path, chat)
        assert.deepStrictEqual([status, errorOf(body).code], [404, "not_found"], path)
        assert.match(errorOf(body).message, hint)
        assert.include(errorOf(body).message, "/openapi.json")
      }
    }).pipe(Effect.scoped)
  )
})
