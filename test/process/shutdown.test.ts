import { assert, describe, it } from "@effect/vitest"
import type * as Http from "node:http"
import * as Path from "node:path"
import { chat, oneSocket, request, startConduit } from "../support/conduit.ts"
import { serviceFixture } from "../support/serviceFixture.ts"
import { patientMs } from "../support/patience.ts"
import { shutdownLines } from "../support/shutdownLines.ts"

const fixture = serviceFixture()

/** Word for word: people have alerts on them. */
const graceful = (count: number) => [
  "INFO Starting graceful shutdown sequence",
  `INFO Phase 1/3: Draining ${count} requests`,
  `INFO All ${count} requests drained in X.Xs`,
  "INFO Phase 2/3: Persisting bandit state",
  "INFO Bandit state persisted successfully",
  "INFO Phase 3/3: Closing database connections",
  "INFO PostgreSQL connection pool closed gracefully",
  "INFO Graceful shutdown completed in X.Xs"
]

/** A stream that is read to its end, as the client saw it. */
const stream = (url: string, body: object, agent?: Http.Agent) => {
  const answer = request(`${url}/v1/chat/completions`, { body: { ...body, stream: true }, ...(agent && { agent }) })
  return answer
}

describe("SIGTERM on an idle service", () => {
  it("ends clean and promptly, with one report and a port that refuses", async () => {
    const conduit = await startConduit({ databaseUrl: fixture.database.url, upstream: fixture.mock.url })
    conduit.kill("SIGTERM")
    const { code, report, tookMs } = await conduit.ended()
    assert.strictEqual(code, 0)
    assert.deepInclude(report, { outcome: "clean", exit_code: 0, signal: "SIGTERM", signals: 1, errors: [] })
    assert.deepStrictEqual(
      report.phases.map((entry) => entry.outcome),
      ["skipped", "ok", "ok", "ok", "ok"]
    )
    // Far below the limits of the steps: nothing was waited for.
    assert.isBelow(tookMs, patientMs(10_000))
    const refused = await request(`${conduit.url}/health`).then(
      () => "answered",
      (error: NodeJS.ErrnoException) => error.code
    )
    assert.strictEqual(refused, "ECONNREFUSED")
    assert.deepStrictEqual(shutdownLines(conduit), graceful(0))
    // And nothing else; each says where it is.
    const phases = conduit.lines.slice(-9, -1).map((line) => line["phase"])
    assert.deepStrictEqual(phases, ["settle", "drain", "drain", "persist", "persist", "close", "close", "flush"])
  })

  it.each(["SIGINT", "SIGHUP"] as const)("takes the same path on %s", async (signal) => {
    const conduit = await startConduit({ databaseUrl: fixture.database.url, upstream: fixture.mock.url })
    conduit.kill(signal)
    const { code, report } = await conduit.ended()
    assert.strictEqual(code, 0)
    assert.deepInclude(report, { outcome: "clean", signal })
  })
})

