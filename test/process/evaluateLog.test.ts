import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { runCommand } from "../support/command.ts"
import { chat, type ConduitProcess, request, startConduit, yaml } from "../support/conduit.ts"
import { serviceFixture } from "../support/serviceFixture.ts"

const fixture = serviceFixture()
const models = [
  { id: "small", inputUsdPerMTok: 0.1, outputUsdPerMTok: 0.1 },
  { id: "large", inputUsdPerMTok: 10, outputUsdPerMTok: 10 }
]
const scores: Record<string, number> = { small: 0.6, large: 0.8 }

/** A service, the command on its router, and its file of models with another policy from a reload on. */
const started = async (router: string) => {
  const conduit = await startConduit({
    databaseUrl: fixture.database.url,
    upstream: fixture.mock.url,
    models,
    env: { CONDUIT_ROUTER_ID: router }
  })
  const file = Path.join(conduit.directory, "conduit.yaml")
  const env = { DATABASE_URL: fixture.database.url, CONDUIT_ROUTER_ID: router, CONDUIT_CONFIG: file }
  const reload = async (policy: string) => {
    Fs.writeFileSync(file, `${yaml(fixture.mock.url, models)}\npolicy: ${policy}\n`)
    return runCommand(["reload"], { env })
  }
  const evaluate = async (...args: ReadonlyArray<string>) => {
    const { code, stderr, stdout } = await runCommand(["evaluate", "--log", ...args], { env })
    assert.strictEqual(code, 0, stderr)
    return stdout
  }
  return { conduit, env, reload, evaluate }
}

const judgedRequests = async (conduit: ConduitProcess, count: number) => {
  const answers: Array<{ model: string; reason: string }> = []
  for (let n = 0; n < count; n++) {
    const answer = await request(`${conduit.url}/v1/chat/completions`, { body: chat(`question ${n}`) })
    assert.strictEqual(answer.status, 200, answer.text)
    const model = String(answer.headers["x-conduit-model"])
    answers.push({ model, reason: String(answer.headers["x-conduit-reason"]) })
    const value = scores[model]! + (n % 2 === 0 ? 0.05 : -0.05)
    const judged = await request(`${conduit.url}/v1/feedback`, {
      body: { decision_id: answer.headers["x-conduit-decision-id"], kind: "score", value }
    })
    assert.strictEqual(judged.status, 200, judged.text)
  }
  return answers
}

