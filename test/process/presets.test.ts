import { afterAll, afterEach, assert, beforeAll, describe, it } from "@effect/vitest"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"
import { type PresetName, presetNames, presetOf } from "../../src/domain/models/Presets.ts"
import { runCommand } from "../support/command.ts"
import { chat, killAll, request, startConduit } from "../support/conduit.ts"
import { createDatabase, type TestDatabase } from "../support/postgres.ts"
import { has } from "../support/external.ts"
import { inTerminal } from "../support/terminal.ts"
import { answers } from "../support/scriptedUpstream.ts"

let database: TestDatabase
beforeAll(async () => {
  database = await createDatabase()
})
const closing: Array<() => void> = []
afterEach(async () => {
  await killAll()
  for (const close of closing.splice(0)) close()
})
afterAll(() => database.drop())

/** In Anthropic's protocol. */
const answersMessage = (response: Http.ServerResponse, model: string) => {
  const content = [{ type: "text", text: "hello" }]
  const usage = { input_tokens: 9, output_tokens: 1 }
  response.writeHead(200, { "content-type": "application/json" })
  response.end(
    JSON.stringify({ id: "msg_1", type: "message", role: "assistant", model, content, stop_reason: "end_turn", usage })
  )
}

/** In Google's. */
const answersContent = (response: Http.ServerResponse) => {
  const candidates = [{ content: { parts: [{ text: "hello" }], role: "model" }, finishReason: "STOP" }]
  const usageMetadata = { promptTokenCount: 9, candidatesTokenCount: 1, totalTokenCount: 10 }
  response.writeHead(200, { "content-type": "application/json" })
  response.end(JSON.stringify({ candidates, usageMetadata }))
}

/** In Amazon's. */
const answersConverse = (response: Http.ServerResponse) => {
  const output = { message: { role: "assistant", content: [{ text: "hello" }] } }
  const usage = { inputTokens: 9, outputTokens: 1, totalTokens: 10 }
  response.writeHead(200, { "content-type": "application/json" })
  response.end(JSON.stringify({ output, stopReason: "end_turn", usage }))
}

/** How a vendor's own protocol is called. */
const spokenBy = (name: PresetName, model: string) => {
  switch (presetOf(name).kind) {
    case "anthropic":
      return { operation: "messages", key: keyOf(name) }
    case "gemini":
      return { operation: `models/${model}:generateContent`, key: keyOf(name) }
    case "bedrock":
      return { operation: `model/${encodeURIComponent(model)}/converse`, key: `Bearer ${keyOf(name)}` }
    default:
      return { operation: "chat/completions", key: `Bearer ${keyOf(name)}` }
  }
}

