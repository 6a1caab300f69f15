import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { runCommand } from "../support/command.ts"
import { chat, type ConduitProcess, request, startConduit, yaml } from "../support/conduit.ts"
import { createDatabase, query } from "../support/postgres.ts"
import { serviceFixture } from "../support/serviceFixture.ts"
import { until } from "../support/traffic.ts"

const fixture = serviceFixture()
const models = [{ id: "small" }, { id: "large" }]

const modelOf = async (conduit: ConduitProcess, id: string) =>
  (await request(`${conduit.url}/v1/models/${id}`)).json?.conduit

const replica = (routerId: string, more: Record<string, string> = {}) =>
  startConduit({
    databaseUrl: fixture.database.url,
    upstream: fixture.mock.url,
    models,
    env: { CONDUIT_ROUTER_ID: routerId, ...more }
  })

const write = (conduit: ConduitProcess, text: string) =>
  Fs.writeFileSync(Path.join(conduit.directory, "conduit.yaml"), text)

const judge = async (conduit: ConduitProcess, model: string, value: "up" | "down") => {
  const answer = await request(`${conduit.url}/v1/chat/completions`, { body: chat("hello", { model }) })
  assert.strictEqual(answer.status, 200, answer.text)
  const judged = await request(`${conduit.url}/v1/feedback`, {
    body: { decision_id: answer.headers["x-conduit-decision-id"], kind: "thumbs", value }
  })
  assert.strictEqual(judged.status, 200, judged.text)
}

