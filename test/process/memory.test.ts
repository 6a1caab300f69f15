import { assert, describe, it } from "@effect/vitest"
import { chat, type ConduitProcess, request, startConduit } from "../support/conduit.ts"
import { serviceFixture } from "../support/serviceFixture.ts"

const fixture = serviceFixture()

const models = [{ id: "small" }, { id: "large", inputUsdPerMTok: 5, outputUsdPerMTok: 15 }]

const start = () => startConduit({ databaseUrl: fixture.database.url, upstream: fixture.mock.url, models })

const teach = async (conduit: ConduitProcess, rounds: number) => {
  for (let round = 0; round < rounds; round++) {
    const answer = await request(`${conduit.url}/v1/chat/completions`, {
      body: chat(`question ${round}, please explain`)
    })
    assert.strictEqual(answer.status, 200)
    const feedback = await request(`${conduit.url}/v1/feedback`, {
      body: {
        decision_id: answer.headers["x-conduit-decision-id"],
        kind: "score",
        value: answer.headers["x-conduit-model"] === "large" ? 0.9 : 0.4
      }
    })
    assert.strictEqual(feedback.status, 200)
    assert.strictEqual(feedback.json.status, "recorded")
  }
}

const learned = async (conduit: ConduitProcess) =>
  (await request(`${conduit.url}/v1/models`)).json.data.slice(1).map((model: any) => ({
    id: model.id,
    quality: model.conduit.quality
  }))

/** What the next decision says for the same input and the same draw: a session's draw is keyed by the session. */
const explained = async (conduit: ConduitProcess, session: string) => {
  const { json, status } = await request(`${conduit.url}/v1/route`, {
    body: { prompt: "what is a monad?", conduit: { session_id: session } }
  })
  assert.strictEqual(status, 200)
  const { candidates, chosen, propensity } = json
  return { candidates, chosen, propensity }
}

describe("what was learned", () => {
  it("is the same to the last digit after SIGTERM, and so is the next decision's explanation", async () => {
    const before = await start()
    await teach(before, 25)
    const quality = await learned(before)
    assert.isAbove(
      quality.reduce((sum: number, model: any) => sum + model.quality.observations, 0),
      24
    )
    const explanation = await explained(before, "session-a")
    before.kill("SIGTERM")
    assert.strictEqual((await before.ended()).code, 0)

    const after = await start()
    assert.deepStrictEqual(await learned(after), quality)
    assert.deepStrictEqual(await explained(after, "session-a"), explanation)
  })

  it("is the same after kill -9, for everything acknowledged", async () => {
    const before = await start()
    await teach(before, 10)
    const quality = await learned(before)
    before.child.kill("SIGKILL")
    const after = await start()
    assert.deepStrictEqual(await learned(after), quality)
  })
})