/** Stands in for vendors: what it lists, by the beginning of the path, and all that it was asked. */
const startStandIn = async (
  listed: (path: string) => ReadonlyArray<string> | null,
  accepts: (key: string) => boolean = () => true
) => {
  const asked: Array<{ readonly path: string; readonly key: string; readonly model: string | null }> = []
  const server = Http.createServer((incoming, response) => {
    const path = incoming.url ?? ""
    const key = String(
      incoming.headers.authorization ?? incoming.headers["x-api-key"] ?? incoming.headers["x-goog-api-key"] ?? "none"
    )
    if (!accepts(key)) return void response.writeHead(401).end()
    if (incoming.method === "GET") {
      asked.push({ path, key, model: null })
      const names = listed(path)
      if (names === null) return void response.writeHead(404).end()
      response.writeHead(200, { "content-type": "application/json" })
      return void response.end(JSON.stringify({ object: "list", data: names.map((id) => ({ id, object: "model" })) }))
    }
    const chunks: Array<Buffer> = []
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk))
    incoming.on("end", () => {
      const body = JSON.parse(Buffer.concat(chunks).toString("utf8"))
      const [, named = null] = /\/models\/(.+):generateContent$/.exec(path) ?? []
      asked.push({ path, key, model: body.model ?? named })
      if (named !== null) return answersContent(response)
      const converse = /\/model\/(.+)\/converse$/.exec(path)?.[1]
      if (converse !== undefined) {
        asked[asked.length - 1] = { path, key, model: decodeURIComponent(converse) }
        return answersConverse(response)
      }
      if (path.endsWith("/messages")) return answersMessage(response, body.model)
      answers()(response, { model: body.model, body, headers: incoming.headers })
    })
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  closing.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

/** Without a file, and without simulation being asked for. */
const starting = (env: Record<string, string>) =>
  startConduit({ databaseUrl: database.url, env: { CONDUIT_SIMULATE: "", ...env } })

const modelsOf = async (url: string): Promise<ReadonlyArray<any>> =>
  (await request(`${url}/v1/models`)).json.data.filter((model: any) => model.id !== "auto")

const ownModel = (name: PresetName) => `${name}-local-chat`
const keyOf = (name: PresetName) => `key-of-${name}`

describe("a start without a file", () => {
  it("serves with the models of every preset whose key is set, at its address", async () => {
    const standIn = await startStandIn((path) => {
      const name = presetNames.find((one) => path.startsWith(`/${one}/`))
      if (name === undefined) return null
      const { models } = presetOf(name)
      return [`${name}-embedding`, ...(models.length > 0 ? models : [ownModel(name)])]
    })
    const env: Record<string, string> = { AZURE_OPENAI_DEPLOYMENT: ownModel("azure") }
    for (const name of presetNames) {
      const { address, keys } = presetOf(name)
      env[address.variable] = `${standIn.url}/${name}`
      if (keys[0] !== undefined) env[keys[0]] = keyOf(name)
    }
    const conduit = await starting(env)
    const models = await modelsOf(conduit.url)
    assert.deepStrictEqual(
      models.map((model) => model.conduit.provider),
      [...presetNames]
    )
    for (const name of presetNames) {
      const preset = presetOf(name)
      const model = models.find((one) => one.conduit.provider === name)
      const upstream = preset.models[0] ?? ownModel(name)
      const answer = await request(`${conduit.url}/v1/chat/completions`, { body: chat("hello", { model: model.id }) })
      assert.strictEqual(answer.status, 200, `${name}: ${answer.text}`)
      assert.deepStrictEqual(
        standIn.asked.filter(({ model, path }) => path.startsWith(`/${name}/`) && model !== null),
        [
          {
            path: `/${name}${preset.address.suffix}/${spokenBy(name, upstream).operation}`,
            key: preset.keys.length === 0 ? "none" : spokenBy(name, upstream).key,
            model: upstream
          }
        ]
      )
      // What costs is known at the vendor's own price, wherever the calls go.
      if (preset.isFree === true) assert.strictEqual(model.conduit.input_usd_per_mtok, 0)
      else if (preset.pricedAt !== null && preset.models.length > 0) {
        assert.isAbove(model.conduit.input_usd_per_mtok, 0, name)
      }
    }
  })

  it("serves the current models that the provider lists, a few of them, and says which", async () => {
    const standIn = await startStandIn(() => ["gpt-5.6-terra-2026-09-01", "gpt-5.6-luna", "gpt-3.5-turbo", "whisper-1"])
    const conduit = await starting({ OPENAI_API_KEY: "sk-1", OPENAI_BASE_URL: `${standIn.url}/v1` })
    const served = ["gpt-5.6-terra-2026-09-01", "gpt-5.6-luna"]
    assert.deepStrictEqual(
      (await modelsOf(conduit.url)).map(({ id }) => id),
      served
    )
    const said = await conduit.logged("OpenAI answers, as OPENAI_API_KEY is set, by")
    assert.include(said["message"], served.join(", "))
    assert.include((await conduit.logged("there is no conduit.yaml"))["message"], "conduit init")
    const { status } = await request(`${conduit.url}/v1/chat/completions`, { body: chat("hello") })
    assert.strictEqual(status, 200)
  })

  it("serves what it knows of a provider that cannot be asked for its list", async () => {
    const conduit = await starting({ DEEPSEEK_API_KEY: "sk-1", DEEPSEEK_BASE_URL: "http://127.0.0.1:9/v1" })
    assert.deepStrictEqual(
      (await modelsOf(conduit.url)).map(({ id }) => id),
      [...presetOf("deepseek").models]
    )
    assert.include((await conduit.logged("DeepSeek answers"))["message"], "not compared with its list")
  })

  it("says which value of the environment is wrong, and does not show it, and which key is no wish", async () => {
    const conduit = await starting({ OPENAI_API_KEY: "sk-1", OPENAI_BASE_URL: "ftp://hunter2", HF_TOKEN: "hf-1" })
    await conduit.logged("Hugging Face is left out: HF_TOKEN is set for downloads of models too")
    const said = await conduit.logged("OpenAI is left out: the value of OPENAI_BASE_URL")
    assert.notInclude(JSON.stringify([said, conduit.lines]), "hunter2")
    await conduit.logged("no model is usable: simulated models answer")
  })
})

describe("conduit init", () => {
  const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-init-"))
  afterAll(() => Fs.rmSync(folder, { recursive: true }))

  it("writes the file that serves the same models, and never over another", async () => {
    const standIn = await startStandIn(() => ["llama3.3:70b", "nomic-embed-text:latest"])
    const env = { OLLAMA_HOST: standIn.url.slice("http://".length) }
    const file = Path.join(folder, "conduit.yaml")
    const made = await runCommand(["init", "--out", file], { env })
    assert.strictEqual(made.code, 0, made.stderr)
    const again = await runCommand(["init", "--out", file], { env })
    assert.strictEqual(again.code, 1)
    assert.include(again.stderr, "is there already")
    const conduit = await starting({ ...env, CONDUIT_CONFIG: file })
    const [model, ...others] = await modelsOf(conduit.url)
    assert.deepStrictEqual(others, [])
    assert.deepInclude(model.conduit, { provider: "ollama", input_usd_per_mtok: 0 })
    assert.strictEqual(model.id, "llama3.3:70b")
    const { status } = await request(`${conduit.url}/v1/chat/completions`, { body: chat("hello") })
    assert.strictEqual(status, 200)
  })

  it.skipIf(!has("terminal"))("asks at a terminal for a key, tries it, and shows what it opens", async () => {
    const standIn = await startStandIn(
      () => ["gpt-5.6-terra", "gpt-4o", "whisper-1"],
      (key) => key === "Bearer sk-right"
    )
    const directory = Fs.mkdtempSync(Path.join(folder, "asked-"))
    const env = { OPENAI_BASE_URL: `${standIn.url}/v1` }
    const terminal = inTerminal(["init"], { env, directory })
    await terminal.reads("Which providers shall answer?")
    await terminal.reads("OpenAI")
    const [down, space, enter] = ["\u001b[B", " ", "\r"]
    terminal.types(down + down + space + enter)
    await terminal.reads("its key (OPENAI_API_KEY)")
    terminal.types(`sk-wrong${enter}`)
    await terminal.reads("it answers 401")
    await terminal.reads("type it again")
    terminal.types(enter)
    await terminal.reads("its key (OPENAI_API_KEY)")
    terminal.types(`sk-right${enter}`)
    await terminal.reads("which models?")
    await terminal.reads("gpt-4o")
    // Below the two that choose all and the others: the usual one is chosen already.
    terminal.types(down + down + down + space + enter)
    await terminal.reads("conduit serve")
    assert.strictEqual(await terminal.ended, 0)
    assert.match(terminal.text(), /gpt-5\.6-terra +\$2 \/ \$12 .*tools/)
    assert.notInclude(terminal.text(), "sk-right")
    assert.notInclude(terminal.text(), "whisper-1")

    const file = Path.join(directory, "conduit.yaml")
    assert.notInclude(Fs.readFileSync(file, "utf8"), "sk-right")
    const keys = Path.join(directory, "conduit.keys")
    assert.strictEqual(Fs.readFileSync(Path.join(keys, "openai"), "utf8"), "sk-right\n")
    assert.strictEqual(Fs.statSync(Path.join(keys, "openai")).mode & 0o077, 0)
    assert.strictEqual(Fs.readFileSync(Path.join(keys, ".gitignore"), "utf8"), "*\n")
    const conduit = await starting({ ...env, CONDUIT_CONFIG: file })
    const models = await modelsOf(conduit.url)
    assert.deepStrictEqual(
      models.map(({ id }) => id),
      ["gpt-5.6-terra", "gpt-4o"]
    )
    assert.strictEqual((await request(`${conduit.url}/v1/chat/completions`, { body: chat("hello") })).status, 200)

    const again = inTerminal(["init"], { env, directory })
    await again.reads("is there already")
    assert.strictEqual(await again.ended, 1)
    const stopped = inTerminal(["init", "--out", "other.yaml"], { env, directory })
    await stopped.reads("Which providers shall answer?")
    stopped.types("\u0003")
    await stopped.reads("nothing is written")
    assert.strictEqual(await stopped.ended, 1)
    assert.isFalse(Fs.existsSync(Path.join(directory, "other.yaml")))
  })

  it("says which variables name a provider where none does", async () => {
    const { code, stderr } = await runCommand(["init", "--out", "-"], { env: {} })
    assert.strictEqual(code, 1)
    for (const text of ["OPENAI_API_KEY", "OLLAMA_HOST", "AZURE_OPENAI_ENDPOINT"]) assert.include(stderr, text)
  })
})
