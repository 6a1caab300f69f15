import { assert, describe, it } from "@effect/vitest"
import * as Http from "node:http"
import { chat, request } from "../support/conduit.ts"
import { query } from "../support/postgres.ts"
import { startUpstream } from "../support/processMock.ts"
import { eventually } from "../support/traffic.ts"
import { sharedService } from "../support/sharedService.ts"

const {
  conduit,
  database,
  upstream: mock
} = sharedService(
  () =>
    startUpstream({
      models: [
        { name: "broken", faults: { "500": 1 } },
        { name: "refusing", faults: { "400": 1 } },
        { name: "cut", faults: { cut: 1 } }
      ],
      anyModel: true
    }),
  (mock) => ({
    upstream: mock.url,
    models: [{ id: "small" }, { id: "left" }, { id: "idle" }, { id: "broken" }, { id: "refusing" }, { id: "cut" }]
  })
)

const ask = (model: string, more: Record<string, unknown> = {}) =>
  request(`${conduit.url}/v1/chat/completions`, { body: { ...chat("add two numbers", more), model } })

/** As it is kept, once it has an outcome. */
const decision = (id: unknown) =>
  eventually("the decision has an outcome", 10_000, async () => {
    const { json, status } = await request(`${conduit.url}/v1/decisions/${String(id)}`)
    return status === 200 && json.outcome !== null ? json : undefined
  })

const learned = async (model: string) => {
  const { latency_seconds, output_tokens, quality, success_rate } = (await request(`${conduit.url}/v1/models/${model}`))
    .json.conduit
  return { latency_seconds, output_tokens, quality, success_rate }
}

describe("a request that failed", () => {
  it.each([false, true])("names the decision that keeps its attempts (stream: %s)", async (stream) => {
    for (const [model, status, reason, upstreamStatus] of [
      ["broken", 502, "server_error", 500],
      ["refusing", 400, "rejected", 400]
    ] as const) {
      const answer = await ask(model, { stream })
      assert.strictEqual(answer.status, status, answer.text)
      const { attempts, id, outcome } = await decision(answer.headers["x-conduit-decision-id"])
      assert.strictEqual(id, answer.headers["x-conduit-decision-id"])
      assert.lengthOf(attempts, 1)
      assert.deepInclude(attempts[0], { model, ok: false, status: upstreamStatus, error: reason })
      assert.deepInclude(outcome, { ok: false, aborted: false, error: reason })
    }
  })

  it("opens the circuit of a model whose streams break, which the log says once", async () => {
    const opened = () =>
      conduit.lines.filter((line) => String(line["message"]).startsWith("model cut failed again and again (cut)"))
    for (let i = 0; i < 5; i++) {
      assert.deepStrictEqual(opened(), [])
      // Each of its own: a client's retries of one request count once.
      const answer = await ask("cut", { stream: true, messages: [{ role: "user", content: `add ${i} and two` }] })
      assert.include(answer.text, "event: error")
    }
    await conduit.logged("model cut failed again and again (cut)")
    const { json } = await request(`${conduit.url}/v1/models/cut`)
    assert.strictEqual(json.conduit.circuit, "open")
    // Who names the model insists on it; what fails then opens nothing that is open.
    await ask("cut", { stream: true })
    assert.lengthOf(opened(), 1)
  })
})

describe("a client that leaves in mid-stream", () => {
  it("leaves behind what its answer has cost so far, and nothing that is learned", async () => {
    const before = await learned("small")
    const body = JSON.stringify({
      ...chat("add two numbers", { stream: true, mock: { gate_after: 6, gate: "left" } }),
      model: "left"
    })
    const id = await new Promise<unknown>((resolve, reject) => {
      const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) }
      const asking = Http.request(
        `${conduit.url}/v1/chat/completions`,
        { method: "POST", headers, agent: false },
        (response) => {
          let text = ""
          response.on("error", () => {})
          response.on("data", (data) => {
            text += String(data)
            // The sixth event is there, the seventh is behind the gate.
            if (text.split("\n\n").length <= 6) return
            response.destroy()
            resolve(response.headers["x-conduit-decision-id"])
          })
        }
      )
      asking.on("error", reject)
      asking.end(body)
    })
    const { attempts, outcome } = await decision(id)
    mock.openGate("left")
    assert.deepInclude(outcome, { ok: false, aborted: true, error: "aborted", input_tokens: null })
    assert.isAbove(outcome.output_tokens, 0)
    assert.isAbove(outcome.cost_usd, 0)
    assert.isAtMost(outcome.first_token_ms, outcome.latency_ms)
    assert.deepInclude(attempts[0], { model: "left", error: "aborted" })
    const row = await eventually("the outcome is stored", 10_000, async () => {
      const rows = await query<{ aborted: boolean; output_tokens: number; cost_usd: number }>(
        database.url,
        "SELECT aborted, output_tokens, cost_usd FROM decisions WHERE id = $1",
        [id]
      )
      return rows[0]
    })
    const { cost_usd, output_tokens } = outcome
    assert.deepStrictEqual(row, { aborted: true, output_tokens, cost_usd })
    // Outcomes are learned in order: when the one after it is, this one would be, which sets it apart from a model that
    // was never called.
    await ask("small")
    await eventually("the next answer is learned", 10_000, async () =>
      (await learned("small")).success_rate === before.success_rate ? undefined : true
    )
    assert.deepStrictEqual(await learned("left"), await learned("idle"))
    assert.notDeepEqual(await learned("small"), await learned("idle"))
  })
})
