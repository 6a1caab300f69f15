import { afterEach, assert, describe, it } from "@effect/vitest"
import { chat, killAll, request, startConduit } from "../support/conduit.ts"
import { createDatabase, query, sharedUrl } from "../support/postgres.ts"
import { startTcpProxy } from "../support/tcpProxy.ts"
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

describe("a commit that is answered 503", () => {
  const judging = async (databaseUrl: string) => {
    const conduit = await startConduit({ databaseUrl })
    const asked = await request(`${conduit.url}/v1/chat/completions`, { body: chat("add") })
    const decision_id = asked.headers["x-conduit-decision-id"]
    const judge = (key: string) =>
      request(`${conduit.url}/v1/feedback`, {
        headers: { "idempotency-key": key },
        body: { decision_id, kind: "score", value: 1, source: key }
      })
    return { conduit, judge }
  }

  it("says that it may be stored where the answer was lost, and a repetition stores it once", async () => {
    const database = await createDatabase()
    const url = new URL(database.url)
    const proxy = await startTcpProxy({ host: url.hostname, port: Number(url.port) })
    url.port = String(proxy.port)
    const { judge } = await judging(url.href)
    assert.strictEqual((await judge("before")).status, 200)
    const dropped = proxy.dropNextAnswer("COMMIT\0")
    const lost = await judge("lost")
    await dropped
    assert.strictEqual(lost.status, 503)
    assert.match(lost.json.error.message, /may be stored all the same: send it again, .* which stores it once/)
    const stored = () => query(database.url, "SELECT FROM feedback WHERE idempotency_key = 'lost'")
    await eventually("it is stored all the same", 5_000, async () => ((await stored()).length === 1 ? true : undefined))
    const again = await eventually("it is answered", 20_000, async () => {
      const answer = await judge("lost")
      return answer.status === 200 ? answer : undefined
    })
    assert.strictEqual(again.json.status, "recorded")
    assert.strictEqual((await stored()).length, 1)
    await killAll()
    await proxy.close()
    await database.drop()
  })

  it("is to be sent again where the server has trouble of its own, as while its files are replaced", async () => {
    const database = await createDatabase()
    const { conduit, judge } = await judging(database.url)
    assert.strictEqual((await judge("before")).status, 200)
    await query(
      database.url,
      `CREATE FUNCTION missing() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN RAISE EXCEPTION 'could not access file "$libdir/plpgsql"' USING ERRCODE = '58P01'; END $$;
       CREATE TRIGGER missing BEFORE INSERT ON feedback FOR EACH ROW EXECUTE FUNCTION missing()`
    )
    const refused = await judge("refused")
    assert.deepStrictEqual([refused.status, refused.json.error.code], [503, "database_unavailable"])
    assert.match(refused.headers["retry-after"] ?? "", /^[1-9]/)
    const { message } = await conduit.logged("The database is away")
    assert.include(String(message), 'commit: system_error (could not access file "$libdir/plpgsql", 58P01)')
    await query(database.url, "DROP TRIGGER missing ON feedback")
    await eventually("it is stored", 10_000, async () => ((await judge("refused")).status === 200 ? true : undefined))
    await conduit.logged("The database is back")
    await database.drop()
  })

  it("is told in two lines where commits take longer than their limit", async () => {
    const database = await createDatabase()
    const { conduit, judge } = await judging(database.url)
    assert.strictEqual((await judge("before")).status, 200)
    // Each statement is within its own limit.
    await query(
      database.url,
      `CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(3); RETURN NEW; END $$;
       CREATE TRIGGER slow BEFORE INSERT ON feedback FOR EACH ROW WHEN (NEW.source <> 'fast') EXECUTE FUNCTION slow();
       CREATE CONSTRAINT TRIGGER slower AFTER INSERT ON feedback DEFERRABLE INITIALLY DEFERRED
       FOR EACH ROW WHEN (NEW.source <> 'fast') EXECUTE FUNCTION slow()`
    )
    const late = await judge("late")
    assert.strictEqual(late.status, 503)
    assert.match(late.json.error.message, /may be stored all the same/)
    await conduit.logged("A commit takes more than 5s")
    await eventually("it is stored all the same", 10_000, async () =>
      (await query(database.url, "SELECT FROM feedback WHERE idempotency_key = 'late'")).length === 1 ? true : undefined
    )
    assert.strictEqual((await judge("fast")).status, 200)
    await conduit.logged("Commits are in time again")
    assert.isUndefined(conduit.lines.find((line) => String(line["message"]).startsWith("The database is away")))
    await database.drop()
  })
})
