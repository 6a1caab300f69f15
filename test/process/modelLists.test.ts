import { afterAll, afterEach, assert, beforeAll, describe, it } from "@effect/vitest"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import * as Path from "node:path"
import type { MockScript } from "../../src/programs/mockLlm/MockScript.ts"
import { runCommand } from "../support/command.ts"
import { chat, type ConduitProcess, killAll, request, startConduit } from "../support/conduit.ts"
import { createDatabase, type TestDatabase } from "../support/postgres.ts"
import { startUpstream, type Upstream } from "../support/processMock.ts"
import { eventually } from "../support/traffic.ts"

let database: TestDatabase
const mocks: Array<Upstream> = []
beforeAll(async () => {
  database = await createDatabase()
})
afterEach(async () => {
  await killAll()
  for (const mock of mocks.splice(0)) await mock.close()
})
afterAll(() => database.drop())

const mocked = async (script: MockScript): Promise<Upstream> => {
  const mock = await startUpstream(script)
  mocks.push(mock)
  return mock
}

const limitMs = 15_000
const modelOf = async ({ url }: ConduitProcess, id: string) => (await request(`${url}/v1/models/${id}`)).json
const reads = async ({ url }: ConduitProcess, result: string): Promise<number> => {
  const { text } = await request(`${url}/metrics`)
  return Number(
    new RegExp(`^conduit_model_list_reads_total\\{.*result="${result}".*\\} (\\d+)$`, "m").exec(text)?.[1] ?? 0
  )
}
const readOnce = (conduit: ConduitProcess, result: string) =>
  eventually(`a read that is ${result}`, limitMs, async () => ((await reads(conduit, result)) > 0 ? true : undefined))

const starting = (file: object, env: Record<string, string> = {}) =>
  startConduit({
    databaseUrl: database.url,
    env: { CONDUIT_SIMULATE: "false", ...withFile(file), ...env }
  })

const folders: Array<string> = []
afterAll(() => {
  for (const folder of folders) Fs.rmSync(folder, { recursive: true, force: true })
})
const withFile = (file: object): Record<string, string> => {
  const folder = Fs.mkdtempSync("/tmp/conduit-lists-")
  folders.push(folder)
  const path = Path.join(folder, "conduit.yaml")
  Fs.writeFileSync(path, JSON.stringify(file))
  return { CONDUIT_CONFIG: path }
}

const provider = (mock: Upstream, more: object = {}) => ({
  providers: { local: { kind: "openai-compatible", baseUrl: mock.url, ...more } }
})
const entry = (id: string, more: object = {}) => ({ id, provider: "local", ...more })

const openRouter = {
  context_length: 8192,
  architecture: { input_modalities: ["text"] },
  pricing: { prompt: "0.000002", completion: "0.000004", request: "0", input_cache_read: "0.0000005" },
  top_provider: { max_completion_tokens: 1024 },
  supported_parameters: ["tools"]
}

