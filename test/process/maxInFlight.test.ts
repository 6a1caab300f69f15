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

  it("has room for each key, however many one asks at once, and again for one whose client has left", async () => {
    const conduit = await startConduit({
      databaseUrl: fixture.database.url,
      upstream: fixture.mock.url,
      env: { CONDUIT_MAX_IN_FLIGHT: "10", CONDUIT_API_KEYS: "busy:key-of-many,quiet:key-of-one" }
    })
    const url = `${conduit.url}/v1/chat/completions`
    const as = (key: string) => ({ authorization: `Bearer ${key}` })
    const [busy, quiet] = [as("key-of-many"), as("key-of-one")]
    const leaving = new AbortController()
    const held = Array.from({ length: 9 }, (_, i) =>
      fetch(url, {
        method: "POST",
        headers: { "content-type": "application/json", ...busy },
        body: JSON.stringify(chat(`held ${i}`, { mock: { gate: "busy" } })),
        signal: i === 0 ? leaving.signal : null
      }).then(
        ({ status }) => status,
        () => "left"
      )
    )
    await fixture.mock.waiting("busy", 9)
    for (let i = 0; i < 20; i++) {
      const refused = await request(url, { body: chat("one more"), headers: busy })
      assert.strictEqual(refused.status, 503)
      assert.include(refused.json.error.message, "too many requests of this key at once")
      assert.isAtMost(Number(refused.headers["retry-after"]), 60)
      assert.strictEqual((await request(url, { body: chat("hello"), headers: quiet })).status, 200)
    }
    const metrics = await request(`${conduit.url}/metrics`)
    assert.match(metrics.text, /^conduit_refused_requests_total\{reason="share"\} 20$/m)

    leaving.abort()
    await eventually("the place of who has left", 20_000, async () => {
      const answer = await request(url, { body: chat("instead"), headers: busy })
      return answer.status === 200 ? true : undefined
    })
    fixture.mock.openGate("busy")
    const [first, ...others] = await Promise.all(held)
    assert.strictEqual(first, "left")
    assert.deepStrictEqual([...new Set(others)], [200])
  })
})
