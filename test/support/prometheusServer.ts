import { spawn } from "node:child_process"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { stringify } from "yaml"
import { prometheusFolder } from "./alertRules.ts"
import { request } from "./conduit.ts"
import { freePort } from "./postgres.ts"
import { eventually } from "./traffic.ts"

/** A sample of an instant query. */
export interface Sample {
  readonly metric: Readonly<Record<string, string>>
  readonly value: readonly [number, string]
}

/**
 * A real Prometheus with our rules, that scrapes those addresses each second. `honorLabels`: they say whose a series is.
 * `receivesOtlp` from version 3 on: metrics can be sent to `otlpUrl`.
 */
export const startPrometheus = async (
  targets: ReadonlyArray<string>,
  options: { readonly honorLabels?: boolean; readonly receivesOtlp?: boolean } = {}
) => {
  const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-prometheus-"))
  Fs.copyFileSync(Path.join(prometheusFolder, "alerts.yaml"), Path.join(folder, "alerts.yaml"))
  const config = {
    global: { scrape_interval: "1s", evaluation_interval: "1s" },
    rule_files: ["alerts.yaml"],
    scrape_configs: [{ job_name: "conduit", honor_labels: options.honorLabels === true, static_configs: [{ targets }] }]
  }
  Fs.writeFileSync(Path.join(folder, "prometheus.yml"), stringify(config))
  const port = await freePort()
  const child = spawn(
    "prometheus",
    [
      "--config.file=prometheus.yml",
      "--storage.tsdb.path=data",
      `--web.listen-address=127.0.0.1:${port}`,
      ...(options.receivesOtlp === true ? ["--web.enable-otlp-receiver"] : [])
    ],
    { cwd: folder, stdio: "ignore" }
  )
  const get = async (path: string) => {
    const { status, text } = await request(`http://127.0.0.1:${port}/api/v1/${path}`)
    return status === 200 ? JSON.parse(text).data : null
  }
  const query = async (promql: string): Promise<ReadonlyArray<Sample>> => {
    const data = await get(`query?query=${encodeURIComponent(promql)}`)
    if (data === null) throw new Error(`Prometheus refuses ${promql}`)
    return data.result
  }
  const close = async () => {
    child.kill("SIGKILL")
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit")
    Fs.rmSync(folder, { recursive: true, force: true })
  }
  await eventually("Prometheus to answer", 20_000, async () => {
    try {
      return (await get("status/buildinfo")) ?? undefined
    } catch {
      return undefined
    }
  })
  return { query, rules: () => get("rules"), otlpUrl: `http://127.0.0.1:${port}/api/v1/otlp/v1/metrics`, close }
}