describe("what a provider's own list says of its models", () => {
  it("counts where conduit.yaml says nothing, before what ships, with its source", async () => {
    const mock = await mocked({
      models: [
        { name: "listed", listed: openRouter },
        { name: "gpt-4o", listed: { ...openRouter, context_length: 64_000 } },
        { name: "told", listed: openRouter },
        { name: "unlisted" }
      ]
    })
    const conduit = await starting({
      ...provider(mock),
      models: [
        entry("listed"),
        entry("gpt-4o"),
        entry("told", {
          contextWindow: 32_000,
          maxOutputTokens: 500,
          inputUsdPerMTok: 1,
          outputUsdPerMTok: 1,
          capabilities: { vision: true }
        }),
        entry("unlisted", { inputUsdPerMTok: 1, outputUsdPerMTok: 1 })
      ]
    })
    await conduit.logged("the models that provider local lists:")
    const listed = await modelOf(conduit, "listed")
    assert.deepInclude(listed, { context_length: 8192, max_output_tokens: 1024 })
    assert.deepInclude(listed.conduit, {
      context_window: 8192,
      context_window_source: "upstream",
      max_output_tokens_source: "upstream",
      input_usd_per_mtok: 2,
      output_usd_per_mtok: 4,
      price_source: "models listed by local",
      retirement: null
    })
    assert.deepStrictEqual(listed.conduit.capabilities.vision, { can: false, source: "upstream" })
    assert.deepStrictEqual(listed.conduit.capabilities.tools, { can: true, source: "upstream" })

    // What is known of a family by its name gives way to who serves it.
    const family = (await modelOf(conduit, "gpt-4o")).conduit
    assert.deepInclude(family, { context_window: 64_000, context_window_source: "upstream" })
    assert.deepStrictEqual(family.capabilities.vision, { can: false, source: "upstream" })
    assert.strictEqual(family.capabilities.audio.can, false)

    const told = await modelOf(conduit, "told")
    assert.deepInclude(told.conduit, {
      context_window: 32_000,
      context_window_source: "configuration",
      max_output_tokens_source: "configuration",
      input_usd_per_mtok: 1,
      price_source: "conduit.yaml"
    })
    assert.deepStrictEqual(told.conduit.capabilities.vision, { can: true, source: "configuration" })
    assert.deepInclude((await modelOf(conduit, "unlisted")).conduit, {
      context_window: null,
      context_window_source: null
    })

    // It decides: an image goes to the one that takes it, and what is used costs what is listed.
    const image = { type: "image_url", image_url: { url: "data:image/png;base64,AA==" } }
    const seen = await request(`${conduit.url}/v1/chat/completions`, {
      body: {
        model: "auto",
        conduit: { constraints: { allowed_models: ["listed", "told"] } },
        messages: [{ role: "user", content: [image] }]
      }
    })
    assert.strictEqual(seen.headers["x-conduit-model"], "told", seen.text)
    const paid = await request(`${conduit.url}/v1/chat/completions`, {
      body: { ...chat("one two", { model: "listed" }), mock: { text: "a b c d" } }
    })
    const { completion_tokens: output, prompt_tokens: input } = paid.json.usage
    assert.closeTo(Number(paid.headers["x-conduit-cost-usd"]), (input * 2 + output * 4) / 1e6, 1e-12)
    assert.strictEqual(await reads(conduit, "ok"), 1)
  })

  it("takes a retired model out of the choice with a warning, and says what will end", async () => {
    const mock = await mocked({
      models: [
        { name: "gone", listed: { active: false, context_window: 8192 } },
        { name: "kept", listed: { active: false } },
        { name: "leaving", listed: { deprecation: "2026-01-31T00:00:00Z", deprecation_replacement_model: "next" } }
      ]
    })
    const conduit = await starting({
      ...provider(mock),
      models: [entry("gone"), entry("kept", { disabled: false }), entry("leaving")]
    })
    const said = (id: string) => conduit.logged(`the provider announces an end: ${id}`)
    assert.strictEqual((await said("gone"))["level"], "WARNING")
    assert.strictEqual(
      (await said("gone"))["message"],
      "the provider announces an end: gone is retired, it is left out"
    )
    assert.match(String((await said("kept"))["message"]), /kept is retired, it stays in the choice$/)
    assert.match(
      String((await said("leaving"))["message"]),
      /leaving is deprecated since 2026-01-31; its provider recommends next$/
    )
    const gone = (await modelOf(conduit, "gone")).conduit
    assert.deepInclude(gone, { available: false, reason: "its provider says that it is retired" })
    assert.deepStrictEqual(gone.retirement, { state: "retired", at: null, replacement: null })
    assert.isTrue((await modelOf(conduit, "kept")).conduit.available)
    assert.deepStrictEqual((await modelOf(conduit, "leaving")).conduit.retirement, {
      state: "deprecated",
      at: "2026-01-31T00:00:00.000Z",
      replacement: "next"
    })
    for (let i = 0; i < 10; i++) {
      const answer = await request(`${conduit.url}/v1/chat/completions`, { body: chat(`question ${i}`) })
      assert.notStrictEqual(answer.headers["x-conduit-model"], "gone")
    }
    const pinned = await request(`${conduit.url}/v1/chat/completions`, { body: chat("x", { model: "gone" }) })
    assert.strictEqual(pinned.status, 422, pinned.text)
  })

  it("never takes the last model away", async () => {
    const mock = await mocked({ models: [{ name: "only", listed: { archived: true } }] })
    const conduit = await starting({ ...provider(mock), models: [entry("only")] })
    await conduit.logged("the provider announces an end: only is retired, it stays in the choice")
    const answer = await request(`${conduit.url}/v1/chat/completions`, { body: chat("x") })
    assert.strictEqual(answer.status, 200, answer.text)
  })

  it.each(["array", "models"] as const)("is read in the form %s, each interval", async (list) => {
    const mock = await mocked({ list, models: [{ name: "m", listed: { max_model_len: 4096 } }] })
    const conduit = await starting({ ...provider(mock), models: [entry("m")] }, { CONDUIT_MODEL_LIST_INTERVAL: "0.05" })
    await eventually("it is known", limitMs, async () =>
      (await modelOf(conduit, "m")).context_length === 4096 ? true : undefined
    )
    const patched = await request(`${mock.url.replace("/v1", "")}/mock/models/m`, {
      body: { listed: { max_model_len: 2048 } }
    })
    assert.strictEqual(patched.status, 200, patched.text)
    const line = await conduit.logged("the models that provider local lists: context window of m is 2048")
    assert.strictEqual(line["level"], "INFO")
    assert.strictEqual((await modelOf(conduit, "m")).context_length, 2048)
  })

  it("is not waited for: a provider that never answers delays no start and no end", async () => {
    const mock = await mocked({ list: "silent", models: [{ name: "m" }] })
    const conduit = await starting({ ...provider(mock), models: [entry("m")] })
    const answer = await request(`${conduit.url}/v1/chat/completions`, { body: chat("x") })
    assert.strictEqual(answer.status, 200, answer.text)
    conduit.kill("SIGTERM")
    const { code, tookMs } = await conduit.ended()
    assert.strictEqual(code, 0)
    assert.isBelow(tookMs, 8000)
  })

  it("harms nothing where it cannot be read: counted each time, logged once, and once when it is over", async () => {
    const listing = { status: 401, body: "{}" }
    const server = Http.createServer((_, response) => {
      response.writeHead(listing.status, { "content-type": "application/json" }).end(listing.body)
    })
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`
    const conduit = await starting(
      {
        providers: { local: { kind: "openai-compatible", baseUrl, apiKey: "canary-list-key" } },
        models: [entry("m", { contextWindow: 1000 })]
      },
      { CONDUIT_MODEL_LIST_INTERVAL: "0.05" }
    )
    await eventually("five failures", limitMs, async () => ((await reads(conduit, "failed")) >= 5 ? true : undefined))
    const began = () =>
      conduit.lines.filter((line) =>
        String(line["message"]).startsWith("the models that provider local lists were not read")
      )
    assert.strictEqual(began().length, 1)
    assert.strictEqual(began()[0]?.["level"], "WARNING")
    assert.include(String(began()[0]?.["message"]), "it answers 401")
    assert.strictEqual((await modelOf(conduit, "m")).context_length, 1000)

    Object.assign(listing, { status: 200, body: '{"data":[{"id":"m","max_model_len":5}]}' })
    await conduit.logged("the models that provider local lists are read again, after")
    // What the configuration says stays.
    assert.strictEqual((await modelOf(conduit, "m")).context_length, 1000)
    assert.strictEqual(began().length, 1)
    assert.notInclude(JSON.stringify(conduit.lines), "canary-list-key")
    server.close()
  })

  it("is not missed where there is none", async () => {
    const mock = await mocked({ list: "none", models: [{ name: "m" }] })
    const conduit = await starting({ ...provider(mock), models: [entry("m")] })
    await readOnce(conduit, "none")
    assert.isFalse(conduit.lines.some(({ level }) => level === "WARNING"))
  })

  it("is not asked for by a provider without one, or at all, where that is set", async () => {
    const mock = await mocked({ models: [{ name: "m", listed: { max_model_len: 4096 } }] })
    const [without, off] = await Promise.all([
      starting({ ...provider(mock, { modelList: false }), models: [entry("m")] }, { CONDUIT_ROUTER_ID: "a" }),
      starting(
        { ...provider(mock), models: [entry("m")] },
        { CONDUIT_MODEL_LIST_INTERVAL: "0", CONDUIT_ROUTER_ID: "b" }
      )
    ])
    for (const conduit of [without, off]) {
      assert.strictEqual((await request(`${conduit.url}/v1/chat/completions`, { body: chat("x") })).status, 200)
      assert.isNull((await modelOf(conduit, "m")).context_length)
      assert.notInclude((await request(`${conduit.url}/metrics`)).text, "conduit_model_list_reads_total")
    }
  })

  it("is read elsewhere under the address where the file says so, as LiteLLM needs it", async () => {
    const info = {
      max_input_tokens: 4096,
      supports_vision: false,
      input_cost_per_token: 1e-6,
      output_cost_per_token: 2e-6
    }
    const mock = await mocked({ list: "litellm", models: [{ name: "m", listed: info }] })
    const conduit = await starting({ ...provider(mock, { modelList: "model/info" }), models: [entry("m")] })
    await conduit.logged("the models that provider local lists:")
    assert.deepInclude((await modelOf(conduit, "m")).conduit, {
      context_window: 4096,
      input_usd_per_mtok: 1,
      output_usd_per_mtok: 2
    })
  })

  it("is read anew from another address after a reload", async () => {
    const [one, other] = [
      await mocked({ models: [{ name: "m", listed: { max_model_len: 1111 } }] }),
      await mocked({ models: [{ name: "m", listed: { max_model_len: 2222 } }] })
    ]
    const env = withFile({ ...provider(one), models: [entry("m")] })
    const conduit = await starting({}, { ...env, CONDUIT_RELOAD_ON_SIGHUP: "true" })
    const known = (window: number) =>
      eventually(`the window is ${window}`, limitMs, async () =>
        (await modelOf(conduit, "m")).context_length === window ? true : undefined
      )
    await known(1111)
    Fs.writeFileSync(env["CONDUIT_CONFIG"] ?? "", JSON.stringify({ ...provider(other), models: [entry("m")] }))
    conduit.kill("SIGHUP")
    await known(2222)
  })

  it("is in doctor's checklist: what is known and by whom, what contradicts it, what ends", async () => {
    const mock = await mocked({
      models: [
        { name: "listed", listed: openRouter },
        { name: "told", listed: { max_model_len: 4096 } },
        { name: "gone", listed: { active: false } }
      ]
    })
    const env = {
      ...withFile({
        ...provider(mock),
        models: [
          entry("listed"),
          entry("told", { contextWindow: 128_000, inputUsdPerMTok: 1, outputUsdPerMTok: 1 }),
          entry("gone", { inputUsdPerMTok: 1, outputUsdPerMTok: 1 })
        ]
      }),
      CONDUIT_SIMULATE: "false",
      DATABASE_URL: database.url
    }
    const { stdout } = await runCommand(["doctor", "--json"], { env })
    const checks: ReadonlyArray<{ name: string; status: string; detail: string }> = JSON.parse(stdout).checks
    const models = checks.find(({ name }) => name === "models")
    assert.strictEqual(models?.status, "pass", JSON.stringify(models))
    assert.include(models?.detail, "listed 8192 tokens (upstream), 2/4 USD (models listed by local)")
    assert.include(models?.detail, "told 128000 tokens (configuration), 1/1 USD (conduit.yaml)")
    const warned = checks
      .filter(({ name }) => name.startsWith("model "))
      .map(({ detail, name, status }) => [name, status, detail])
    assert.deepStrictEqual(warned, [
      ["model told", "warn", "contextWindow is 128000 in the configuration, and its provider lists 4096"],
      ["model gone", "warn", "its provider says that it is retired"]
    ])
  })
})
