import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { runCommand } from "../support/command.ts"
import { type Answered, chat, type ConduitProcess, killAll, request, startConduit } from "../support/conduit.ts"
import { createDatabase, type TestDatabase } from "../support/postgres.ts"
import { type Answering, answers, refuses, type ScriptedUpstream, startScripted } from "../support/scriptedUpstream.ts"
import { eventually } from "../support/traffic.ts"

let database: TestDatabase
let upstream: ScriptedUpstream
let conduit: ConduitProcess
let folder: string
/** Calls of the judge that have come and are not answered yet. */
const waiting: Array<() => void> = []
let holds = false

const verdict = (score: number) => answers({}, { content: `{"score": ${score}, "reason": "because"}` })
const judging: Answering = (response, asked) => {
  const text: string = asked.body.messages[1].content
  const said = text.includes("unreadable") ? answers({}, { content: "no idea" }) : verdict(text.includes("bad") ? 2 : 9)
  if (holds) waiting.push(() => said(response, asked))
  else said(response, asked)
}
const call = { id: "call_0123456789abcdef", type: "function", function: { name: "f", arguments: "{}" } }
const calling: Answering = (response, { model }) => {
  const message = { role: "assistant", content: null, tool_calls: [call] }
  const usage = { prompt_tokens: 10, completion_tokens: 2, total_tokens: 12 }
  response.writeHead(200, { "content-type": "application/json" })
  response.end(
    JSON.stringify({
      id: "chatcmpl-2",
      object: "chat.completion",
      created: 1,
      model,
      choices: [{ index: 0, message, finish_reason: "tool_calls" }],
      usage
    })
  )
}
const truncated: Answering = (response, { model }) => {
  const choices = [{ index: 0, message: { role: "assistant", content: "half a" }, finish_reason: "length" }]
  const usage = { prompt_tokens: 10, completion_tokens: 2, total_tokens: 12 }
  response.writeHead(200, { "content-type": "application/json" })
  response.end(JSON.stringify({ id: "c", object: "chat.completion", created: 1, model, choices, usage }))
}

beforeAll(async () => {
  folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-judging-"))
  database = await createDatabase()
  upstream = await startScripted({
    judge: judging,
    plain: answers(),
    declines: answers({}, { content: null, refusal: "I cannot" }),
    calls: calling,
    short: truncated,
    broken: refuses(500, { error: { message: "broken" } })
  })
  const models = ["plain", "declines", "calls", "short", "broken", "judge"].map(
    // A verdict is at most 1.5 x some 200 tokens and 2048 tokens: 0.0205 USD at 10 USD a million.
    (id) => `  - { id: ${id}, provider: local, inputUsdPerMTok: 0, outputUsdPerMTok: ${id === "judge" ? 10 : 1} }`
  )
  conduit = await startConduit({
    databaseUrl: database.url,
    configuration: [
      `providers: { local: { kind: openai-compatible, baseUrl: "${upstream.url}" } }`,
      "models:",
      ...models,
      "policy:",
      "  signals: { failure: 0.5, refusal: 0.5, empty: 0.5, truncation: 0.5, regeneration: 0.5, tool_errors: 0.5 }",
      "  judge: { model: judge, share: 1, budgetUsdPerDay: 0.07, concurrency: 8, weight: 0.4 }"
    ].join("\n")
  })
})

afterAll(async () => {
  await killAll()
  await upstream.close()
  await database.drop()
  Fs.rmSync(folder, { recursive: true, force: true })
})

const ask = (model: string, content: string, more: object = {}): Promise<Answered> =>
  request(`${conduit.url}/v1/chat/completions`, { body: { ...chat(content, { model }), ...more } })

const verdictsOn = (answer: Answered, source: string) =>
  eventually(`a verdict of ${source}`, 20_000, async () => {
    const { json } = await request(`${conduit.url}/v1/decisions/${answer.headers["x-conduit-decision-id"]}`)
    return json.feedback?.find((one: { source: string }) => one.source === source)
  })
const metric = async (name: string) => {
  const { text } = await request(`${conduit.url}/metrics`)
  return Number(
    text
      .split("\n")
      .find((line) => line.startsWith(`${name} `))
      ?.split(" ")[1] ?? 0
  )
}
const judgedNow = (result: string) => metric(`conduit_judge_answers_total{result="${result}"}`)

