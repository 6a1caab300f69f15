import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { type CommandResult, runCommand } from "../support/command.ts"
import { chat, type ConduitProcess, killAll, request, startConduit } from "../support/conduit.ts"
import { has } from "../support/external.ts"
import { createDatabase, freePort, type TestDatabase } from "../support/postgres.ts"
import { startUpstream, type Upstream } from "../support/processMock.ts"
import { inTerminal } from "../support/terminal.ts"

/** How a command of the help is run, what it says to people, and what of its JSON there must be. */
interface Row {
  readonly args: (json: boolean) => ReadonlyArray<string>
  readonly says: RegExp
  readonly has: ReadonlyArray<string>
}

/** Those that run until they are ended, or answer by their exit code; they have tests of their own. */
const others = ["serve", "mock-llm", "healthcheck"]
/** Those that only have commands under them. */
const groups = ["import", "models", "keys", "state", "judge"]

const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-commands-"))
const at = (name: string) => Path.join(folder, name)
const sample = Path.resolve(import.meta.dirname, "../../examples/outcomes/sample.jsonl")
const secret = "00".repeat(32)
let database: TestDatabase
let mock: Upstream
let conduit: ConduitProcess
let decisionId = ""
let env: Record<string, string> = {}

const run = (args: ReadonlyArray<string>, more: Record<string, string> = {}): Promise<CommandResult> =>
  runCommand(args, { env: { ...env, ...more }, directory: folder, limitMs: 60_000 })

const start = () =>
  startConduit({
    databaseUrl: database.url,
    upstream: mock.url,
    models: [{ id: "small" }, { id: "large" }],
    env: {
      CONDUIT_ROUTER_ID: "commanded",
      CONDUIT_PORT: env["CONDUIT_PORT"] ?? "0",
      CONDUIT_ADMIN_KEYS: "ops:admin-key-of-the-tests"
    }
  })
const headers = { authorization: "Bearer admin-key-of-the-tests" }

beforeAll(async () => {
  database = await createDatabase()
  mock = await startUpstream({ models: [{ name: "small" }, { name: "large" }] })
  env = {
    DATABASE_URL: database.url,
    CONDUIT_ROUTER_ID: "commanded",
    CONDUIT_PORT: String(await freePort()),
    CONDUIT_API_KEY: "admin-key-of-the-tests",
    OPENAI_API_KEY: "sk-of-the-tests",
    OPENAI_BASE_URL: mock.url
  }
  conduit = await start()
  for (let i = 0; i < 30; i++) {
    const body = chat(`question ${i}`, { conduit: { task: i % 2 === 0 ? "code" : "chat" } })
    const answer = await request(`${conduit.url}/v1/chat/completions`, { body, headers })
    decisionId = String(answer.headers["x-conduit-decision-id"])
    const judged = { decision_id: decisionId, kind: "score", value: 0.7 }
    assert.strictEqual((await request(`${conduit.url}/v1/feedback`, { body: judged, headers })).status, 200)
  }
  Fs.writeFileSync(at("litellm.yaml"), "model_list: [{ model_name: a, litellm_params: { model: openai/gpt-4o } }]\n")
  const lines = Array.from({ length: 3 }, (_, i) => ({ prompt: `p${i}`, answer: "a", quality: 0.5 }))
  Fs.writeFileSync(at("judged.jsonl"), lines.map((line) => JSON.stringify(line)).join("\n"))
}, 120_000)
afterAll(async () => {
  await killAll()
  await mock.close()
  await database.drop()
  Fs.rmSync(folder, { recursive: true, force: true })
})

