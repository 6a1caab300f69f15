import { afterAll, afterEach, assert, beforeAll, describe, it } from "@effect/vitest"
import { chat, killAll, request, startConduit } from "../../support/conduit.ts"
import { createDatabase, type TestDatabase } from "../../support/postgres.ts"
import { startUpstream, type Upstream } from "../../support/processMock.ts"
import { startTcpProxy, type TcpProxy } from "../../support/tcpProxy.ts"

const feedbacks = 60
const pollMs = 500

let mock: Upstream
let database: TestDatabase
let proxy: TcpProxy

beforeAll(async () => {
  mock = await startUpstream()
  database = await createDatabase()
  const { hostname, port } = new URL(database.url)
  proxy = await startTcpProxy({ host: hostname, port: Number(port) })
})
afterEach(killAll)
afterAll(async () => {
  await proxy.close()
  await mock.close()
  await database.drop()
})

describe("a feedback", () => {
  it("costs at most four round trips to PostgreSQL, its outcome and its fold included", async () => {
    const url = new URL(database.url)
    url.port = String(proxy.port)
    const conduit = await startConduit({
      upstream: mock.url,
      models: [{ id: "small" }],
      databaseUrl: url.href,
      // Outcomes go with their feedback.
      env: { CONDUIT_FLUSH_INTERVAL: "1 minute" }
    })
    const startedAt = performance.now()
    const before = proxy.roundTrips()
    for (let n = 0; n < feedbacks; n++) {
      const asked = await request(`${conduit.url}/v1/chat/completions`, { body: chat(`question ${n}`) })
      const body = { decision_id: asked.headers["x-conduit-decision-id"], kind: "thumbs", value: "up" }
      const judged = await request(`${conduit.url}/v1/feedback`, { body })
      assert.strictEqual(judged.status, 200, judged.text)
    }
    const polls = Math.ceil((performance.now() - startedAt) / pollMs) + 2
    const each = (proxy.roundTrips() - before - polls) / feedbacks
    process.stderr.write(`${each.toFixed(2)} round trips a feedback\n`)
    assert.isAtMost(each, 4)
  })
})
