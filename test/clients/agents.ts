// Runs command-line agents, pinned and unchanged, each in a home and a project folder of its own, through the built
// service: a loop of three commands, a stream that breaks in its middle, a rate limit, a refusal. Prints a line a case;
// exit code 1 where one is not as it is here. What cannot be installed is skipped with a word.
// npm run test:agents [-- which of them, as a regular expression]
import { type ChildProcess, execFile, spawn } from "node:child_process"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { promisify } from "node:util"
import { killAll, startConduit } from "../support/conduit.ts"
import { type Answering, answers, type Asked, error, refuses, startScripted } from "../support/scriptedUpstream.ts"

const run = promisify(execFile)
const say = (line: string) => process.stdout.write(`${line}\n`)
const running = new Set<ChildProcess>()

/** One case of one agent. */
const limitMs = 150_000
const installLimitMs = 10 * 60_000

interface Agent {
  readonly id: string
  /** The package, with its version. */
  readonly packages: ReadonlyArray<string>
  /** The file in it that is run. */
  readonly program: string
  /** A script of the package that makes the program, which npm does not run unasked. */
  readonly madeBy?: string
  readonly args: (prompt: string) => ReadonlyArray<string>
  readonly env: (url: string, model: string) => Readonly<Record<string, string>>
  /** Files in its home folder, by name. */
  readonly files?: (url: string, model: string) => Readonly<Record<string, string>>
  /** Why a case is not expected of it; what it does instead is in docs/clients.md. */
  readonly without?: Readonly<Record<string, string>>
}

const agents: ReadonlyArray<Agent> = [
  {
    id: "codex",
    packages: ["@openai/codex@0.171.0"],
    program: "@openai/codex/bin/codex.js",
    args: (prompt) => ["exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", prompt],
    env: () => ({ CONDUIT_KEY: "any" }),
    files: (url, model) => ({
      ".codex/config.toml": [
        `model = "${model}"`,
        'model_provider = "conduit"',
        "[model_providers.conduit]",
        'name = "Conduit"',
        `base_url = "${url}/v1"`,
        'env_key = "CONDUIT_KEY"',
        'wire_api = "responses"'
      ].join("\n")
    }),
    without: { refusal: "it shows nothing of it" }
  },
  {
    id: "claude-code",
    packages: ["@anthropic-ai/claude-code@2.1.197"],
    program: "@anthropic-ai/claude-code/cli-wrapper.cjs",
    args: (prompt) => ["-p", prompt, "--allowedTools", "Bash"],
    env: (url, model) => ({
      ANTHROPIC_BASE_URL: url,
      ANTHROPIC_AUTH_TOKEN: "any",
      ANTHROPIC_MODEL: model,
      ANTHROPIC_SMALL_FAST_MODEL: model,
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
      DISABLE_AUTOUPDATER: "1"
    })
  },
  {
    id: "opencode",
    packages: ["opencode-ai@1.18.33"],
    program: "opencode-ai/bin/opencode.exe",
    madeBy: "opencode-ai/postinstall.mjs",
    args: (prompt) => ["run", prompt],
    env: () => ({ OPENCODE_DISABLE_AUTOUPDATE: "1" }),
    files: (url, model) => ({
      ".config/opencode/opencode.json": JSON.stringify({
        model: `conduit/${model}`,
        small_model: `conduit/${model}`,
        permission: { bash: "allow" },
        provider: {
          conduit: {
            npm: "@ai-sdk/openai-compatible",
            options: { baseURL: `${url}/v1`, apiKey: "any" },
            models: { [model]: {} }
          }
        }
      })
    }),
    without: { refusal: "it shows nothing of it" }
  },
  {
    id: "gemini-cli",
    packages: ["@google/gemini-cli@0.61.0"],
    program: "@google/gemini-cli/bundle/gemini.js",
    args: (prompt) => ["--approval-mode", "yolo", "-p", prompt],
    env: (url, model) => ({
      GEMINI_API_KEY: "any",
      GEMINI_MODEL: model,
      GOOGLE_GEMINI_BASE_URL: url,
      GEMINI_CLI_TRUST_WORKSPACE: "true"
    }),
    files: () => ({
      ".gemini/settings.json": JSON.stringify({
        security: { auth: { selectedType: "gemini-api-key" } },
        privacy: { usageStatisticsEnabled: false },
        general: { disableAutoUpdate: true }
      })
    }),
    without: { "cut stream": "it ends with an error, and asks no more" }
  }
]

