import { assert, describe, it } from "@effect/vitest"
import * as Http from "node:http"
import { chat, request, startConduit } from "../support/conduit.ts"
import { query } from "../support/postgres.ts"
import { serviceFixture } from "../support/serviceFixture.ts"

const fixture = serviceFixture()

const requestsPerSecond = 200
const probeEveryMs = 100

describe("SIGTERM under load", () => {
  it("resets nothing, cuts no stream, and counts what the client counts", async () => {
    const conduit = await startConduit({
      databaseUrl: fixture.database.url,
      upstream: fixture.mock.url,
      env: { CONDUIT_SHUTDOWN_SETTLE: "2 seconds" }
    })
    const agent = new Http.Agent({ keepAlive: true, maxSockets: 128 })
    const failures: Array<string> = []
    const answers: Array<Promise<void>> = []
    let ended = 0
    let isReady = true
    let signalled = false
    let inFlightAtSignal = 0
    let begunAfterSignal = 0

    const send = (number: number) => {
      const isStream = number % 2 === 0
      if (signalled) begunAfterSignal++
      const body = chat(`request ${number}`, {
        ...(isStream ? { stream: true } : {}),
        mock: { delay_ms: 30, tokens: 20 }
      })
      answers.push(
        request(`${conduit.url}/v1/chat/completions`, { body, agent }).then(
          (answer) => {
            ended++
            if (answer.status !== 200) failures.push(`${number}: ${answer.status} ${answer.text.slice(0, 200)}`)
            else if (isStream && !answer.text.endsWith("data: [DONE]\n\n")) failures.push(`${number}: a cut stream`)
          },
          (error: NodeJS.ErrnoException) => {
            ended++
            failures.push(`${number}: ${error.code ?? error.message}`)
          }
        )
      )
    }
    const probing = (async () => {
      while (isReady) {
        const { status } = await request(`${conduit.url}/health/ready`).catch(() => ({ status: 0 }))
        if (status !== 200) isReady = false
        await new Promise((resolve) => setTimeout(resolve, probeEveryMs))
      }
    })()

    const startedAt = Date.now()
    for (let sent = 0; isReady && Date.now() - startedAt < 15_000;) {
      const due = Math.floor(((Date.now() - startedAt) * requestsPerSecond) / 1000)
      for (; sent < due && isReady; sent++) send(sent)
      if (!signalled && Date.now() - startedAt > 1_500) {
        inFlightAtSignal = answers.length - ended
        signalled = true
        conduit.kill("SIGTERM")
      }
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    await Promise.all([probing, ...answers])
    const { code, report } = await conduit.ended()

    assert.deepStrictEqual(failures, [])
    assert.strictEqual(code, 0)
    const { accepted_during_settle, drained, in_flight_at_signal, interrupted, rejected } = report.requests
    assert.strictEqual(interrupted, 0)
    assert.strictEqual(rejected, 0)
    // A request that is on its way when the signal is sent is in flight or accepted later: the sum is exact.
    assert.isAtMost(drained, inFlightAtSignal + begunAfterSignal)
    assert.isAtLeast(drained, begunAfterSignal)
    assert.strictEqual(in_flight_at_signal + accepted_during_settle, drained)
    const [stored] = await query(fixture.database.url, "SELECT count(*)::int AS decisions FROM decisions")
    assert.deepStrictEqual(stored, { decisions: answers.length })
    agent.destroy()
  })
})
