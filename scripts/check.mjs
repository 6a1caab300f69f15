// npm run check: types, Effect diagnostics, lint with the folder rule and cycles, format, dead code. All run; all are shown.
import { spawn } from "node:child_process"

const checks = [
  ["types", "tsc", ["-p", "tsconfig.json"]],
  ["types of the dashboard", "tsc", ["-p", "dashboard/tsconfig.json"]],
  ["effect", "effect-tsgo", ["diagnostics", "--project", "tsconfig.json", "--strict"]],
  ["lint", "oxlint", ["--deny-warnings", "src", "test", "bench", "examples", "scripts", "dashboard", "build.mjs"]],
  ["format", "oxfmt", ["--check"]],
  ["dead code", "knip", []]
]

const run = ([name, command, args]) =>
  new Promise((resolve) => {
    const startedAt = Date.now()
    const child = spawn("node_modules/.bin/" + command, args, { stdio: ["ignore", "pipe", "pipe"] })
    const output = []
    child.stdout.on("data", (chunk) => output.push(chunk))
    child.stderr.on("data", (chunk) => output.push(chunk))
    child.on("error", (error) => resolve({ name, code: 1, text: error.message, seconds: 0 }))
    child.on("close", (code) =>
      resolve({ name, code, text: Buffer.concat(output).toString(), seconds: (Date.now() - startedAt) / 1000 })
    )
  })

let failed = 0
for (const result of await Promise.all(checks.map(run))) {
  if (result.code !== 0) {
    failed++
    process.stdout.write(result.text)
  }
  process.stdout.write(`${result.code === 0 ? "ok    " : "FAILED"} ${result.name} (${result.seconds.toFixed(1)} s)\n`)
}
process.exit(failed === 0 ? 0 : 1)
