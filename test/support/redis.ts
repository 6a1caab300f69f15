import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import * as net from "node:net"
import * as os from "node:os"
import { has } from "./external.ts"
import { patientMs } from "./patience.ts"
import { freePort } from "./postgres.ts"

/** Tests that need a real one are skipped without it: `describe.skipIf(!hasRedis)`. */
export const hasRedis = has("redis")
if (!hasRedis) process.stderr.write("redis-server is not installed: tests that need it are skipped\n")

export interface TestRedis {
  readonly url: string
  readonly port: number
  /** `kill -9`: connections are cut, everything is forgotten. */
  readonly kill: () => Promise<void>
  /** After `kill`: an empty one on the same port. */
  readonly start: () => Promise<void>
  /** It accepts connections (the kernel does) and answers nothing, until `resume`. */
  readonly pause: () => void
  readonly resume: () => void
  readonly dispose: () => Promise<void>
}

// Holds the server by a pipe: when the runner dies, however, its end of the pipe closes, and the server goes.
const guard = 'redis-server "$@" & echo $!; read -r _; kill -9 $!; wait'

/** A private server that stores nothing on disk. `settings` are Redis's own, as `--name value`. */
export const startRedis = async (settings: ReadonlyArray<string> = []): Promise<TestRedis> => {
  const port = await freePort()
  const args = ["--port", String(port), "--bind", "127.0.0.1", "--dir", os.tmpdir(), "--save", "", "--appendonly", "no"]
  let running: { readonly holder: ChildProcess; readonly pid: number } | null = null

  const start = async () => {
    const holder = spawn("sh", ["-c", guard, "sh", ...args, "--loglevel", "warning", ...settings], {
      stdio: ["pipe", "pipe", "ignore"],
      detached: true
    })
    const pid = await new Promise<number>((resolve, reject) => {
      holder.once("error", reject)
      holder.stdout?.once("data", (line) => resolve(Number(String(line).split("\n")[0])))
    })
    holder.stdout?.resume()
    running = { holder, pid }
    await answers(port)
  }
  const kill = async () => {
    if (running === null) return
    const { holder } = running
    running = null
    const ended = once(holder, "exit")
    holder.stdin?.end()
    await ended
  }
  const signal = (name: NodeJS.Signals) => {
    if (running === null) throw new Error("Redis does not run")
    process.kill(running.pid, name)
  }
  await start()
  return {
    url: `redis://127.0.0.1:${port}/0`,
    port,
    kill,
    start,
    pause: () => signal("SIGSTOP"),
    resume: () => signal("SIGCONT"),
    dispose: kill
  }
}

/** Any reply will do: with a password, the first is an error. */
const answers = async (port: number): Promise<void> => {
  const startedAtMs = Date.now()
  while (Date.now() - startedAtMs < patientMs(20_000)) {
    const isUp = await new Promise<boolean>((resolve) => {
      const socket = net.connect(port, "127.0.0.1", () => socket.write("PING\r\n"))
      const end = (isUp: boolean) => {
        socket.destroy()
        resolve(isUp)
      }
      socket.once("data", () => end(true))
      socket.once("error", () => end(false))
      socket.setTimeout(1000, () => end(false))
    })
    if (isUp) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error("redis-server does not answer")
}

/** Accepts connections and never says anything. */
export const startSilentServer = async (): Promise<{
  readonly port: number
  /** When so many have connected. */
  readonly connected: (count: number) => Promise<void>
  readonly close: () => Promise<void>
}> => {
  const sockets = new Set<net.Socket>()
  let connections = 0
  const server = net.createServer((socket) => {
    connections++
    sockets.add(socket)
    socket.on("error", () => undefined)
    socket.on("close", () => sockets.delete(socket))
    socket.resume()
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  if (address === null || typeof address !== "object") throw new Error("no port")
  return {
    port: address.port,
    connected: async (count) => {
      while (connections < count) await once(server, "connection")
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      })
  }
}
