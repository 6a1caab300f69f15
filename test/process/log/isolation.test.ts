import { afterEach, assert, describe, it } from "@effect/vitest"
import * as Http from "node:http"
import { chat, killAll, request, startConduit } from "../../support/conduit.ts"
import { createDatabase, query } from "../../support/postgres.ts"

afterEach(killAll)

const rounds = 60

describe("a database whose transactions are isolated by default", () => {
  for (const level of ["repeatable read", "serializable"]) {
    it(`takes chats and feedback of two replicas as any other: ${level}`, async () => {
      const database = await createDatabase()
      const name = new URL(database.url).pathname.slice(1)
      await query(database.url, `ALTER DATABASE ${name} SET default_transaction_isolation = '${level}'`)
      const start = () => startConduit({ databaseUrl: database.url, env: { CONDUIT_ROUTER_ID: "shared" } })
      const replicas = await Promise.all([start(), start()])
      const agent = new Http.Agent({ keepAlive: true })
      const post = (at: number, path: string, body: unknown) =>
        request(`${replicas[at % replicas.length]!.url}${path}`, { agent, body })
      const answers = await Promise.all(
        Array.from({ length: rounds }, async (_, i) => {
          const asked = await post(i, "/v1/chat/completions", chat("add"))
          const decision_id = asked.headers["x-conduit-decision-id"]
          // One of the other replica meets it, and may come before the decision is stored.
          const judge = (kind: string, value: unknown) => post(i + 1, "/v1/feedback", { decision_id, kind, value })
          const judged = await Promise.all([judge("score", 0.5), judge("thumbs", "up"), judge("rating", 4)])
          const routed = await Promise.all([i, i + 1].map((at) => post(at, "/v1/route", { prompt: "add" })))
          return [asked, ...judged, ...routed].map(({ status }) => status)
        })
      )
      assert.deepStrictEqual([...new Set(answers.flat())], [200])
      for (const replica of replicas) replica.kill("SIGTERM")
      for (const replica of replicas) assert.strictEqual((await replica.ended()).code, 0)
      const trouble = replicas.flatMap(({ lines }) =>
        lines.filter(
          ({ level, message }) =>
            (level === "WARNING" || level === "ERROR") && !String(message).startsWith("CONDUIT_SIMULATE")
        )
      )
      assert.deepStrictEqual(trouble, [])
      agent.destroy()
      await database.drop()
    })
  }
})
