import { spawn } from "node:child_process"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { readDeploy } from "./deployKit.ts"
import { freePort } from "./postgres.ts"
import { eventually } from "./traffic.ts"

/** A real OpenTelemetry collector with the configuration of the kit, on ports of its own. */
export const startOtelCollector = async () => {
  const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-otelcol-"))
  const [otlpPort, scrapePort] = [await freePort(), await freePort()]
  const config = readDeploy("otel/collector.yaml")
    .replace("0.0.0.0:4318", `127.0.0.1:${otlpPort}`)
    .replace("0.0.0.0:8889", `127.0.0.1:${scrapePort}`)
  // Its own metrics are on a fixed port otherwise.
  const file = Path.join(folder, "config.yaml")
  Fs.writeFileSync(file, `${config}  telemetry: { metrics: { level: none } }\n`)
  const child = spawn("otelcol", ["--config", file], { stdio: ["ignore", "ignore", "pipe"] })
  const lines: Array<string> = []
  child.stderr.on("data", (chunk: Buffer) => lines.push(chunk.toString("utf8")))
  await eventually("the collector to be ready", 20_000, () => {
    if (child.exitCode !== null) throw new Error(`the collector ended: ${lines.join("")}`)
    return lines.join("").includes("Everything is ready") || undefined
  })
  return {
    otlpUrl: `http://127.0.0.1:${otlpPort}`,
    scrapeHost: `127.0.0.1:${scrapePort}`,
    log: () => lines.join(""),
    close: async () => {
      child.kill("SIGKILL")
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit")
      Fs.rmSync(folder, { recursive: true, force: true })
    }
  }
}