describe("conduit evaluate --log", () => {
  it("says from the propensities of the log what other policies would have earned, and when it cannot know", async () => {
    const { conduit, env, evaluate } = await started("off-policy")
    const answers = await judgedRequests(conduit, 150)
    const found = JSON.parse(
      await evaluate("--json", "--weights", "1,0,0", "--without", "small", "--price", "large=0.01")
    )
    assert.deepStrictEqual([found.drawn, found.judged], [150, 150])
    const policy = (name: string) => found.policies.find((one: any) => one.policy === name)
    const mean = answers.reduce((sum, { model }) => sum + scores[model]!, 0) / answers.length
    const logged = policy("as it was chosen").quality
    assert.isNull(logged.cannot_know)
    assert.closeTo(logged.snips.mean, mean, 0.02)
    assert.closeTo(logged.effective_sample_size, 150, 1)
    const counts = (id: string) => answers.filter(({ model }) => model === id).length
    for (const id of ["small", "large"]) {
      const { quality } = policy(`always ${id}`)
      // Whoever was hardly ever chosen is not known by weights.
      if (quality.cannot_know === null) {
        assert.closeTo(quality.snips.mean, scores[id]!, 0.03, `${id}, chosen ${counts(id)} times`)
        assert.isAtMost(quality.doubly_robust.low, scores[id]! + 0.03)
        assert.isAtLeast(quality.doubly_robust.high, scores[id]! - 0.03)
      } else assert.isNull(quality.snips)
    }
    assert.isDefined(policy("without small"))
    assert.isDefined(policy("best by 1,0,0"))
    assert.isNull(found.observed)
    const text = await evaluate()
    assert.match(text, /^150 choices were drawn and ended, 150 of them are judged or failed\./)
    assert.match(text, /always large/)
    for (const [args, problem] of [
      [["evaluate", "--log", "table.jsonl"], "takes no table"],
      [["evaluate"], "or say --log"],
      [["evaluate", "--log", "--price", "large=cheap"], "--price large=cheap: a number of 0 or more"],
      [["evaluate", "--log", "--weights", "1"], "three numbers of 0 or more"]
    ] as const) {
      const { code, stderr } = await runCommand(args, { env })
      assert.strictEqual(code, 1, args.join(" "))
      assert.include(stderr, problem)
    }
  })

  it("observes: one model serves, each choice is logged, and the log says what it would have changed", async () => {
    const { conduit, evaluate, reload } = await started("observe")
    const refused = await reload("{ mode: observe, observe: nobody }")
    assert.strictEqual(refused.code, 1)
    assert.include(refused.stderr, 'policy.observe: "nobody" is not under models: there are small, large')
    const told = await reload("{ mode: observe, observe: large }")
    assert.strictEqual(told.code, 0, told.stderr)
    await conduit.logged("the configuration was read again: large serves, and choices are only observed")
    const answers = await judgedRequests(conduit, 40)
    assert.deepStrictEqual(
      new Set(answers.map(({ model, reason }) => `${model} ${reason}`)),
      new Set(["large observe"])
    )
    const { json } = await request(`${conduit.url}/v1/decisions?reason=observe`)
    const [decision] = json.data
    assert.deepInclude(decision, { chosen: "large", propensity: 1, exploration: false })
    const shares = decision.candidates.map((one: any) => one.propensity)
    assert.closeTo(shares[0] + shares[1], 1, 1e-4)
    const found = JSON.parse(await evaluate("--json"))
    assert.strictEqual(found.drawn, 0)
    assert.strictEqual(found.observed.requests, 40)
    assert.isAbove(found.observed.share_of_other_models, 0)
    // Whatever else would have been chosen costs less.
    assert.isBelow(found.observed.expected_difference.cost_usd, 0)
    for (const { quality } of found.policies)
      assert.strictEqual(quality.cannot_know, "no drawn choice of the log was judged")
    assert.match(await evaluate(), /Of 40 requests that a fixed model served/)
    // A model that cannot serve is replaced by the first that can.
    const pinned = await request(`${conduit.url}/v1/chat/completions`, {
      body: { ...chat("x"), conduit: { constraints: { allowed_models: ["small"] } } }
    })
    assert.deepStrictEqual(
      [pinned.headers["x-conduit-model"], pinned.headers["x-conduit-reason"]],
      ["small", "observe"]
    )
    assert.strictEqual((await reload("{ mode: serve }")).code, 0)
    await conduit.logged("the configuration was read again: choices are followed again")
    const [next] = await judgedRequests(conduit, 1)
    assert.notStrictEqual(next!.reason, "observe")
    // Other algorithms choose by the same fold.
    for (const algorithm of ["squarecb", "random"]) {
      assert.strictEqual((await reload(`{ algorithm: ${algorithm} }`)).code, 0)
      await conduit.logged(`the configuration was read again: policy.algorithm is ${algorithm}`)
      const [drawn] = await judgedRequests(conduit, 1)
      assert.include(["best", "explore", "control"], drawn!.reason)
      const [made] = (await request(`${conduit.url}/v1/decisions?limit=1`)).json.data
      assert.strictEqual(made.policy.algorithm, algorithm)
      assert.closeTo(made.candidates[0].propensity + made.candidates[1].propensity, 1, 1e-4)
      if (algorithm === "random") assert.closeTo(made.propensity, 0.5, 1e-4)
    }
  })
})
