import { spawn } from "node:child_process"
import * as Path from "node:path"
import { patientMs } from "./patience.ts"

const binary = Path.resolve(import.meta.dirname, "../../dist/bin/conduit.js")
const limitMs = 30_000

export interface CommandResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command of the built program to its end; killed where it hangs, and then its code is null. */
export const runCommand = (
  args: ReadonlyArray<string>,
  options: {
    readonly env?: Readonly<Record<string, string>>
    readonly directory?: string
    /** For one that computes for long. */
    readonly limitMs?: number
    /** What runs it, such as a container. */
    readonly prefix?: ReadonlyArray<string>
  } = {}
): Promise<CommandResult> =>
  new Promise((resolve, reject) => {
    const [file = "", ...rest] = [...(options.prefix ?? []), process.execPath, binary, ...args]
    const child = spawn(file, rest, {
      ...(options.directory === undefined ? {} : { cwd: options.directory }),
      env: { PATH: process.env["PATH"] ?? "", NO_COLOR: "1", ...options.env },
      stdio: ["ignore", "pipe", "pipe"]
    })
    const timer = setTimeout(() => child.kill("SIGKILL"), patientMs(options.limitMs ?? limitMs))
    let stdout = ""
    let stderr = ""
    child.stdout.on("data", (chunk) => (stdout += String(chunk)))
    child.stderr.on("data", (chunk) => (stderr += String(chunk)))
    child.once("error", reject)
    child.once("close", (code) => {
      clearTimeout(timer)
      resolve({ code, stdout, stderr })
    })
  })