const cacheOf = (id: string): string => {
  const home = process.env["XDG_CACHE_HOME"] ?? Path.join(Os.homedir(), ".cache")
  const folder = Path.join(home, "conduit-clients", "agents", id)
  Fs.mkdirSync(folder, { recursive: true })
  return folder
}

/** Installed once for the same pins. */
const installed = async ({ id, madeBy, packages }: Agent): Promise<string> => {
  const folder = cacheOf(id)
  const marker = Path.join(folder, ".built")
  const wanted = packages.join(" ")
  if (Fs.existsSync(marker) && Fs.readFileSync(marker, "utf8") === wanted) return folder
  Fs.writeFileSync(Path.join(folder, "package.json"), '{"private":true}')
  await run("npm", ["install", "--no-audit", "--no-fund", "--silent", "--save-exact", ...packages], {
    cwd: folder,
    timeout: installLimitMs
  })
  if (madeBy !== undefined) {
    const script = Path.join(folder, "node_modules", madeBy)
    await run(process.execPath, [script], { cwd: Path.dirname(script), timeout: installLimitMs })
  }
  Fs.writeFileSync(marker, wanted)
  return folder
}

/** A script of this Node, or a program of its own. */
const programOf = ({ program }: Agent, folder: string): ReadonlyArray<string> => {
  const file = Path.join(folder, "node_modules", program)
  return /\.[cm]?js$/.test(program) ? [process.execPath, file] : [file]
}

/** The tool that runs a command, by the agents' names of it. */
const shells = /^(?:exec_command|shell|bash|run_shell_command)$/i

const commandOf = (tool: any, step: number): object => {
  const { properties = {} } = tool.parameters ?? {}
  const text = `echo step-${step}`
  return {
    ...("cmd" in properties ? { cmd: text } : { command: text }),
    ...("description" in properties ? { description: "Say which step it is" } : {})
  }
}

/** Runs three commands one after another, and then says what the last one said. */
const loops: Answering = (response, asked) => {
  const { body, model } = asked
  const tool = (body.tools ?? []).map((one: any) => one.function).find((one: any) => shells.test(one?.name ?? ""))
  const results = body.messages.filter(({ role }: any) => role === "tool")
  if (tool === undefined || results.length >= 3) {
    const last = JSON.stringify(results.at(-1)?.content ?? "")
    return answers({}, { content: tool === undefined ? "a title" : `finished after ${last}` })(response, asked)
  }
  const call = {
    index: 0,
    id: `call_agent_step_${results.length}`,
    type: "function",
    function: { name: tool.name, arguments: JSON.stringify(commandOf(tool, results.length + 1)) }
  }
  const head = { id: "chatcmpl-1", created: 1_760_000_000, model }
  if (body.stream !== true) {
    response.writeHead(200, { "content-type": "application/json" })
    const message = { role: "assistant", content: null, tool_calls: [call] }
    const choices = [{ index: 0, message, finish_reason: "tool_calls" }]
    return void response.end(JSON.stringify({ ...head, object: "chat.completion", choices }))
  }
  response.writeHead(200, { "content-type": "text/event-stream" })
  const chunk = (delta: object, finish_reason: string | null) =>
    response.write(
      `data: ${JSON.stringify({ ...head, object: "chat.completion.chunk", choices: [{ index: 0, delta, finish_reason }] })}\n\n`
    )
  chunk({ role: "assistant", tool_calls: [call] }, null)
  chunk({}, "tool_calls")
  response.end("data: [DONE]\n\n")
}

/** The first question in earnest is answered by `first`, whatever comes later by a text. */
const atFirst = (first: Answering): Answering => {
  let isFirst = true
  return (response, asked) => {
    const isMain = (asked.body.tools ?? []).length > 0
    if (!isMain || !isFirst) return answers({}, { content: "it is whole now" })(response, asked)
    isFirst = false
    first(response, asked)
  }
}

const cuts: Answering = (response, { model }) => {
  response.writeHead(200, { "content-type": "text/event-stream" })
  const chunk = { id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model }
  const choices = [{ index: 0, delta: { role: "assistant", content: "it is ha" }, finish_reason: null }]
  response.write(`data: ${JSON.stringify({ ...chunk, choices })}\n\n`, () => response.socket?.destroy())
}