describe("SIGTERM while a request and a stream are held", () => {
  // Six seconds: a chat of a busy machine fits in.
  it.each([0, 6])("completes both whole, says 503 to new ones, and drains two (settle %i s)", async (settle) => {
    const gate = `held-${settle}`
    const conduit = await startConduit({
      databaseUrl: fixture.database.url,
      upstream: fixture.mock.url,
      env: { CONDUIT_SHUTDOWN_SETTLE: String(settle) }
    })
    const probe = oneSocket()
    const spare = oneSocket()
    await request(`${conduit.url}/health/live`, { agent: probe })
    await request(`${conduit.url}/health/live`, { agent: spare })
    const held = request(`${conduit.url}/v1/chat/completions`, { body: chat("hold this", { mock: { gate } }) })
    const streamed = stream(conduit.url, chat("hold this", { mock: { gate } }))
    await fixture.mock.waiting(gate, 2)

    conduit.kill("SIGTERM")
    await conduit.logged("Starting graceful shutdown sequence")
    const status = async (path: string, agent?: Http.Agent) =>
      (await request(`${conduit.url}${path}`, agent === undefined ? {} : { agent })).status
    assert.strictEqual(await status("/health/ready", probe), 503)
    assert.strictEqual(await status("/health", probe), 503)
    assert.strictEqual(await status("/health/live", probe), 200)
    if (settle > 0) {
      assert.strictEqual(await status("/health/ready"), 503)
      const settled = await request(`${conduit.url}/v1/chat/completions`, { body: chat("still served") })
      assert.strictEqual(settled.status, 200)
      assert.strictEqual(settled.headers.connection, "close")
    }
    await conduit.logged("Phase 1/3: Draining 2 requests")
    const late = await request(`${conduit.url}/v1/chat/completions`, { body: chat("too late"), agent: spare })
    assert.strictEqual(late.status, 503)
    assert.strictEqual(late.headers.connection, "close")
    assert.isAbove(Number(late.headers["retry-after"]), 0)
    assert.strictEqual(late.json.error.code, "shutting_down")

    fixture.mock.openGate(gate)
    const [whole, events] = await Promise.all([held, streamed])
    assert.strictEqual(whole.status, 200)
    assert.isNotEmpty(whole.json.choices[0].message.content)
    assert.isTrue(events.text.endsWith("data: [DONE]\n\n"))
    const { code, report } = await conduit.ended()
    assert.strictEqual(code, 0)
    assert.strictEqual(report.phases[0]?.limit_ms, settle * 1_000)
    assert.deepStrictEqual(shutdownLines(conduit), graceful(2))
    assert.deepStrictEqual(report.requests, {
      in_flight_at_signal: 2,
      accepted_during_settle: settle > 0 ? 1 : 0,
      drained: settle > 0 ? 3 : 2,
      interrupted: 0,
      rejected: 1
    })
    probe.destroy()
    spare.destroy()
  })

  it("interrupts what is left at the limit, tells the clients, and persists all the same", async () => {
    const conduit = await startConduit({
      databaseUrl: fixture.database.url,
      upstream: fixture.mock.url,
      env: { CONDUIT_SHUTDOWN_TIMEOUT: "1 second" }
    })
    const held = request(`${conduit.url}/v1/chat/completions`, { body: chat("for ever", { mock: { gate: "never" } }) })
    const streamed = stream(conduit.url, chat("for ever", { mock: { gate_after: 2, gate: "never-after" } }))
    await fixture.mock.waiting("never", 1)
    await fixture.mock.waiting("never-after", 1)
    conduit.kill("SIGTERM")
    const [cut, broken] = await Promise.all([held, streamed])
    assert.strictEqual(cut.status, 503)
    assert.strictEqual(cut.json.error.code, "shutting_down")
    assert.include(broken.text, "\nevent: error\n\n")
    assert.notInclude(broken.text, "[DONE]")
    const { code, report, tookMs } = await conduit.ended()
    assert.strictEqual(code, 2)
    assert.isBelow(tookMs, patientMs(10_000))
    assert.deepInclude(report, { outcome: "dirty" })
    assert.deepStrictEqual(
      report.phases.map((entry) => entry.outcome),
      ["skipped", "timeout", "ok", "ok", "ok"]
    )
    const [error] = report.errors
    assert.strictEqual(error?._tag, "DrainTimeout")
    const requests = error?.["requests"] as ReadonlyArray<{ model: string | null }>
    // Also the one whose model has not said anything yet: that is what an operator looks for.
    assert.deepStrictEqual(
      requests.map(({ model }) => model),
      ["small", "small"]
    )
    assert.deepInclude(report.requests, { in_flight_at_signal: 2, drained: 0, interrupted: 2 })
    assert.deepStrictEqual(shutdownLines(conduit), [
      "INFO Starting graceful shutdown sequence",
      "INFO Phase 1/3: Draining 2 requests",
      "WARNING Timeout waiting for requests, 2 still in flight",
      "INFO Phase 2/3: Persisting bandit state",
      "INFO Bandit state persisted successfully",
      "INFO Phase 3/3: Closing database connections",
      "INFO PostgreSQL connection pool closed gracefully",
      "WARNING Shutdown completed with 1 errors in X.Xs"
    ])
  })
})

describe("SIGTERM to npm start", () => {
  it("reaches the service, which ends clean and leaves no orphan", async () => {
    const conduit = await startConduit({
      databaseUrl: fixture.database.url,
      upstream: fixture.mock.url,
      program: ["npm", "--silent", "--prefix", Path.resolve(import.meta.dirname, "../.."), "start"]
    })
    conduit.kill("SIGTERM")
    assert.strictEqual((await conduit.ended()).code, 0)
  })
})
