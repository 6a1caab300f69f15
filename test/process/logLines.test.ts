import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import { binary, chat, type ConduitProcess, request, startConduit } from "../support/conduit.ts"
import { has } from "../support/external.ts"
import { serviceFixture } from "../support/serviceFixture.ts"
import { eventually } from "../support/traffic.ts"

const fixture = serviceFixture()
const models = [{ id: "small" }, { id: "large", inputUsdPerMTok: 5, outputUsdPerMTok: 15 }]
const start = (env: Record<string, string> = {}) =>
  startConduit({ databaseUrl: fixture.database.url, upstream: fixture.mock.url, models, env })
const ask = (conduit: ConduitProcess, body: unknown, headers: Record<string, string> = {}) =>
  request(`${conduit.url}/v1/chat/completions`, { body, headers })
const stop = async (conduit: ConduitProcess) => {
  conduit.kill("SIGTERM")
  assert.strictEqual((await conduit.ended()).code, 0)
}

describe("the log", () => {
  it("has no line a request at INFO, however the request ends", async () => {
    const conduit = await start()
    const before = conduit.lines.length
    for (let i = 0; i < 50; i++) {
      const answer = await ask(conduit, chat(`number ${i}`, { stream: i % 5 === 0 }))
      assert.strictEqual(answer.status, 200)
      const body = { decision_id: answer.headers["x-conduit-decision-id"], kind: "thumbs", value: "up" }
      assert.strictEqual((await request(`${conduit.url}/v1/feedback`, { body })).status, 200)
    }
    const statuses: Array<number> = []
    for (const [path, body] of [
      ["/v1/chat/completions", "{"],
      ["/v1/chat/completions", { ...chat("hello"), model: "unknown" }],
      ["/v1/chat/completions", chat("hello", { conduit: { constraints: { max_cost_usd: 1e-12 } } })],
      ["/v1/feedback", { decision_id: "no-such", kind: "thumbs", value: "up" }],
      ["/v1/nothing", {}]
    ] as const) {
      statuses.push((await request(`${conduit.url}${path}`, { body })).status)
    }
    assert.deepStrictEqual(statuses, [400, 404, 422, 404, 404])
    assert.strictEqual((await request(`${conduit.url}/v1/models`)).status, 200)
    assert.deepStrictEqual(conduit.lines.slice(before), [])
    await stop(conduit)
  })

  it("has at DEBUG each decision with its scores, each call, commit, fold and request, under the request's id", async () => {
    const conduit = await start({ LOG_LEVEL: "DEBUG", CONDUIT_ROUTER_ID: "debugged" })
    const answer = await ask(conduit, chat("add two numbers", { conduit: { user_id: "u-1", session_id: "s-1" } }), {
      "x-request-id": "asked-1"
    })
    assert.strictEqual(answer.status, 200)
    const id = answer.headers["x-conduit-decision-id"]
    const caused = (message: string) =>
      eventually(`the line ${message}`, 5_000, async () =>
        conduit.lines.find((line) => line["message"] === message && line["request_id"] === "asked-1")
      )
    const [decided, called, answered] = await Promise.all([caused("decided"), caused("called"), caused("request")])
    for (const line of [decided, called, answered]) {
      assert.deepInclude(line, { level: "DEBUG", router_id: "debugged" })
      assert.isNumber(line["latency_ms"])
    }
    const model = answer.headers["x-conduit-model"]
    assert.deepInclude(decided, {
      decision_id: id,
      model_id: model,
      reason: answer.headers["x-conduit-reason"],
      propensity: Number(answer.headers["x-conduit-propensity"])
    })
    assert.deepInclude(called, { decision_id: id, model_id: model, ok: true, status: 200, error: null })
    assert.deepInclude(answered, { route: "/v1/chat/completions", method: "POST", status: 200 })
    const { json } = await request(`${conduit.url}/v1/decisions/${String(id)}`)
    const table = (rows: ReadonlyArray<Record<string, unknown>>) =>
      rows.map(({ excluded_by, model, propensity, quality, score }) => ({
        excluded_by,
        model,
        propensity,
        quality,
        score
      }))
    assert.deepStrictEqual(
      table(decided["candidates"] as ReadonlyArray<Record<string, unknown>>),
      table(json.candidates)
    )

    const folded = await eventually("the answer is folded", 5_000, async () =>
      conduit.lines.find((line) => line["message"] === "folded" && "run" in (line["kinds"] as object))
    )
    assert.deepInclude(folded, { events: 1, kinds: { run: 1 }, models: [model], router_id: "debugged" })
    const stored = conduit.lines.find((line) => line["message"] === "stored" && line["position"] === folded["position"])
    assert.deepInclude(stored, { decisions: 1, feedback: 0 })

    assert.strictEqual(
      (await ask(conduit, chat("hello", { conduit: { constraints: { max_cost_usd: 1e-12 } } }))).status,
      422
    )
    const undecided = conduit.lines.find((line) => line["message"] === "no model is left to choose")
    assert.deepStrictEqual(undecided?.["candidates"], [
      { model: "small", excluded_by: "max_cost_usd" },
      { model: "large", excluded_by: "max_cost_usd" }
    ])
    // What a client says of itself is stored with the decision, and is nobody else's business.
    assert.notMatch(JSON.stringify(conduit.lines), /u-1|s-1/)
    await stop(conduit)
  })

  it("is for people where it is pretty, without colours where nobody sees them", async () => {
    const conduit = await startConduit({
      databaseUrl: fixture.database.url,
      upstream: fixture.mock.url,
      env: { LOG_FORMAT: "pretty" },
      isUnready: true
    })
    const texts = () => conduit.lines.map((line) => String(line["unparsable"]))
    await eventually("it is ready", 30_000, async () =>
      texts().some((text) => /^ {2}Docs/.test(text)) ? true : undefined
    )
    conduit.kill("SIGTERM")
    assert.strictEqual((await conduit.ended()).code, 0)
    assert.notInclude(texts().join("\n"), "\u001b")
    assert.match(texts()[0] ?? "", /^INFO - ready url=http:\/\/127\.0\.0\.1:\d+$/)
    assert.include(texts(), "INFO - Starting graceful shutdown sequence")
    assert.include(texts(), "INFO - PostgreSQL connection pool closed gracefully")
  })
})