describe("a judge in the background", () => {
  it("judges whole answers and streams, as a source of its own", async () => {
    const whole = await ask("plain", "a question")
    assert.deepInclude(await verdictsOn(whole, "judge:judge"), { value: 0.9, confidence: 0.4, comment: "because" })
    const streamed = await ask("plain", "a bad question", { stream: true })
    assert.deepInclude(await verdictsOn(streamed, "judge:judge"), { value: 0.2 })
    const asked = upstream.asked.filter(({ model }) => model === "judge").at(-1)?.body
    assert.include(asked.messages[1].content, "<answer>\nhello\n</answer>")
    assert.deepInclude(asked, { temperature: 0, max_tokens: 2048 })
    const [model] = (await request(`${conduit.url}/v1/models`)).json.data.filter((one: any) => one.id === "plain")
    assert.isAbove(model.conduit.quality.observations, 0)
    const shown = await runCommand(["state", "show", "--json"], { env: { DATABASE_URL: database.url } })
    assert.deepInclude(JSON.parse(shown.stdout).sources[0], { source: "judge:judge", verdicts: 2, pairs: 0 })
  })

  it("counts what is no verdict, and never spends more than its budget, however many are at once", async () => {
    await ask("plain", "unreadable")
    await eventually("it was counted", 20_000, async () => ((await judgedNow("unreadable")) === 1 ? true : undefined))
    const before = upstream.callsOf("judge")
    const judged = await judgedNow("judged")
    holds = true
    await Promise.all(Array.from({ length: 8 }, (_, i) => ask("plain", `at once ${i}`)))
    // Three of 0.0205 fit into what is left of 0.07.
    await eventually("the others were refused", 20_000, async () =>
      (await judgedNow("budget")) === 5 ? true : undefined
    )
    assert.strictEqual(upstream.callsOf("judge") - before, 3)
    holds = false
    for (const go of waiting.splice(0)) go()
    await eventually("they are judged", 20_000, async () =>
      (await judgedNow("judged")) === judged + 3 ? true : undefined
    )
    assert.closeTo(await metric("conduit_judge_cost_usd_total"), 6 * 2 * 10e-6, 1e-9)
  })
})

describe("what is seen of answers", () => {
  it("is a judgement where the configuration says so: refusals, failures, answers cut short", async () => {
    const implicit = async (answer: Answered, signal: string, value: number) =>
      assert.deepInclude(await verdictsOn(answer, `implicit:${signal}`), { value, confidence: 0.5, kind: "score" })
    await implicit(await ask("declines", "no"), "refusal", 0)
    await implicit(await ask("short", "long"), "truncation", 0.3)
    const limited = await ask("short", "long, but not longer than I say", { max_tokens: 2 })
    const failed = await ask("broken", "fail", { conduit: { fallback: false } })
    await implicit(failed, "failure", 0)
    const { json } = await request(`${conduit.url}/v1/decisions/${limited.headers["x-conduit-decision-id"]}`)
    assert.isEmpty(json.feedback.filter(({ source }: { source: string }) => source.startsWith("implicit")))
  })

  it("includes that the same was asked again, and that a tool could not do what was asked", async () => {
    const first = await ask("plain", "the same question")
    await ask("plain", "the same question")
    assert.deepInclude(await verdictsOn(first, "implicit:regeneration"), { value: 0.2 })
    const called = await ask("calls", "use a tool")
    const messages = [
      { role: "user", content: "use a tool" },
      { role: "assistant", content: null, tool_calls: [call] },
      { role: "tool", tool_call_id: call.id, content: "Error: no such column" }
    ]
    const next = await request(`${conduit.url}/v1/chat/completions`, { body: { model: "plain", messages } })
    assert.strictEqual(next.status, 200, next.text)
    assert.deepInclude(await verdictsOn(called, "implicit:tool_errors"), { value: 0.2 })
  })
})

describe("conduit judge calibrate", () => {
  it("says how a model's verdicts stand to people's, and what is wrong with a file", async () => {
    const file = Path.join(folder, "judged.jsonl")
    const lines = Array.from({ length: 40 }, (_, i) => ({
      prompt: i % 2 === 0 ? "a bad question" : "a question",
      answer: "x",
      quality: i % 2 === 0 ? 0.1 : 0.7
    }))
    Fs.writeFileSync(file, lines.map((line) => JSON.stringify(line)).join("\n"))
    const args = ["judge", "calibrate", "--model", "judge", "--url", conduit.url]
    const found = await runCommand([...args, "--json", file])
    assert.strictEqual(found.code, 0, found.stderr)
    const told = JSON.parse(found.stdout)
    assert.deepInclude(told, { model: "judge", pairs: 40, unreadable: 0, failed: 0, agreement: 1 })
    assert.closeTo(told.offset, 0.15, 1e-9)
    assert.closeTo(told.correlation, 1, 1e-9)
    Fs.writeFileSync(file, '{"prompt": "a", "answer": "b", "quality": 7}\n')
    const wrong = await runCommand([...args, file])
    assert.strictEqual(wrong.code, 1)
    assert.include(wrong.stderr, "line 1: quality: 7 is not right: a number from 0 to 1")
  })
})

describe("a drain", () => {
  it("ends the judge with what waits for it, and loses nothing else", async () => {
    await eventually("nothing waits", 20_000, () => (waiting.length === 0 ? true : undefined))
    const other = await startConduit({
      databaseUrl: database.url,
      configuration: [
        `providers: { local: { kind: openai-compatible, baseUrl: "${upstream.url}" } }`,
        "models:",
        ...["plain", "judge"].map(
          (id) => `  - { id: ${id}, provider: local, inputUsdPerMTok: 1, outputUsdPerMTok: 1 }`
        ),
        "policy: { judge: { model: judge, share: 1, budgetUsdPerDay: 10, concurrency: 1 } }"
      ].join("\n")
    })
    holds = true
    for (let i = 0; i < 3; i++) {
      await request(`${other.url}/v1/chat/completions`, { body: chat(`last ${i}`, { model: "plain" }) })
    }
    await eventually("it judges", 20_000, () => (waiting.length === 1 ? true : undefined))
    other.kill("SIGTERM")
    assert.strictEqual((await other.ended()).code, 0)
  })
})
