import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { binary, chat, type ConduitProcess, killAll, request, startConduit } from "../support/conduit.ts"
import { runBeside } from "../support/external.ts"
import { eventually } from "../support/traffic.ts"

describe("the commands that watch a service", () => {
  let conduit: ConduitProcess
  let id = ""

  const command = (...args: ReadonlyArray<string>) =>
    runBeside(process.execPath, [binary, ...args, "--url", conduit.url, "--api-key", "sk-ann"])
  const headers = { authorization: "Bearer sk-ann" }

  beforeAll(async () => {
    conduit = await startConduit({ env: { CONDUIT_API_KEYS: "sk-ann" } })
    const body = chat("What is 17 * 23?", { conduit: { task: "math" } })
    const answer = await request(`${conduit.url}/v1/chat/completions`, { body, headers })
    id = String(answer.headers["x-conduit-decision-id"])
    await eventually("the decision is listed", 10_000, async () => {
      const { json } = await request(`${conduit.url}/v1/decisions`, { headers })
      return json.data.length === 1 ? true : undefined
    })
  })
  afterAll(killAll)

  it("prints which model gets which task, as a table and as the service sent it", async () => {
    const table = await command("stats")
    assert.strictEqual(table.code, 0, table.stderr)
    assert.match(table.stdout, /^task +model +requests/)
    assert.match(table.stdout, /^math +sim-\w+ +1 +100 %/m)
    assert.strictEqual(JSON.parse((await command("stats", "--json")).stdout).totals.requests, 1)
  })

  it("prints the newest decisions, and one with its candidates", async () => {
    assert.include((await command("decisions", "--task", "math")).stdout, id)
    assert.notInclude((await command("decisions", "--task", "code")).stdout, id)
    const one = await command("decisions", id)
    assert.strictEqual(one.code, 0, one.stderr)
    assert.match(one.stdout, /^\* +sim-/m)
    assert.strictEqual(JSON.parse((await command("decisions", id, "--json")).stdout).id, id)
    const unknown = await command("decisions", "nonsense")
    assert.strictEqual(unknown.code, 1)
    assert.include(unknown.stderr, "there is no decision")
  })

  it("prints both once where it is no terminal", async () => {
    const { code, stdout } = await command("top", "--window", "15m")
    assert.strictEqual(code, 0)
    assert.include(stdout, "the last 15m")
    assert.include(stdout, id)
    assert.notInclude(stdout, "\u001b")
    assert.lengthOf(JSON.parse((await command("top", "--json")).stdout).decisions, 1)
  })
})
