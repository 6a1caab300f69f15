import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { serveApi } from "../../support/httpApi.ts"
import { recordingRouter } from "../../support/recordingRouter.ts"
import { unnamed } from "../../support/apiKeys.ts"

const chat = { model: "auto", messages: [{ role: "user", content: "hi" }] }
const ours = "https://app.example.com"
const preflight = {
  origin: ours,
  "access-control-request-method": "POST",
  "access-control-request-headers": "authorization,content-type,x-conduit-task"
}

describe("browsers", () => {
  it.live("may read nothing from elsewhere unless an origin is allowed", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(recordingRouter())
      const asked = yield* api.ask("OPTIONS", "/v1/chat/completions", { headers: preflight })
      const answered = yield* api.post("/v1/chat/completions", chat, { origin: ours })
      assert.deepStrictEqual([asked.status, answered.status], [204, 200])
      for (const { headers } of [asked, answered]) {
        assert.lengthOf(
          Object.keys(headers).filter((name) => name.startsWith("access-control-") || name === "vary"),
          0
        )
      }
    }).pipe(Effect.scoped)
  )

  it.live("get the answer of a preflight without a key, and may read answers, errors and streams", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(recordingRouter(), { corsOrigins: [ours], apiKeys: unnamed("00".repeat(32)) })
      const asked = yield* api.ask("OPTIONS", "/v1/chat/completions", { headers: preflight })
      assert.strictEqual(asked.status, 204)
      assert.strictEqual(asked.headers["access-control-allow-origin"], ours)
      assert.include(asked.headers["access-control-allow-methods"], "POST")
      assert.strictEqual(asked.headers["access-control-allow-headers"], "authorization,content-type,x-conduit-task")
      assert.strictEqual(asked.headers["vary"], "Origin")
      const refused = yield* api.post("/v1/chat/completions", chat, { origin: ours })
      const lost = yield* api.ask("GET", "/nope", { headers: { origin: ours } })
      const probed = yield* api.ask("GET", "/health/live", { headers: { origin: ours } })
      assert.deepStrictEqual([refused.status, lost.status, probed.status], [401, 404, 200])
      for (const { headers } of [refused, lost, probed]) {
        assert.strictEqual(headers["access-control-allow-origin"], ours)
      }
      const open = yield* serveApi(recordingRouter(), { corsOrigins: ["*"] })
      for (const stream of [false, true]) {
        const { headers, status } = yield* open.post("/v1/chat/completions", { ...chat, stream }, { origin: ours })
        assert.deepStrictEqual([status, headers["access-control-allow-origin"]], [200, ours])
        for (const name of ["x-request-id", "retry-after", "x-conduit-model", "x-conduit-decision-id"]) {
          assert.include(headers["access-control-expose-headers"], name)
        }
      }
    }).pipe(Effect.scoped)
  )

  it.live("of another origin may read nothing", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(recordingRouter(), { corsOrigins: [ours] })
      for (const origin of ["https://evil.example.com", "http://app.example.com", "null"]) {
        const asked = yield* api.ask("OPTIONS", "/v1/chat/completions", { headers: { ...preflight, origin } })
        const answered = yield* api.post("/v1/chat/completions", chat, { origin })
        for (const { headers } of [asked, answered]) {
          assert.isUndefined(headers["access-control-allow-origin"])
          assert.isUndefined(headers["access-control-allow-methods"])
          assert.strictEqual(headers["vary"], "Origin")
        }
      }
    }).pipe(Effect.scoped)
  )
})
