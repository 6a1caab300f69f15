import { afterAll, afterEach, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { parse } from "yaml"
import { runCommand } from "../support/command.ts"
import { chat, killAll, request, startConduit } from "../support/conduit.ts"
import { createDatabase, type TestDatabase } from "../support/postgres.ts"
import { type ScriptedUpstream, startScripted } from "../support/scriptedUpstream.ts"

let database: TestDatabase
let upstream: ScriptedUpstream
const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-import-"))
beforeAll(async () => {
  database = await createDatabase()
  upstream = await startScripted({})
})
afterEach(killAll)
afterAll(async () => {
  await upstream.close()
  await database.drop()
  Fs.rmSync(folder, { recursive: true })
})

const config = () => `
model_list:
  - model_name: gpt-4o
    litellm_params: { model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY, rpm: 100 }
  - model_name: gpt-4o
    litellm_params: { model: azure/gpt-4o-eu, api_base: os.environ/AZURE_API_BASE, api_key: os.environ/AZURE_API_KEY, api_version: "2024-10-21" }
  - model_name: own
    litellm_params: { model: openai/own-7b, api_base: "${upstream.url}", api_key: sk-literal-1, stream_timeout: 30 }
    model_info: { input_cost_per_token: 1.5e-7, output_cost_per_token: 0.0000006, max_input_tokens: 32000, max_output_tokens: 4096, supports_vision: false }
  - model_name: spare
    litellm_params: { model: openai/spare-7b, api_base: "${upstream.url}", api_key: os.environ/OWN_KEY }
  - model_name: claude
    litellm_params: { model: sagemaker/a-claude }
  - model_name: vectors
    litellm_params: { model: openai/text-embedding-3-small }
    model_info: { mode: embedding }
  - model_name: thinker
    litellm_params: { model: openai/gpt-5-pro }
    model_info: { mode: responses }
  - model_name: painter
    litellm_params: { model: openai/gpt-image-1 }
    model_info: { mode: image_generation }
  - model_name: "*"
    litellm_params: { model: "*" }
litellm_settings:
  drop_params: true
  fallbacks: [{ own: [spare] }]
router_settings:
  routing_strategy: usage-based-routing-v2
  model_group_alias: { gpt-4: gpt-4o }
general_settings: { master_key: os.environ/LITELLM_MASTER_KEY, something_new: 1 }
`

describe("conduit import litellm", () => {
  it("makes a file that serves the same names, and says what it left out", async () => {
    const [from, out] = [Path.join(folder, "config.yaml"), Path.join(folder, "conduit.yaml")]
    Fs.writeFileSync(from, config())
    const made = await runCommand(["import", "litellm", "--out", out, from])
    assert.strictEqual(made.code, 0, made.stderr)
    const text = Fs.readFileSync(out, "utf8")
    const file = parse(text)
    assert.deepStrictEqual(file.providers, {
      openai: { preset: "openai" },
      azure: { preset: "azure", baseUrl: "${AZURE_API_BASE}/openai/v1", apiKey: "${AZURE_API_KEY}" },
      "openai-2": { preset: "openai", baseUrl: upstream.url },
      "openai-3": { preset: "openai", baseUrl: upstream.url, apiKey: "${OWN_KEY}" },
      "openai-4": { preset: "openai", kind: "openai-responses" }
    })
    assert.deepStrictEqual(
      file.models.map(({ id, provider, upstream }: any) => [id, provider, upstream]),
      [
        ["openai/gpt-4o", "openai", "gpt-4o"],
        ["azure/gpt-4o-eu", "azure", "gpt-4o-eu"],
        ["openai-2/own-7b", "openai-2", "own-7b"],
        ["spare", "openai-3", "spare-7b"],
        ["vectors", "openai", "text-embedding-3-small"],
        ["thinker", "openai-4", "gpt-5-pro"]
      ]
    )
    assert.deepInclude(file.models[2], {
      inputUsdPerMTok: 0.15,
      outputUsdPerMTok: 0.6,
      contextWindow: 32_000,
      maxOutputTokens: 4096,
      firstByteTimeout: "30 seconds",
      capabilities: { vision: false }
    })
    assert.deepStrictEqual(file.models[4].embeddings, { space: "text-embedding-3-small" })
    assert.deepStrictEqual(file.aliases, {
      "gpt-4o": { models: ["openai/gpt-4o", "azure/gpt-4o-eu"] },
      own: { models: ["openai-2/own-7b", "spare"] },
      "gpt-4": { models: ["openai/gpt-4o", "azure/gpt-4o-eu"] }
    })
    assert.notInclude(text, "sk-literal-1")
    for (const note of [
      "litellm_params.rpm: here limits",
      "(own): its key is not copied: set OPENAI_API_KEY",
      "(claude) is left out: sagemaker is none",
      "(painter) is left out: it is for image_generation",
      "(*) is left out: a name with *",
      "litellm_settings.drop_params: here fields",
      "router_settings.routing_strategy: here policy.algorithm",
      "general_settings.master_key: here CONDUIT_API_KEYS",
      "general_settings.something_new: has no counterpart"
    ]) {
      assert.include(made.stderr, note)
    }

    const conduit = await startConduit({
      databaseUrl: database.url,
      env: {
        CONDUIT_CONFIG: out,
        CONDUIT_SIMULATE: "",
        OPENAI_API_KEY: "sk-1",
        OWN_KEY: "sk-2",
        AZURE_API_BASE: "http://127.0.0.1:9",
        AZURE_API_KEY: "sk-3"
      }
    })
    const answer = await request(`${conduit.url}/v1/chat/completions`, { body: chat("hello", { model: "own" }) })
    assert.strictEqual(answer.status, 200)
    assert.oneOf(answer.headers["x-conduit-model"], ["openai-2/own-7b", "spare"])
  })

  it("refuses what is no configuration of LiteLLM", async () => {
    const from = Path.join(folder, "other.yaml")
    Fs.writeFileSync(from, "models: []\n")
    const refused = await runCommand(["import", "litellm", from], { directory: folder })
    assert.strictEqual(refused.code, 1)
    assert.include(refused.stderr, "has no model_list")
  })
})