const cases = {
  loop: { script: () => loops, shows: /finished after .*step-3/s },
  "cut stream": { script: () => atFirst(cuts), shows: /it is whole now/ },
  "rate limit": {
    script: () => atFirst(refuses(429, error("slow down, try again in 1s"), { "retry-after": "1" })),
    shows: /it is whole now/
  },
  refusal: {
    script: (): Answering => answers({}, { content: null, refusal: "I would rather not." }),
    shows: /rather not|unable to respond|declined|policy/i
  }
} as const satisfies Readonly<Record<string, { readonly script: () => Answering; readonly shows: RegExp }>>

const idOf = (agent: string, name: string) => `${agent}-${name.replace(" ", "-")}`

/** Runs it once, with nothing of this machine's own settings. */
const runAgent = async (agent: Agent, folder: string, url: string, model: string) => {
  const home = Fs.mkdtempSync(Path.join(Os.tmpdir(), `conduit-${agent.id}-`))
  for (const [name, text] of Object.entries(agent.files?.(url, model) ?? {})) {
    Fs.mkdirSync(Path.dirname(Path.join(home, name)), { recursive: true })
    Fs.writeFileSync(Path.join(home, name), text)
  }
  const project = Path.join(home, "project")
  Fs.mkdirSync(project)
  const [program = "", ...args] = [...programOf(agent, folder), ...agent.args("Run the steps, please.")]
  const child = spawn(program, args, {
    cwd: project,
    env: {
      PATH: process.env["PATH"] ?? "",
      HOME: home,
      TERM: "dumb",
      CI: "true",
      ...agent.env(url, model)
    },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true
  })
  running.add(child)
  let said = ""
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (said += String(chunk)))
  const timer = setTimeout(() => process.kill(-child.pid!, "SIGKILL"), limitMs)
  const [code] = await once(child, "close")
  clearTimeout(timer)
  running.delete(child)
  Fs.rmSync(home, { recursive: true, force: true })
  return { code: code as number | null, said }
}

const tryAgent = async (agent: Agent, url: string, asked: ReadonlyArray<Asked>): Promise<number> => {
  let folder: string
  try {
    folder = await installed(agent)
    // A package for another platform installs, and does not run.
    const [program = "", ...args] = programOf(agent, folder)
    const { stdout } = await run(program, [...args, "--version"], { timeout: 60_000 })
    say(`${agent.id}: ${stdout.trim().split("\n").at(-1)}`)
  } catch (failed) {
    say(`${agent.id}: skipped, it cannot be installed here: ${String(failed).slice(0, 300)}`)
    return 0
  }
  let failures = 0
  for (const [name, { shows }] of Object.entries(cases)) {
    const model = idOf(agent.id, name)
    const before = asked.length
    const startedAt = Date.now()
    const { code, said } = await runAgent(agent, folder, url, model)
    const excuse = agent.without?.[name]
    const isRight = shows.test(said)
    const seconds = Math.round((Date.now() - startedAt) / 1000)
    const calls = asked.slice(before).filter((one) => one.model === model).length
    const verdict = isRight ? "right" : excuse === undefined ? "WRONG" : `as known: ${excuse}`
    say(`  ${name}: ${verdict}, ${calls} calls of the model, exit ${String(code)}, ${seconds} s`)
    if (isRight && excuse !== undefined) say(`    it is right, though it is said that ${excuse}`)
    if (isRight === (excuse !== undefined)) {
      failures++
      say(said.slice(-1500))
    }
  }
  return failures
}

const only = new RegExp(process.argv[3] ?? "")
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    for (const { pid } of running) if (pid !== undefined) process.kill(-pid, "SIGKILL")
    process.exit(1)
  })
}

const chosen = agents.filter(({ id }) => only.test(id))
const models = chosen.flatMap(({ id }) => Object.keys(cases).map((name) => ({ id: idOf(id, name) })))
const upstream = await startScripted(
  Object.fromEntries(
    chosen.flatMap(({ id }) => Object.entries(cases).map(([name, { script }]) => [idOf(id, name), script()]))
  )
)
let failures = 0
try {
  const conduit = await startConduit({ upstream: upstream.url, models })
  for (const agent of chosen) failures += await tryAgent(agent, conduit.url, upstream.asked)
} finally {
  await killAll()
  await upstream.close()
}
process.exitCode = failures === 0 ? 0 : 1
