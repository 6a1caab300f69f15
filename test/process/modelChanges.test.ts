import { assert, describe, it } from "@effect/vitest"
import { runCommand } from "../support/command.ts"
import { chat, type ConduitProcess, request, startConduit } from "../support/conduit.ts"
import { query } from "../support/postgres.ts"
import { serviceFixture } from "../support/serviceFixture.ts"
import { eventually } from "../support/traffic.ts"

const fixture = serviceFixture()
const models = [{ id: "steady" }, { id: "falling" }]

/** So many constant judgements; 20,000 take minutes. */
const constants = Number(process.env["CONDUIT_TEST_CONSTANT_JUDGEMENTS"] ?? 500)
const atOnce = 8
const tasks = ["code", "prose", null]

const replica = (routerId: string) =>
  startConduit({
    databaseUrl: fixture.database.url,
    upstream: fixture.mock.url,
    models,
    env: { CONDUIT_ROUTER_ID: routerId }
  })

const modelOf = async (conduit: ConduitProcess, id: string) =>
  (await request(`${conduit.url}/v1/models/${id}`)).json.conduit

/** A call to the model, answered, and judged with that score. */
const judge = async (conduit: ConduitProcess, model: string, score: number, n: number) => {
  const task = tasks[n % tasks.length] ?? null
  const body = { ...chat(`question ${n}`, { model }), ...(task === null ? {} : { conduit: { task } }) }
  const answer = await request(`${conduit.url}/v1/chat/completions`, { body })
  assert.strictEqual(answer.status, 200, answer.text)
  const judged = await request(`${conduit.url}/v1/feedback`, {
    body: { decision_id: answer.headers["x-conduit-decision-id"], kind: "score", value: score }
  })
  assert.strictEqual(judged.status, 200, judged.text)
}

/** Judges answers of the model in all replicas, a few at once. */
const judgeMany = async (
  replicas: ReadonlyArray<ConduitProcess>,
  model: string,
  count: number,
  scoreOf: (n: number) => number
) => {
  let next = 0
  const worker = async () => {
    for (let n = next++; n < count; n = next++) await judge(replicas[n % replicas.length]!, model, scoreOf(n), n)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}

const seen = (replicas: ReadonlyArray<ConduitProcess>, model: string, isSo: (conduit: any) => boolean) =>
  eventually(`every replica knows it of ${model}`, 30_000, async () => {
    const all = await Promise.all(replicas.map((conduit) => modelOf(conduit, model)))
    return all.every(isSo) ? all : undefined
  })

/** Between two halves of a score, so that there is noise. */
const around = (mean: number) => (n: number) => mean + (n % 2 === 0 ? 0.05 : -0.05)

describe("changes of models", () => {
  it(
    "reports no change of a model whose judgements are constant",
    async () => {
      const conduit = await replica("constant")
      await judgeMany([conduit], "steady", constants / 2, () => 0.7)
      await judgeMany([conduit], "falling", constants / 2, () => 1)
      for (const { id } of models) {
        const [model] = await seen([conduit], id, ({ tasks }) => tasks.length === 2)
        assert.isNull(model.changed)
      }
      assert.notInclude((await request(`${conduit.url}/metrics`)).text, "conduit_model_changes_total{")
      assert.isFalse(conduit.lines.some(({ message }) => String(message).includes("has changed")))
    },
    600_000 + 60 * constants
  )

  it("reports a halved model within 100 judged answers, at one position in every replica, and lets an operator judge that", async () => {
    const replicas = await Promise.all([replica("halved"), replica("halved")])
    await judgeMany(replicas, "steady", 60, around(0.8))
    await judgeMany(replicas, "falling", 150, around(0.8))
    let count = 0
    while (count < 100 && (await modelOf(replicas[0]!, "falling")).changed === null) {
      await judgeMany(replicas, "falling", 4, around(0.4))
      count += 4
    }
    const [one, other] = await seen(replicas, "falling", ({ changed }) => changed !== null)
    assert.isBelow(count, 100)
    assert.deepStrictEqual(other.changed, one.changed)
    assert.deepInclude(one.changed, { scope: "model", direction: "down", task: null, verdict: null })
    assert.closeTo(one.changed.before, 0.8, 0.15)
    assert.closeTo(one.changed.after, 0.4, 0.1)
    for (const conduit of replicas) {
      assert.isNull((await modelOf(conduit, "steady")).changed)
      const line = await conduit.logged("model falling has changed (down)")
      assert.deepInclude(line, { level: "WARNING", position: one.changed.position })
      const { text } = await request(`${conduit.url}/metrics`)
      assert.match(text, /conduit_model_changes_total\{[^}]*direction="down"[^}]*\} 1/)
    }

    const env = { DATABASE_URL: fixture.database.url, CONDUIT_ROUTER_ID: "halved" }
    const run = (...args: ReadonlyArray<string>) => runCommand(["models", ...args], { env })
    const none = await run("dismiss", "steady")
    assert.strictEqual(none.code, 1)
    assert.include(none.stderr, "no change of steady was noticed: there is nothing to dismiss")
    const fallen = one.quality.mean
    const dismissed = await run("dismiss", "falling", "--by", "kim")
    assert.strictEqual(dismissed.code, 0, dismissed.stderr)
    const position = Number(/from position (\d+)/.exec(dismissed.stdout)?.[1])
    const after = await seen(replicas, "falling", ({ changed }) => changed.verdict !== null)
    assert.deepStrictEqual(after[0].changed.verdict, { verdict: "dismiss", by: "kim", position })
    assert.deepStrictEqual(after[1].changed, after[0].changed)
    assert.deepStrictEqual(after[1].quality, after[0].quality)
    assert.isAbove(after[0].quality.mean, fallen + 0.2)
    for (const conduit of replicas) await conduit.logged("The newest change of model falling is dismissed by kim")
    const audit = await query(fixture.database.url, "SELECT action, subject, details->>'by' AS by FROM audit_log")
    assert.deepStrictEqual(audit, [{ action: "dismiss", subject: "model falling", by: "kim" }])
    const again = await run("confirm", "falling")
    assert.strictEqual(again.code, 1)
    assert.include(again.stderr, "kim has said dismiss about the newest change of falling already")
    const shown = await runCommand(["state", "show"], { env })
    assert.include(shown.stdout, "dismissed by kim")
    const verified = await runCommand(["state", "verify"], { env })
    assert.include(verified.stdout + verified.stderr, verified.code === 0 ? "equal" : "no good snapshot")
  })
})
