import { execFileSync, spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import type { Target } from "./load.ts"

/** A gateway of others, with nothing of its own to store or to decide: it passes each request on to the one upstream. */
export interface Peer extends Target {
  readonly name: string
  readonly pid: number
  readonly stop: () => void
}

/** The variables that name the programs of those that are written in other languages. */
const litellmProgram = process.env["LITELLM_PROGRAM"]
const bifrostProgram = process.env["BIFROST_PROGRAM"]

/** With these two of its parts as they were when it was made: a fresh installation of it fails every stream. */
const portkeyParts = {
  private: true,
  dependencies: { "@portkey-ai/gateway": "1.15.2" },
  overrides: { hono: "4.9.0", "@hono/node-server": "1.13.7" }
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = Net.createServer()
    server.once("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => (address !== null && typeof address === "object" ? resolve(address.port) : reject(address)))
    })
  })

const answers = async (url: string): Promise<void> => {
  for (let tries = 0; tries < 300; tries++) {
    const status = await fetch(url).then(
      (answer) => answer.status,
      () => 0
    )
    if (status > 0) return
    await sleep(100)
  }
  throw new Error(`${url} does not answer`)
}

/** A program that listens on the port, from now on until it is stopped or this process ends. */
const started = async (
  name: string,
  command: readonly [string, ...ReadonlyArray<string>],
  port: number,
  { env = {}, ...asked }: Partial<Omit<Target, "url">> & { readonly env?: Readonly<Record<string, string>> }
): Promise<Peer> => {
  const [file, ...args] = command
  const child = spawn(file, args, { env: { ...process.env, ...env }, stdio: ["ignore", "ignore", "pipe"] })
  let said = ""
  child.stderr.on("data", (chunk: Buffer) => (said = (said + chunk.toString()).slice(-2000)))
  const stop = () => void child.kill("SIGKILL")
  process.once("exit", stop)
  const failed = new Promise<never>((_, reject) => {
    child.once("error", reject)
    child.once("exit", (code) => reject(new Error(`${name} ended with ${code} before it answered: ${said}`)))
  })
  // Later it ends because it is stopped.
  failed.catch(() => undefined)
  const url = `http://127.0.0.1:${port}`
  await Promise.race([answers(url), failed])
  return { name, url, pid: child.pid!, stop, ...asked }
}

const temporaryFolder = (name: string): string => {
  const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), `conduit-bench-${name}-`))
  process.once("exit", () => Fs.rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Portkey's gateway from npm, installed once in the folder for temporary files. */
const startPortkey = async (upstream: string): Promise<Peer> => {
  const folder = Path.join(Os.tmpdir(), "conduit-bench-portkey-1.15.2")
  const program = Path.join(folder, "node_modules/@portkey-ai/gateway/build/start-server.js")
  if (!Fs.existsSync(program)) {
    Fs.mkdirSync(folder, { recursive: true })
    Fs.writeFileSync(Path.join(folder, "package.json"), JSON.stringify(portkeyParts))
    execFileSync("npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts"], { cwd: folder, stdio: "inherit" })
  }
  const port = await freePort()
  return started("Portkey", [process.execPath, program, `--port=${port}`, "--headless"], port, {
    env: { NODE_ENV: "production", TRUSTED_CUSTOM_HOSTS: "127.0.0.1,localhost" },
    headers: { authorization: "Bearer none", "x-portkey-provider": "openai", "x-portkey-custom-host": upstream }
  })
}

/** LiteLLM's proxy with one worker, no database, no cache and no callbacks; without a key it does not start. */
const startLiteLlm = async (program: string, upstream: string): Promise<Peer> => {
  const port = await freePort()
  const config = Path.join(temporaryFolder("litellm"), "config.yaml")
  const key = `sk-${randomBytes(32).toString("hex")}`
  const params = { model: "openai/model-0", api_base: upstream, api_key: "none" }
  // JSON is YAML.
  const configuration = {
    model_list: [{ model_name: "auto", litellm_params: params }],
    general_settings: { master_key: key }
  }
  Fs.writeFileSync(config, JSON.stringify(configuration))
  return started("LiteLLM", [program, "--config", config, "--host", "127.0.0.1", "--port", `${port}`], port, {
    env: { LITELLM_LOG: "ERROR", LITELLM_LOCAL_MODEL_COST_MAP: "True" },
    headers: { authorization: `Bearer ${key}` }
  })
}

/** Bifrost's HTTP transport without its stores of settings and logs. */
const startBifrost = async (program: string, upstream: string): Promise<Peer> => {
  const port = await freePort()
  const folder = temporaryFolder("bifrost")
  const openai = {
    keys: [{ name: "bench", value: "none", models: ["model-0"], weight: 1 }],
    network_config: { base_url: new URL(upstream).origin }
  }
  const stores = { config_store: { enabled: false }, logs_store: { enabled: false } }
  Fs.writeFileSync(Path.join(folder, "config.json"), JSON.stringify({ ...stores, providers: { openai } }))
  const command = [
    program,
    "-app-dir",
    folder,
    "-host",
    "127.0.0.1",
    "-port",
    `${port}`,
    "-log-level",
    "error"
  ] as const
  return started("Bifrost", command, port, { model: "openai/model-0" })
}

/** Portkey, and those whose programs are named. */
export const startPeers = async (upstream: string): Promise<ReadonlyArray<Peer>> => [
  await startPortkey(upstream),
  ...(litellmProgram === undefined ? [] : [await startLiteLlm(litellmProgram, upstream)]),
  ...(bifrostProgram === undefined ? [] : [await startBifrost(bifrostProgram, upstream)])
]
