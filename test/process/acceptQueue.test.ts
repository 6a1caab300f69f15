import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Http from "node:http"
import { killAll, startConduit } from "../support/conduit.ts"
import { createDatabase, type TestDatabase } from "../support/postgres.ts"
import { eventually } from "../support/traffic.ts"

let database: TestDatabase
beforeAll(async () => {
  database = await createDatabase()
})
afterAll(async () => {
  await killAll()
  await database.drop()
})

const clients = 40

/** A connection of its own each time; null is a connection that broke. */
const ask = (url: string, onConnected: () => void) =>
  new Promise<number | string>((resolve) => {
    const body = JSON.stringify({ model: "auto", messages: [{ role: "user", content: "hi" }] })
    const headers = { "content-type": "application/json", "content-length": body.length }
    const asking = Http.request(`${url}/v1/chat/completions`, { method: "POST", agent: false, headers }, (response) => {
      response.resume()
      response.on("end", () => resolve(response.statusCode ?? 0))
      response.on("error", (error) => resolve(error.message))
    })
    asking.on("socket", (socket) => socket.on("connect", onConnected))
    asking.on("error", (error) => resolve(error.message))
    asking.end(body)
  })

describe("connections that wait to be accepted when the settling is over", () => {
  it("are accepted, served and counted before the listener closes", async () => {
    const conduit = await startConduit({ databaseUrl: database.url, env: { CONDUIT_SHUTDOWN_SETTLE: "1 second" } })
    conduit.kill("SIGTERM")
    await conduit.logged("Starting graceful shutdown sequence")
    // While it stands still the system takes connections for it; it wakes up when its settling is long over.
    conduit.kill("SIGSTOP")
    let connected = 0
    const asked = Array.from({ length: clients }, () => ask(conduit.url, () => connected++))
    await eventually("the connections wait", 20_000, () => Promise.resolve(connected === clients ? true : undefined))
    await new Promise((resolve) => setTimeout(resolve, 1_100))
    conduit.kill("SIGCONT")
    const answers = await Promise.all(asked)
    assert.deepStrictEqual(
      answers,
      Array.from({ length: clients }, () => 200)
    )
    const { code, report } = await conduit.ended()
    assert.strictEqual(code, 0)
    assert.deepInclude(report.requests, {
      in_flight_at_signal: 0,
      accepted_during_settle: clients,
      drained: clients,
      rejected: 0
    })
  })
})