describe.skipIf(!has("terminal"))("on a terminal (skipped where there is no `script`)", () => {
  it("is pretty by itself and coloured, and ends with the report", async () => {
    const conduit = await startConduit({
      databaseUrl: fixture.database.url,
      upstream: fixture.mock.url,
      program: ["env", "-u", "LOG_FORMAT", "script", "-qec", `exec ${process.execPath} ${binary} serve`, "/dev/null"],
      isUnready: true
    })
    const texts = () => conduit.lines.map((line) => String(line["unparsable"] ?? "").trimEnd())
    await eventually("it is ready", 30_000, async () =>
      texts().some((text) => /^ {2}Try:/.test(text)) ? true : undefined
    )
    const [child] = Fs.readFileSync(`/proc/${conduit.pid}/task/${conduit.pid}/children`, "utf8").trim().split(" ")
    process.kill(Number(child), "SIGTERM")
    const { code, report } = await conduit.ended()
    assert.strictEqual(code, 0)
    assert.strictEqual(report.outcome, "clean")
    assert.match(
      texts()[0] ?? "",
      // oxlint-disable-next-line no-control-regex -- the colours are what is looked for
      /^\u001b\[32mINFO\u001b\[0m - ready\u001b\[2m url=(http:\/\/127\.0\.0\.1:\d+)\u001b\[0m$/
    )
    assert.match(
      texts().find((text) => text.startsWith("  Conduit")) ?? "",
      /^ {2}Conduit {3}http:\/\/127\.0\.0\.1:\d+$/
    )
    const shutdown = texts()
      .filter((text) => text.includes("\u001b[32mINFO\u001b[0m - "))
      .slice(1)
    assert.lengthOf(shutdown, 8)
    assert.match(shutdown.at(-1) ?? "", / - Graceful shutdown completed in \d+\.\ds$/)
    assert.strictEqual(conduit.lines.at(-1)?.["event"], "shutdown_report")
  })
})
