import { afterEach, assert, describe, it } from "@effect/vitest"
import { chat, killAll, request, startConduit } from "../support/conduit.ts"
import { createDatabase, query, sharedUrl } from "../support/postgres.ts"
import { eventually } from "../support/traffic.ts"

afterEach(killAll)

describe("a database that is not UTF-8", () => {
  it("is refused at start, with what to do", async () => {
    const name = `latin_${process.pid}`
    await query(sharedUrl(), `CREATE DATABASE ${name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`)
    const url = new URL(sharedUrl())
    url.pathname = `/${name}`
    const conduit = await startConduit({ databaseUrl: url.href, isUnready: true })
    const ended = await conduit.ended()
    assert.strictEqual(ended.code, 1)
    const message = conduit.lines.map((line) => String(line["message"])).find((line) => line.includes("LATIN1"))
    assert.include(message, "ENCODING 'UTF8'")
    await query(sharedUrl(), `DROP DATABASE ${name} WITH (FORCE)`)
  })
})

describe("a row that the database refuses for ever", () => {
  it("is 422, and what was sent with it is stored", async () => {
    const database = await createDatabase()
    const conduit = await startConduit({ databaseUrl: database.url })
    const asked = await request(`${conduit.url}/v1/chat/completions`, { body: chat("add") })
    const decision_id = asked.headers["x-conduit-decision-id"]
    await eventually("the decision is stored", 10_000, async () =>
      (await query(database.url, "SELECT FROM decisions")).length === 1 ? true : undefined
    )
    await query(database.url, "ALTER TABLE feedback ADD CHECK (comment <> 'refused')")
    const judge = (comment: string, source: string) =>
      request(`${conduit.url}/v1/feedback`, {
        body: { decision_id, kind: "score", value: 1, comment, source: source.replaceAll(" ", "") }
      })
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => judge(i % 5 === 0 ? "refused" : "fine", `source ${i}`))
    )
    const expected = answers.map((_, i) => (i % 5 === 0 ? 422 : 200))
    assert.deepStrictEqual(
      answers.map(({ status }) => status),
      expected
    )
    assert.strictEqual(answers[0]?.json.error.code, "not_storable")
    assert.strictEqual((await judge("fine", "later")).status, 200)
    assert.isUndefined(conduit.lines.find((line) => String(line["message"]).startsWith("The database is away")))
    await database.drop()
  })
})
