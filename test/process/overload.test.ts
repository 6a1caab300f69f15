import { assert, describe, it } from "@effect/vitest"
import { Pool } from "undici"
import { chat, request, startConduit } from "../support/conduit.ts"
import { serviceFixture } from "../support/serviceFixture.ts"

const fixture = serviceFixture()
const callers = 200
const seconds = 3

describe("more than can be answered in time", () => {
  it("is refused with 503 and Retry-After, blames no model, leaves the probes and another key alone, and is over with the load", async () => {
    const conduit = await startConduit({
      databaseUrl: fixture.database.url,
      upstream: fixture.mock.url,
      // With so many callers somebody always waits longer.
      env: { CONDUIT_OVERLOAD_DELAY: "1 millis", CONDUIT_API_KEYS: "busy:key-of-many,quiet:key-of-one" }
    })
    const pool = new Pool(conduit.url, { connections: callers, pipelining: 1 })
    const untilMs = performance.now() + seconds * 1000
    const seen = new Map<number, number>()
    const caller = async (number: number) => {
      while (performance.now() < untilMs) {
        const answer = await pool.request({
          method: "POST",
          path: "/v1/chat/completions",
          headers: { "content-type": "application/json", authorization: "Bearer key-of-many" },
          body: JSON.stringify(chat(`caller ${number}`))
        })
        const text = await answer.body.text()
        seen.set(answer.statusCode, (seen.get(answer.statusCode) ?? 0) + 1)
        if (answer.statusCode !== 503) continue
        assert.strictEqual(JSON.parse(text).error.code, "overloaded")
        assert.match(String(answer.headers["retry-after"]), /^(?:[1-9]|[1-5]\d|60)$/)
      }
    }
    const quietly = { authorization: "Bearer key-of-one" }
    const ask = () => request(`${conduit.url}/v1/chat/completions`, { body: chat("once more"), headers: quietly })
    const quiet: Array<number> = []
    const other = async () => {
      while (performance.now() < untilMs) quiet.push((await ask()).status)
    }
    const probed: Array<number> = []
    const probe = async () => {
      while (performance.now() < untilMs) probed.push((await request(`${conduit.url}/health/ready`)).status)
    }
    await Promise.all([probe(), other(), ...Array.from({ length: callers }, (_, i) => caller(i))])
    await pool.close()
    assert.deepStrictEqual([...seen.keys()].toSorted(), [200, 503])
    // Something is done in every turn of the event loop.
    assert.isAtLeast(seen.get(200) ?? 0, 10)
    assert.deepStrictEqual([...new Set(probed)], [200])
    // The key that sends little is not refused for the one that sends much.
    assert.deepStrictEqual([...new Set(quiet)], [200])

    for (let i = 0; i < 20; i++) assert.strictEqual((await ask()).status, 200)
    const models = await request(`${conduit.url}/v1/models`, { headers: quietly })
    assert.strictEqual(models.json.data.at(-1).conduit.circuit, "closed")
    conduit.kill("SIGTERM")
    const { code, report } = await conduit.ended()
    assert.strictEqual(code, 0)
    assert.deepInclude(report.requests, { in_flight_at_signal: 0, rejected: 0, interrupted: 0 })
  })
})