describe("models that come and go", () => {
  it("disables and enables a model in every replica, without a restart", async () => {
    const env = { DATABASE_URL: fixture.database.url, CONDUIT_ROUTER_ID: "switch" }
    const [a, b] = await Promise.all([replica("switch"), replica("switch")])
    const run = (...args: ReadonlyArray<string>) => runCommand(["models", ...args], { env })

    const disabled = await run("disable", "large")
    assert.strictEqual(disabled.code, 0, disabled.stderr)
    for (const conduit of [a, b]) {
      await until("it is disabled", async () => (await modelOf(conduit, "large")).available === false)
      assert.strictEqual((await modelOf(conduit, "large")).reason, "disabled by an operator")
      const pinned = await request(`${conduit.url}/v1/chat/completions`, { body: chat("x", { model: "large" }) })
      assert.strictEqual(pinned.status, 422, pinned.text)
      const routed = await request(`${conduit.url}/v1/chat/completions`, { body: chat("x") })
      assert.strictEqual(routed.headers["x-conduit-model"], "small")
    }
    assert.match((await run("list")).stdout, /large +disabled by an operator/)
    assert.match((await run("disable", "large")).stdout, /disabled already/)

    assert.strictEqual((await run("enable", "large")).code, 0)
    for (const conduit of [a, b]) {
      await until("it is enabled", async () => (await modelOf(conduit, "large")).available === true)
    }
    const unknown = await run("disable", "lage")
    assert.strictEqual(unknown.code, 1)
    assert.match(unknown.stderr, /did you mean large\?/)
  })

  it("answers 503 with a code of its own once the last model is disabled, and says so in every replica", async () => {
    const env = { DATABASE_URL: fixture.database.url, CONDUIT_ROUTER_ID: "last" }
    const replicas = await Promise.all([replica("last"), replica("last")])
    const run = (...args: ReadonlyArray<string>) => runCommand(["models", ...args], { env })
    const first = await run("disable", "small")
    assert.deepStrictEqual([first.code, first.stderr], [0, ""])
    const last = await run("disable", "large")
    assert.strictEqual(last.code, 0)
    assert.match(last.stderr, /^WARNING no model that the router knows is enabled now/)
    for (const conduit of replicas) {
      for (const id of ["small", "large"]) {
        const line = await conduit.logged(`Model ${id} is disabled by an operator`)
        assert.strictEqual(line["level"], "INFO")
      }
      assert.strictEqual((await conduit.logged("No model is enabled"))["level"], "WARNING")
      for (const model of ["auto", "small"]) {
        const refused = await request(`${conduit.url}/v1/chat/completions`, { body: chat("x", { model }) })
        assert.deepStrictEqual([refused.status, refused.json.error.code], [503, "no_model_enabled"])
        assert.isAbove(Number(refused.headers["retry-after"]), 0)
      }
    }
    await run("enable", "large")
    for (const conduit of replicas) {
      await conduit.logged("Model large is enabled by an operator")
      assert.strictEqual((await request(`${conduit.url}/v1/chat/completions`, { body: chat("x") })).status, 200)
    }
  })

  it("does not ask the replicas to read a file that is wrong here", async () => {
    const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-reload-"))
    const file = Path.join(folder, "conduit.yaml")
    Fs.writeFileSync(file, "models: [{ id: small, provider: nobody, inputUsdPerMTok: -1 }]\n")
    const env = { DATABASE_URL: fixture.database.url, CONDUIT_ROUTER_ID: "wrong-file", CONDUIT_CONFIG: file }
    const conduit = await replica("wrong-file")
    const refused = await runCommand(["reload"], { env })
    assert.strictEqual(refused.code, 1)
    assert.include(refused.stderr, "conduit.yaml: models[0].inputUsdPerMTok: -1 is not right")
    Fs.writeFileSync(file, yaml(fixture.mock.url, models))
    assert.strictEqual((await runCommand(["reload"], { env })).code, 0)
    await conduit.logged("the configuration was read again: nothing changed")
    Fs.rmSync(folder, { recursive: true })
  })

  it("reloads in every replica: what was added is there, what stayed has learned the same to the last digit", async () => {
    const [a, b] = await Promise.all([replica("reload"), replica("reload")])
    await judge(a, "small", "up")
    await judge(b, "large", "down")
    await until("both know both", async () => {
      const all = [await modelOf(a, "large"), await modelOf(b, "small")]
      return all.every((model) => model.quality.observations === 1)
    })
    const learned = async (conduit: ConduitProcess) =>
      Promise.all(["small", "large"].map(async (id) => (await modelOf(conduit, id)).quality))
    const before = await learned(a)

    const next = yaml(fixture.mock.url, [{ id: "large", inputUsdPerMTok: 5 }, { id: "small" }])
    for (const conduit of [a, b]) write(conduit, next)
    const env = { DATABASE_URL: fixture.database.url, CONDUIT_ROUTER_ID: "reload" }
    const told = await runCommand(["reload"], { env })
    assert.strictEqual(told.code, 0, told.stderr)
    for (const conduit of [a, b]) {
      await conduit.logged("the configuration was read again: repriced large")
      assert.strictEqual((await modelOf(conduit, "large")).input_usd_per_mtok, 5)
      assert.deepStrictEqual(await learned(conduit), before)
    }

    for (const conduit of [a, b]) write(conduit, yaml(fixture.mock.url, [...models, { id: "third" }]))
    await runCommand(["reload"], { env })
    for (const conduit of [a, b]) {
      await until("the third is there", async () => (await modelOf(conduit, "third")) !== undefined)
    }
    assert.strictEqual(
      (await request(`${b.url}/v1/chat/completions`, { body: chat("x", { model: "third" }) })).headers[
        "x-conduit-model"
      ],
      "third"
    )

    // A broken file in one of them changes nothing there.
    write(a, "models: [")
    write(b, yaml(fixture.mock.url, [{ id: "small" }]))
    await runCommand(["reload"], { env })
    await a.logged("the configuration was read again and is not used")
    await until("large is gone from b", async () => (await modelOf(b, "large")) === undefined)
    assert.deepStrictEqual((await modelOf(a, "large")).quality.observations, 1)
    write(b, yaml(fixture.mock.url, models))
    await runCommand(["reload"], { env })
    await until("large is back, and what it was", async () => {
      const model = await modelOf(b, "large")
      return model !== undefined && model.quality.observations === 1
    })
  })

  it("reloads on SIGHUP when it is set, once for all replicas, and stops on SIGTERM as ever", async () => {
    const [a, b] = await Promise.all([
      replica("hup", { CONDUIT_RELOAD_ON_SIGHUP: "true" }),
      replica("hup", { CONDUIT_RELOAD_ON_SIGHUP: "true" })
    ])
    for (const conduit of [a, b]) write(conduit, yaml(fixture.mock.url, [...models, { id: "third" }]))
    a.kill("SIGHUP")
    for (const conduit of [a, b]) {
      await conduit.logged("the configuration was read again: added third")
      await until("the third is there", async () => (await modelOf(conduit, "third")) !== undefined)
    }
    const [noted] = await query(fixture.database.url, "SELECT actor, action FROM audit_log ORDER BY id DESC LIMIT 1")
    assert.deepStrictEqual(noted, { actor: "signal: SIGHUP", action: "reload" })
    const ended = b.ended()
    b.kill("SIGTERM")
    const { code, report } = await ended
    assert.deepInclude({ code, signals: report.signals }, { code: 0, signals: 1 })
  })

  it("refuses a reload that no replica could hear, and a database that no service uses", async () => {
    const nowhere = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-nowhere-"))
    const embedded = await runCommand(["reload"], { directory: nowhere })
    assert.strictEqual(embedded.code, 1)
    assert.match(embedded.stderr, /DATABASE_URL is not set, and there is no embedded database in/)
    Fs.rmSync(nowhere, { recursive: true })

    const empty = await createDatabase()
    const nobody = await runCommand(["models", "list"], {
      env: { DATABASE_URL: empty.url, CONDUIT_ROUTER_ID: "nobody" }
    })
    await empty.drop()
    assert.strictEqual(nobody.code, 1)
    assert.match(nobody.stderr, /it holds nothing of Conduit: set DATABASE_URL/)
  })
})
