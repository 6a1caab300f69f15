import { afterAll, assert, beforeEach, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { chat, type ConduitProcess, request, startConduit } from "../support/conduit.ts"
import { serviceFixture } from "../support/serviceFixture.ts"
import { eventually } from "../support/traffic.ts"

const fixture = serviceFixture()
const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-aliases-"))
let conduit: ConduitProcess

beforeEach(async () => {
  const config = Path.join(folder, "conduit.yaml")
  Fs.writeFileSync(
    config,
    JSON.stringify({
      providers: { local: { kind: "openai-compatible", baseUrl: fixture.mock.url } },
      models: ["small", "large", "huge"].map((id) => ({ id, provider: "local", contextWindow: 1_000 * id.length })),
      aliases: {
        "gpt-4o-mini": "auto",
        "gpt-4o": "large",
        "claude-*": { models: ["small", "large"], preference: "cost" }
      }
    })
  )
  conduit = await startConduit({
    databaseUrl: fixture.database.url,
    env: { CONDUIT_CONFIG: config, CONDUIT_SIMULATE: "false" }
  })
})
afterAll(() => Fs.rmSync(folder, { recursive: true, force: true }))

/** Asks by a name; who answered, and the decision as it is stored. */
const ask = async (model: string, over: Record<string, unknown> = {}) => {
  const answer = await request(`${conduit.url}/v1/chat/completions`, { body: { ...chat("hello", over), model } })
  assert.strictEqual(answer.status, 200, answer.text)
  const decision = await eventually("the decision is stored", 20_000, async () => {
    const found = await request(`${conduit.url}/v1/decisions/${answer.headers["x-conduit-decision-id"]}`)
    return found.status === 200 ? found.json : undefined
  })
  return { by: answer.headers["x-conduit-model"], decision }
}

describe("names that clients ask for and conduit.yaml knows as aliases", () => {
  it("are answered by what they stand for, and stay in the decision", async () => {
    const pinned = await ask("openai/gpt-4o")
    assert.strictEqual(pinned.by, "large")
    assert.strictEqual(pinned.decision.reason, "pinned")
    assert.strictEqual(pinned.decision.request.asked_model, "openai/gpt-4o")

    const chosen = await ask("gpt-4o-mini")
    assert.notStrictEqual(chosen.decision.reason, "pinned")
    assert.strictEqual(chosen.decision.request.asked_model, "gpt-4o-mini")
    assert.deepStrictEqual(chosen.decision.request.constraints, {})

    const among = await ask("claude-sonnet-4-5")
    assert.include(["small", "large"], among.by)
    const { asked_model, constraints, preference } = among.decision.request
    assert.deepStrictEqual(
      [asked_model, preference, constraints],
      ["claude-sonnet-4-5", "cost", { allowed_models: ["small", "large"] }]
    )
    const stated = await ask("claude-sonnet-4-5", { conduit: { preference: "quality" } })
    assert.strictEqual(stated.decision.request.preference, "quality")

    const own = await ask("large")
    assert.isNull(own.decision.request.asked_model)
  })

  it("are listed with the models, and found by any name that begins so", async () => {
    const { json } = await request(`${conduit.url}/v1/models`)
    const shown = json.data.map(
      ({ conduit: { alias_for }, context_length, id }: { id: string; context_length: number; conduit: never }) => [
        id,
        alias_for,
        context_length
      ]
    )
    assert.deepStrictEqual(shown, [
      ["auto", null, 5_000],
      ["small", null, 5_000],
      ["large", null, 5_000],
      ["huge", null, 4_000],
      ["gpt-4o-mini", ["auto"], 5_000],
      ["gpt-4o", ["large"], 5_000]
    ])
    const begun = await request(`${conduit.url}/v1/models/claude-opus-4`)
    assert.deepStrictEqual([begun.json.id, begun.json.conduit.alias_for], ["claude-opus-4", ["small", "large"]])
    const unknown = await request(`${conduit.url}/v1/chat/completions`, { body: { ...chat("x"), model: "gpt-5" } })
    assert.strictEqual(unknown.status, 404)
  })
})