/** Whole, because it is a table: one row a command, in an order in which what one makes the next can use. */
const rows: Readonly<Record<string, Row>> = {
  init: { args: () => ["--out", "-"], says: /preset: openai/, has: ["providers", "models"] },
  "import litellm": {
    args: () => ["--out", "-", at("litellm.yaml")],
    says: /^models:/m,
    has: ["providers", "models"]
  },
  migrate: { args: () => [], says: /up to date/, has: ["status"] },
  route: { args: () => ["--explain", "What is 17 * 23?"], says: /expected score.*\n[\s\S]*chose /, has: ["chosen"] },
  stats: { args: () => [], says: /^code .*small|^code .*large/m, has: ["totals", "groups"] },
  decisions: { args: () => ["--limit", "5"], says: /^time .*\n(?:.*\n){4}.*$/, has: ["data"] },
  top: { args: () => [], says: /the last 1h[\s\S]*decision/, has: ["stats", "decisions"] },
  "models list": { args: () => [], says: /^small /m, has: ["router_id", "models"] },
  "models disable": {
    args: (json) => [json ? "large" : "small"],
    says: /is disabled from position/,
    has: ["model", "enabled", "changed", "position"]
  },
  "models enable": {
    args: (json) => [json ? "large" : "small"],
    says: /is enabled from position/,
    has: ["model", "enabled", "changed", "position"]
  },
  "keys create": {
    args: (json) => (json ? ["one"] : ["two", "--sha256", secret]),
    says: /^$/,
    has: ["name", "secret", "secret_id"]
  },
  "keys list": { args: () => [], says: /^two /m, has: ["keys"] },
  "keys rotate": { args: () => ["one"], says: /^\S{20,}$/m, has: ["name", "secret", "secret_id"] },
  "keys revoke": {
    args: (json) => [json ? "one" : "two"],
    says: /key two is revoked/,
    has: ["name", "secret_id", "status"]
  },
  reload: { args: () => [], says: /at position \d+ of the log/, has: ["position"] },
  "state show": { args: () => [], says: /router commanded, position/, has: ["models", "snapshots"] },
  "state export": {
    args: (json) => [at(json ? "json.state" : "text.state")],
    says: /the state of router commanded at position/,
    has: ["file", "position", "bytes"]
  },
  "state reset": {
    args: (json) => [json ? "large" : "small", "--yes"],
    says: /^reset at position/,
    has: ["models", "position"]
  },
  replay: { args: () => ["--weights", "0.7,0.2,0.1"], says: /small/, has: ["weights"] },
  evaluate: {
    args: () => ["--algorithm", "random", "--seeds", "1", "--requests", "50", sample],
    says: /random/,
    has: ["tables"]
  },
  "judge calibrate": { args: () => ["--model", "small", at("judged.jsonl")], says: /small/, has: ["model", "pairs"] },
  doctor: { args: () => [], says: /^pass {2}database/m, has: ["checks"] }
}

/** Of these the state that they need is not made here; other tests do. What they say without it is below. */
const elsewhere = ["models confirm", "models dismiss", "state import", "state verify"]

