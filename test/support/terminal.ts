import { spawn } from "node:child_process"
import { binary } from "./conduit.ts"

/** A command of the built program in a terminal of its own, which somebody reads and types into. */
export interface Terminal {
  /** What was written so far, without what moves and colours. */
  readonly text: () => string
  /** Waits for a text behind all that was waited for before. */
  readonly reads: (text: string) => Promise<void>
  readonly types: (keys: string) => void
  readonly ended: Promise<number | null>
}

const limitMs = 30_000
// eslint-disable-next-line no-control-regex
const controls = /\u001b(?:\[[0-9;?]*[A-Za-z]|[()][A-Z0-9]|[78=>])/g

/** `script` (util-linux) gives it the terminal. */
export const inTerminal = (
  args: ReadonlyArray<string>,
  options: { readonly env: Readonly<Record<string, string>>; readonly directory: string }
): Terminal => {
  const command = [process.execPath, binary, ...args].map((word) => `'${word}'`).join(" ")
  const child = spawn("script", ["-qefc", `stty cols 110 rows 40; ${command}`, "/dev/null"], {
    cwd: options.directory,
    env: { PATH: process.env["PATH"] ?? "", TERM: "xterm", SHELL: "/bin/sh", ...options.env },
    stdio: ["pipe", "pipe", "inherit"]
  })
  let written = ""
  let seen = 0
  child.stdout.on("data", (chunk) => (written += String(chunk)))
  const text = () => written.replaceAll(controls, "")
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve))
  const timer = setTimeout(() => child.kill("SIGKILL"), limitMs)
  void ended.finally(() => clearTimeout(timer))
  return {
    text,
    ended,
    types: (keys) => void child.stdin.write(keys),
    reads: async (wanted) => {
      for (;;) {
        const at = text().indexOf(wanted, seen)
        if (at !== -1) {
          seen = at + wanted.length
          return
        }
        if (child.exitCode !== null) throw new Error(`it ended before it wrote ${JSON.stringify(wanted)}:\n${text()}`)
        await Promise.race([new Promise((resolve) => child.stdout.once("data", resolve)), ended])
      }
    }
  }
}
