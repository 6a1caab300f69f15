import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import type { DecisionId } from "../../../src/domain/basics/Ids.ts"
import type { StoredDecision } from "../../../src/services/storage/Database.ts"
import { request } from "../../support/banditParts.ts"
import { serveApi } from "../../support/httpApi.ts"
import { decisionOf, freshDecisionId, recordingRouter } from "../../support/recordingRouter.ts"
import { unnamed } from "../../support/apiKeys.ts"

const errorOf = (body: string) => JSON.parse(body).error

const stored = (id: DecisionId, prompt: string | null = null): StoredDecision => ({
  record: { decision: { ...decisionOf(request()), id }, attempts: [], outcome: null, prompt },
  feedback: []
})

const anything = {
  owner: null,
  model: null,
  fromMillis: null,
  untilMillis: null,
  userId: null,
  task: null,
  algorithm: null,
  reason: null,
  outcome: null,
  before: null
}

describe("GET /v1/decisions", () => {
  it.live("asks for the newest fifty and one more, of the asking key alone", () =>
    Effect.gen(function* () {
      const hash = createHash("sha256").update("sk-right").digest("hex")
      const router = recordingRouter()
      const api = yield* serveApi(router, { apiKeys: unnamed(hash) })
      const answered = yield* api.ask("GET", "/v1/decisions", { headers: { "x-api-key": "sk-right" } })
      assert.deepStrictEqual(JSON.parse(answered.body), { object: "list", data: [], next_cursor: null })
      assert.deepStrictEqual(router.listed, [{ ...anything, owner: hash.slice(0, 16), limit: 51 }])
    }).pipe(Effect.scoped)
  )

  it.live("passes every filter on, times as instants", () =>
    Effect.gen(function* () {
      const router = recordingRouter()
      const api = yield* serveApi(router)
      const cursor = freshDecisionId()
      const query = new URLSearchParams({
        model: "vendor/large:1",
        from: "2026-01-01T00:00:00Z",
        until: "2026-01-01t02:00:00.5+01:00",
        user_id: "ü & co",
        task: "code",
        algorithm: "thompson",
        reason: "fallback",
        outcome: "pending",
        limit: "200",
        cursor
      })
      const answered = yield* api.ask("GET", `/v1/decisions?${query}`)
      assert.strictEqual(answered.status, 200, answered.body)
      assert.deepStrictEqual(router.listed, [
        {
          owner: null,
          model: "vendor/large:1",
          fromMillis: 1_767_225_600_000,
          untilMillis: 1_767_229_200_500,
          userId: "ü & co",
          task: "code",
          algorithm: "thompson",
          reason: "fallback",
          outcome: "pending",
          before: cursor,
          limit: 201
        }
      ])
    }).pipe(Effect.scoped)
  )

  it.live("shows each decision as GET /v1/decisions/{id} does, and a cursor where there are more", () =>
    Effect.gen(function* () {
      const found = [0, 1, 2].map((age) => stored(freshDecisionId(60_000 * age), age === 1 ? "why?" : null))
      const api = yield* serveApi(
        recordingRouter({
          decisions: ({ limit }) => Effect.succeed(found.slice(0, limit)),
          decision: (id) => Effect.succeed(found.find(({ record }) => record.decision.id === id) ?? stored(id))
        })
      )
      const list = JSON.parse((yield* api.ask("GET", "/v1/decisions?limit=2")).body)
      const ids = found.map(({ record }) => record.decision.id)
      assert.deepStrictEqual(
        list.data.map(({ id }: { id: string }) => id),
        ids.slice(0, 2)
      )
      assert.strictEqual(list.next_cursor, ids[1])
      for (const shown of list.data) {
        assert.deepStrictEqual(JSON.parse((yield* api.ask("GET", `/v1/decisions/${shown.id}`)).body), shown)
      }
      assert.notProperty(list.data[0], "prompt")
      assert.strictEqual(list.data[1].prompt, "why?")
      const whole = JSON.parse((yield* api.ask("GET", "/v1/decisions?limit=3")).body)
      assert.deepStrictEqual([whole.data.length, whole.next_cursor], [3, null])
    }).pipe(Effect.scoped)
  )

  const invalid: ReadonlyArray<readonly [query: string, param: string]> = [
    ["models=small", "models"],
    ["__proto__=1", "__proto__"],
    ["model=", "model"],
    ["model=a&model=b", "model"],
    ["model=%00", "model"],
    [`model=${"x".repeat(129)}`, "model"],
    ["from=yesterday", "from"],
    ["from=2026-01-01", "from"],
    ["from=2026-02-30T00:00:00Z", "from"],
    ["from=2026-01-01T24:00:00Z", "from"],
    ["from=2026-01-01T00:00:00", "from"],
    ["until=2026-01-01T00:00:00+02:00", "until"],
    ["until=1767225600", "until"],
    [`user_id=${"x".repeat(257)}`, "user_id"],
    ["task=", "task"],
    ["algorithm=", "algorithm"],
    ["reason=luck", "reason"],
    ["outcome=good", "outcome"],
    ["limit=0", "limit"],
    ["limit=201", "limit"],
    ["limit=1e1", "limit"],
    ["limit=-1", "limit"],
    ["limit=+5", "limit"],
    ["cursor=1", "cursor"],
    ["cursor=0190F1E0-0000-7000-8000-000000000000", "cursor"]
  ]
  for (const [query, param] of invalid) {
    it.live(`answers 400 naming ${param} to ${query.slice(0, 50)}`, () =>
      Effect.gen(function* () {
        const router = recordingRouter()
        const api = yield* serveApi(router)
        const answered = yield* api.ask("GET", `/v1/decisions?${query}`)
        assert.deepStrictEqual([answered.status, errorOf(answered.body).param], [400, param], answered.body)
        assert.strictEqual(errorOf(answered.body).code, "invalid_request")
        assert.deepStrictEqual(router.listed, [])
      }).pipe(Effect.scoped)
    )
  }

  it.live("takes a time before 1970 for the beginning", () =>
    Effect.gen(function* () {
      const router = recordingRouter()
      const api = yield* serveApi(router)
      yield* api.ask("GET", "/v1/decisions?from=0000-01-01T00:00:00Z")
      assert.strictEqual(router.listed[0]?.fromMillis, 0)
    }).pipe(Effect.scoped)
  )

  it.live("is described with its parameters, their ranges and the shape of its page", () =>
    Effect.gen(function* () {
      const api = yield* serveApi(recordingRouter())
      const document = JSON.parse((yield* api.ask("GET", "/openapi.json")).body)
      const { parameters, responses } = document.paths["/v1/decisions"].get
      const schemas = new Map<string, unknown>(
        parameters.map((one: { name: string; in: string; required: boolean; schema: unknown }) => {
          assert.deepStrictEqual([one.in, one.required], ["query", false])
          return [one.name, one.schema]
        })
      )
      assert.sameMembers(
        [...schemas.keys()],
        ["model", "from", "until", "user_id", "task", "algorithm", "reason", "outcome", "limit", "cursor"]
      )
      assert.deepInclude(schemas.get("limit"), { type: "integer", minimum: 1, maximum: 200, default: 50 })
      assert.deepInclude(schemas.get("from"), { type: "string", format: "date-time" })
      assert.deepInclude(schemas.get("outcome"), { enum: ["ok", "failed", "aborted", "refused", "empty", "pending"] })
      assert.sameMembers(Object.keys(responses), ["200", "400", "401", "403", "405", "431", "500", "503"])
      assert.deepStrictEqual(responses[200].content["application/json"].schema, {
        $ref: "#/components/schemas/DecisionList"
      })
    }).pipe(Effect.scoped)
  )
})
