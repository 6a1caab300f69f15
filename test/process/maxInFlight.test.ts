import { assert, describe, it } from "@effect/vitest"
import { chat, request, startConduit } from "../support/conduit.ts"
import { serviceFixture } from "../support/serviceFixture.ts"
import { eventually } from "../support/traffic.ts"

const fixture = serviceFixture()

describe("CONDUIT_MAX_IN_FLIGHT", () => {
  it("refuses one request more with 503 and Retry-After, answers the orchestrator, and takes one when one has ended", async () => {
    const conduit = await startConduit({
      databaseUrl: fixture.database.url,
      upstream: fixture.mock.url,
      env: { CONDUIT_MAX_IN_FLIGHT: "3" }
    })
    const ask = (body: unknown) => request(`${conduit.url}/v1/chat/completions`, { body })
    const held = Array.from({ length: 3 }, (_, i) =>
      ask(chat(`held ${i}`, { stream: i === 0, mock: { gate: `g${i}` } }))
    )
    await fixture.mock.waiting("g0", 1)
    await fixture.mock.waiting("g1", 1)
    await fixture.mock.waiting("g2", 1)

    const refused = await ask(chat("one more"))
    assert.strictEqual(refused.status, 503)
    assert.strictEqual(refused.json.error.code, "overloaded")
    assert.match(String(refused.headers["retry-after"]), /^[1-9]\d*$/)
    assert.strictEqual((await request(`${conduit.url}/health/ready`)).status, 200)
    const metrics = await request(`${conduit.url}/metrics`)
    assert.strictEqual(metrics.status, 200)
    assert.match(metrics.text, /^conduit_requests_active 3$/m)
    assert.match(metrics.text, /^conduit_requests_total\{.*status="503".*\} 1$/m)

    fixture.mock.openGate("g1")
    assert.strictEqual((await held[1])?.status, 200)
    const next = await eventually("there is room again", 20_000, async () => {
      const answer = await ask(chat("after"))
      return answer.status === 503 ? undefined : answer
    })
    assert.strictEqual(next.status, 200)
    fixture.mock.openGate("g0")
    fixture.mock.openGate("g2")
    for (const answer of await Promise.all(held)) assert.strictEqual(answer.status, 200)
    conduit.kill("SIGTERM")
    assert.strictEqual((await conduit.ended()).report.requests.rejected, 0)
  })
})
