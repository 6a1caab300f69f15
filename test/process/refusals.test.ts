import { assert, describe, it } from "@effect/vitest"
import { type Answered, chat, request } from "../support/conduit.ts"
import { answers, error, refuses, startScripted } from "../support/scriptedUpstream.ts"
import { eventually } from "../support/traffic.ts"
import { sharedService } from "../support/sharedService.ts"

const declining = answers({}, { content: null, refusal: "I will not." })

const { conduit } = sharedService(
  () =>
    startScripted({
      shy: declining,
      coy: declining,
      willing: answers(),
      broken: refuses(500, error("oops"))
    }),
  (upstream) => ({
    configuration: JSON.stringify({
      providers: { local: { kind: "openai-compatible", baseUrl: upstream.url } },
      models: Object.keys(upstream.scripts).map((id) => ({
        id,
        provider: "local",
        inputUsdPerMTok: 1,
        outputUsdPerMTok: 2
      })),
      policy: { algorithm: "static", passesOnRefusals: true }
    })
  })
)

const ask = (stream: boolean, ...ids: ReadonlyArray<string>) =>
  request(`${conduit.url}/v1/chat/completions`, {
    body: { ...chat("hello"), stream, conduit: { constraints: { allowed_models: ids } } }
  })
const decisionOf = ({ headers }: Answered) =>
  eventually("the outcome", 15_000, async () => {
    const { json, status } = await request(`${conduit.url}/v1/decisions/${String(headers["x-conduit-decision-id"])}`)
    return status === 200 && json.outcome !== null ? json : undefined
  })
const told = (attempts: ReadonlyArray<{ model: string; error: string | null }>) =>
  attempts.map(({ error, model }) => [model, error])
/** Of one answer: ten tokens in, two out. */
const onceUsd = (10 * 1 + 2 * 2) / 1e6

describe("a refusal, where it is passed on", () => {
  it.each([false, true])("is the next model's chance, and no failure (stream: %s)", async (stream) => {
    const answer = await ask(stream, "shy", "willing")
    assert.strictEqual(answer.headers["x-conduit-model"], "willing", answer.text)
    assert.notInclude(answer.text, "I will not.")
    const { attempts, outcome } = await decisionOf(answer)
    assert.deepStrictEqual(told(attempts), [
      ["shy", "declined"],
      ["willing", null]
    ])
    assert.strictEqual(outcome.kind, "ok")
    assert.strictEqual((await request(`${conduit.url}/v1/models/shy`)).json.conduit.circuit, "closed")
  })

  it("costs what it cost besides the answer", async () => {
    const answer = await ask(false, "shy", "willing")
    assert.closeTo((await decisionOf(answer)).outcome.cost_usd, 2 * onceUsd, 1e-12)
    assert.closeTo(Number(answer.headers["x-conduit-cost-usd"]), 2 * onceUsd, 1e-12)
  })

  it("is the answer of the last model", async () => {
    for (const stream of [false, true]) {
      const answer = await ask(stream, "shy", "coy")
      assert.strictEqual(answer.status, 200)
      assert.include(answer.text, "I will not.")
      const { attempts, outcome } = await decisionOf(answer)
      assert.deepStrictEqual(told(attempts), [
        ["shy", "declined"],
        ["coy", null]
      ])
      assert.strictEqual(outcome.kind, "refused")
    }
  })

  it("is the answer after all where the others fail", async () => {
    const answer = await ask(false, "shy", "broken")
    assert.strictEqual(answer.status, 200, answer.text)
    assert.include(answer.text, "I will not.")
    assert.strictEqual(answer.headers["x-conduit-model"], "shy")
    const { attempts, outcome } = await decisionOf(answer)
    assert.deepStrictEqual(told(attempts), [
      ["shy", "declined"],
      ["broken", "server_error"]
    ])
    assert.deepInclude(outcome, { kind: "refused", ok: true })
    assert.closeTo(outcome.cost_usd, onceUsd, 1e-12)
  })
})
