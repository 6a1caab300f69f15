import { execFileSync, spawn } from "node:child_process"
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

/** Portkey's gateway from npm, installed once in the folder for temporary files. */
export const startPortkey = async (upstream: string): Promise<Peer> => {
  const folder = Path.join(Os.tmpdir(), "conduit-bench-portkey-1.15.2")
  const program = Path.join(folder, "node_modules/@portkey-ai/gateway/build/start-server.js")
  if (!Fs.existsSync(program)) {
    Fs.mkdirSync(folder, { recursive: true })
    Fs.writeFileSync(Path.join(folder, "package.json"), JSON.stringify(portkeyParts))
    execFileSync("npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts"], { cwd: folder, stdio: "inherit" })
  }
  const port = await freePort()
  const env = { ...process.env, NODE_ENV: "production", TRUSTED_CUSTOM_HOSTS: "127.0.0.1,localhost" }
  const child = spawn(process.execPath, [program, `--port=${port}`, "--headless"], { env, stdio: "ignore" })
  const stop = () => void child.kill("SIGKILL")
  process.once("exit", stop)
  const url = `http://127.0.0.1:${port}`
  await answers(url)
  return {
    name: "Portkey",
    url,
    pid: child.pid!,
    stop,
    headers: { authorization: "Bearer none", "x-portkey-provider": "openai", "x-portkey-custom-host": upstream }
  }
}
