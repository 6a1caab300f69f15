import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"

export interface Child {
  readonly url: string
  readonly pid: number
  readonly readyMs: number
  /** SIGTERM, and how long the end took. */
  readonly stop: () => Promise<number>
}

const children = new Set<ChildProcess>()

/** A node program that prints `{"message":"ready","url":...}` when it listens. */
export const startNode = async (args: ReadonlyArray<string>): Promise<Child> => {
  const startedMs = performance.now()
  const child = spawn(process.execPath, [...args], { stdio: ["ignore", "pipe", "inherit"] })
  children.add(child)
  const [line] = await Promise.race([
    once(createInterface({ input: child.stdout }), "line"),
    once(child, "exit").then(() => {
      throw new Error(`${args.join(" ")} ended before it was ready`)
    })
  ])
  const readyMs = performance.now() - startedMs
  return {
    url: JSON.parse(line).url,
    pid: child.pid!,
    readyMs,
    stop: async () => {
      const signalledMs = performance.now()
      const ended = once(child, "exit")
      child.kill("SIGTERM")
      await ended
      children.delete(child)
      return performance.now() - signalledMs
    }
  }
}

process.once("exit", () => {
  for (const child of children) child.kill("SIGKILL")
})