describe("every command", () => {
  it("has a row here", async () => {
    const { stdout } = await run(["--help"])
    const listed = Array.from(stdout.matchAll(/^ {2}- ([a-z-]+(?: [a-z]+)?) {2,}/gm), ([, name = ""]) => name)
    assert.sameMembers([...Object.keys(rows), ...others, ...groups, ...elsewhere], listed)
    for (const line of stdout.split("\n").filter((text) => text.startsWith("  - "))) assert.isBelow(line.length, 200)
  })

  it("says in words what it did, and the same as JSON by --json", async () => {
    for (const [name, { args, has, says }] of Object.entries(rows)) {
      const words = await run([...name.split(" "), ...args(false)])
      const text = `${name}: ${words.stdout}${words.stderr}`
      assert.strictEqual(words.code, name === "doctor" ? words.code : 0, text)
      assert.match(words.stdout.trimEnd(), says, text)
      assert.notInclude(words.stdout, "\u001b", name)
      const json = await run([...name.split(" "), "--json", ...args(true)])
      assert.strictEqual(json.code, name === "doctor" ? json.code : 0, `${name}: ${json.stdout}${json.stderr}`)
      assert.containsAllKeys(JSON.parse(json.stdout), [...has], name)
    }
  }, 300_000)

  it("is completed by a shell", async () => {
    for (const shell of ["bash", "zsh", "fish", "sh"]) {
      const { code, stdout } = await run(["--completions", shell])
      assert.strictEqual(code, 0)
      for (const name of [...Object.keys(rows), ...others]) assert.include(stdout, name.split(" ").at(-1) ?? "", shell)
    }
  })

  it.each([
    [["stats", "--window", "soon"], /HTTP 400: window: .*such as 30m, 24h or 7d/],
    [["decisions", "nobody"], /there is no decision "nobody"/],
    [["decisions", "--limit", "900"], /limit/],
    [["top", "--window", "0h"], /window.*such as/],
    [["route", "--url", "http://127.0.0.1:9", "hello"], /127\.0\.0\.1:9.*nothing answers there.*conduit serve/],
    [["stats", "--url", "http://127.0.0.1:9"], /127\.0\.0\.1:9.*nothing answers there/],
    [["models", "disable", "smal"], /did you mean small\?/],
    [["models", "confirm", "small"], /no change of small was noticed/],
    [["models", "dismiss", "small"], /no change of small was noticed/],
    [["keys", "create", "9"], /name.*a letter/],
    [["keys", "rotate", "nobody"], /no key "nobody"/],
    [["keys", "revoke", "nobody"], /no key "nobody"/],
    [["state", "export", "/nowhere/file"], /\/nowhere\/file: ENOENT: name a file/],
    [["state", "import", "/nowhere/file"], /\/nowhere\/file: ENOENT: name a file that `conduit state export` wrote/],
    [["state", "reset"], /name one model, or say --all/],
    [["state", "reset", "small"], /say --yes/],
    [["replay", "--weights", "1"], /weights/i],
    [["evaluate", "/nowhere/data.jsonl"], /\/nowhere\/data\.jsonl/],
    [["judge", "calibrate", "--model", "small", "/nowhere/x"], /\/nowhere\/x cannot be read/],
    [["import", "litellm", "/nowhere/x"], /\/nowhere\/x/],
    [["stat"], /stat/]
  ] as const)("says what is wrong and what would be right: %j", async (args, says) => {
    const { code, stderr, stdout } = await run(args)
    assert.strictEqual(code, 1, stdout + stderr)
    assert.match(args[0] === "stat" ? stdout + stderr : stderr, says)
    assert.notMatch(stderr, /\n {4}at |undefined|\[object/)
  })

  it("says where the key goes that a service wants", async () => {
    const { stderr } = await run(["stats"], { CONDUIT_API_KEY: "" })
    assert.match(stderr, /an API key is needed.*--api-key or CONDUIT_API_KEY/)
  })

  it.skipIf(!has("terminal"))("top watches in a terminal until Ctrl+C, and is alive", async () => {
    const terminal = inTerminal(["top"], { env, directory: folder })
    await terminal.reads("Ctrl+C ends it")
    const body = chat("one more question", { conduit: { task: "seen-in-a-terminal" } })
    assert.strictEqual((await request(`${conduit.url}/v1/chat/completions`, { body, headers })).status, 200)
    await terminal.reads("seen-in-a-terminal")
    terminal.types("\u0003")
    await terminal.ended
  })

  it("reads of the database where nothing answers and no service is named", async () => {
    const service = JSON.parse((await run(["decisions", decisionId, "--json"])).stdout)
    conduit.kill("SIGTERM")
    assert.strictEqual((await conduit.ended()).code, 0)
    const stats = await run(["stats", "--json"])
    assert.strictEqual(stats.code, 0, stats.stderr)
    assert.isAtLeast(JSON.parse(stats.stdout).totals.requests, 31)
    const found = JSON.parse((await run(["decisions", decisionId, "--json"])).stdout)
    assert.deepStrictEqual(found.candidates, service.candidates)
    assert.deepStrictEqual(found.feedback, service.feedback)
    assert.match((await run(["top"])).stdout, /^the database of router commanded, the last 1h/)
    const named = await run(["stats", "--url", conduit.url])
    assert.strictEqual(named.code, 1)
    const nowhere = await run(["stats"], { DATABASE_URL: "" })
    assert.match(nowhere.stderr, /nothing answers there, and DATABASE_URL is not set/)
  })
})
