// Runs clients in other languages, pinned and unchanged, against the built service: every case of cases.ts with each, and
// compares with what clients.ts says of them. Prints a line a client, then the table, and writes it into docs/clients.md.
// A language whose toolchain is not here is skipped with a word. Exit code 1 where something differs.
// npm run test:clients [-- which of them, as a regular expression]
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { createInterface } from "node:readline"
import { type Case, cases, casesOfGenerated, type Got, noAnswer } from "./cases.ts"
import { type Client, clients, root } from "./clients.ts"
import { describeError, jsClients } from "./javascript.ts"
import { written } from "./matrix.ts"
import { type ClientService, startClientService } from "./service.ts"
import { type Driver, type Generator, generators, missing, type Toolchain, toolchains } from "./toolchains.ts"

/** From one answer to the next, the driver's start included. */
const limitMs = 120_000

const say = (line: string) => process.stdout.write(`${line}\n`)
const running = new Set<ChildProcess>()

/** Tells the driver these cases, and returns what it answered before it ended or fell silent. */
const ask = async (
  { command: [program, ...args], env }: Driver,
  service: ClientService,
  told: ReadonlyArray<Case>,
  client: string
): Promise<{ readonly answered: ReadonlyMap<string, Got>; readonly end: string }> => {
  const child = spawn(program!, [...args, `${service.url}/v1`], {
    env: { ...process.env, ...env },
    stdio: ["pipe", "pipe", "pipe"],
    detached: true
  })
  running.add(child)
  let words = ""
  child.stderr.on("data", (chunk) => (words = (words + String(chunk)).slice(-2000)))
  child.stdin.on("error", () => undefined)
  child.stdin.end(told.map((one) => `${JSON.stringify({ case: one.name, ...service.callOf(one, client) })}\n`).join(""))
  const answered = new Map<string, Got>()
  let isSilent = false
  const stop = () => {
    isSilent = true
    process.kill(-child.pid!, "SIGKILL")
  }
  let timer = setTimeout(stop, limitMs)
  createInterface({ input: child.stdout }).on("line", (line) => {
    if (!line.startsWith("{")) return
    const got = JSON.parse(line) as Got & { readonly case: string }
    answered.set(got.case, got)
    clearTimeout(timer)
    timer = setTimeout(stop, limitMs)
  })
  const [code] = await once(child, "close")
  clearTimeout(timer)
  running.delete(child)
  return { answered, end: isSilent ? `nothing for ${limitMs / 1000} s` : `ended with ${String(code)}: ${words}` }
}

/** What falls silent or ends is started again for the cases behind it. */
const runDriver = async (driver: Driver, service: ClientService, told: ReadonlyArray<Case>, client: string) => {
  const all = new Map<string, Got>()
  let left = told
  while (left.length > 0) {
    const { answered, end } = await ask(driver, service, left, client)
    for (const [name, got] of answered) all.set(name, got)
    const [next, ...rest] = left.filter(({ name }) => !answered.has(name))
    if (next !== undefined) all.set(next.name, { error: { class: noAnswer, message: end } })
    left = rest
  }
  return all
}

const runJavaScript = async (service: ClientService, told: ReadonlyArray<Case>, client: string) => {
  const all = new Map<string, Got>()
  for (const one of told) {
    const answer = jsClients[client]!(`${service.url}/v1`, service.callOf(one, client))
    all.set(one.name, await answer.catch((error: unknown) => ({ error: describeError(error) })))
  }
  return all
}

/** What is not as the tables say. */
const differences = (
  flaws: Client["flaws"],
  told: ReadonlyArray<Case>,
  got: ReadonlyMap<string, Got>
): ReadonlyArray<string> =>
  told.flatMap((one) => {
    const problem = one.problem(got.get(one.name) ?? {})
    const flaw = flaws[one.name]
    if (flaw === undefined) return problem === null ? [] : [`${one.name}: ${problem}`]
    if (problem === null) return [`${one.name}: right, though its flaw says ${String(flaw.problem)}`]
    return flaw.problem.test(problem) ? [] : [`${one.name}: not ${String(flaw.problem)} but ${problem}`]
  })

/** The slow cases run beside the others. Returns how many differ. */
const runClient = async (
  { flaws, id }: Pick<Client, "flaws" | "id">,
  told: ReadonlyArray<Case>,
  some: (told: ReadonlyArray<Case>) => Promise<ReadonlyMap<string, Got>>
): Promise<number> => {
  const startedAt = Date.now()
  const slow = told.filter(({ isSlow }) => isSlow === true)
  const parts = await Promise.all([
    some(told.filter(({ isSlow }) => isSlow !== true)),
    ...slow.map((one) => some([one]))
  ])
  const got = new Map(parts.flatMap((part) => [...part]))
  if (process.env["CLIENTS_VERBOSE"] === "true") for (const [name, one] of got) say(`  ${name}: ${JSON.stringify(one)}`)
  const differs = differences(flaws, told, got)
  const right = told.filter((one) => one.problem(got.get(one.name) ?? {}) === null).length
  const seconds = Math.round((Date.now() - startedAt) / 1000)
  say(
    `${id}: ${differs.length === 0 ? "as the table says" : `${differs.length} differ`}, ${right} of ${told.length} right, ${seconds} s`
  )
  for (const line of differs) say(`  ${line}`)
  return differs.length
}

/** One that cannot be built is a failure, and no reason to leave the others out. */
const orFailure = (id: string, run: () => Promise<number>): Promise<number> =>
  run().catch((error: unknown) => {
    say(`${id}: ${error instanceof Error ? error.message : String(error)}`)
    return 1
  })

const runOne = async (client: Client, service: ClientService): Promise<number> => {
  const { id, language } = client
  if (language === "JavaScript") return runClient(client, cases, (told) => runJavaScript(service, told, id))
  const driver = await toolchains[language].build(client)
  return runClient(client, cases, (told) => runDriver(driver, service, told, id))
}

const runGenerated = async ({ build, id }: Generator, service: ClientService): Promise<number> => {
  const driver = await build(service.url)
  return runClient({ flaws: {}, id }, casesOfGenerated, (told) => runDriver(driver, service, told, id))
}

const isHere = (what: string, toolchain: Pick<Toolchain, "programs">): boolean => {
  const program = missing(toolchain)
  if (program !== null) say(`${what}: skipped, ${program} is not on this machine`)
  return program === null
}

const run = async (only: RegExp): Promise<number> => {
  const chosen = clients.filter(({ id }) => only.test(id))
  const made = generators.filter((generator) => only.test(generator.id) && isHere(generator.id, generator))
  const withoutToolchain = new Set(
    Object.entries(toolchains).flatMap(([language, toolchain]) =>
      chosen.some((client) => client.language === language) && !isHere(language, toolchain) ? [language] : []
    )
  )
  const service = await startClientService([...clients, ...generators].map(({ id }) => id))
  let failures = 0
  try {
    for (const client of chosen) {
      if (!withoutToolchain.has(client.language)) failures += await orFailure(client.id, () => runOne(client, service))
    }
    for (const one of made) failures += await orFailure(one.id, () => runGenerated(one, service))
  } finally {
    await service.close()
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
const failures = await run(only)
const page = Path.join(root, "docs", "clients.md")
const text = written(Fs.readFileSync(page, "utf8"))
say(text)
if (failures === 0) Fs.writeFileSync(page, text)
process.exitCode = failures === 0 ? 0 : 1
