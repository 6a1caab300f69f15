import { assert, describe, it } from "@effect/vitest"
import { uuidV7From } from "../../src/domain/basics/Ids.ts"
import { chat, request, startConduit } from "../support/conduit.ts"
import { query } from "../support/postgres.ts"
import { serviceFixture } from "../support/serviceFixture.ts"

const fixture = serviceFixture()

const start = (env: Record<string, string> = {}) =>
  startConduit({ databaseUrl: fixture.database.url, upstream: fixture.mock.url, models: [{ id: "small" }], env })

describe("what is stored", () => {
  it("holds prompts only when the settings say so", async () => {
    const ask = async (url: string, text: string) => {
      const answer = await request(`${url}/v1/chat/completions`, { body: chat(text) })
      assert.strictEqual(answer.status, 200)
      const id = String(answer.headers["x-conduit-decision-id"])
      const judged = await request(`${url}/v1/feedback`, { body: { decision_id: id, kind: "score", value: 1 } })
      assert.strictEqual(judged.json.status, "recorded")
      return (await request(`${url}/v1/decisions/${id}`)).json
    }
    const prompts = () => query<{ prompt: string }>(fixture.database.url, "SELECT prompt FROM prompts")

    const silent = await start()
    assert.notProperty(await ask(silent.url, "nobody keeps this"), "prompt")
    assert.deepStrictEqual(await prompts(), [])
    silent.kill("SIGTERM")
    assert.strictEqual((await silent.ended()).code, 0)

    const keeping = await start({ CONDUIT_STORE_PROMPTS: "true" })
    const shown = await ask(keeping.url, "keep this \u0000 please")
    assert.include(shown.prompt, "keep this \uFFFD please")
    assert.deepStrictEqual(await prompts(), [{ prompt: shown.prompt }])
    keeping.kill("SIGTERM")
    const { report } = await keeping.ended()
    assert.strictEqual(report.outcome, "clean")
    for (const line of keeping.lines) assert.notInclude(JSON.stringify(line), "keep this")
  })

  it("refuses feedback that would have to wait for its decision when too much does, and takes the rest", async () => {
    const conduit = await start({ CONDUIT_MAX_PARKED: "1" })
    const park = (n: number) =>
      request(`${conduit.url}/v1/feedback`, {
        body: { decision_id: uuidV7From(Date.now(), Buffer.from(`${n}`.padStart(10, "0"))), kind: "score", value: 1 }
      })
    assert.strictEqual((await park(1)).json.status, "parked")
    const refused = await park(2)
    assert.deepStrictEqual([refused.status, refused.json.error.code], [503, "parking_full"])
    assert.isAtLeast(Number(refused.headers["retry-after"]), 1)
    const answer = await request(`${conduit.url}/v1/chat/completions`, { body: chat("hello") })
    const judged = await request(`${conduit.url}/v1/feedback`, {
      body: { decision_id: answer.headers["x-conduit-decision-id"], kind: "score", value: 1 }
    })
    assert.deepStrictEqual([judged.status, judged.json.status], [200, "recorded"])
    const metrics = await request(`${conduit.url}/metrics`)
    assert.match(metrics.text, /^conduit_learning_lag_commits 0$/m)
    conduit.kill("SIGTERM")
    assert.strictEqual((await conduit.ended()).code, 0)
    const listening = await query(
      fixture.database.url,
      "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"
    )
    assert.isEmpty(listening)
  })
})
