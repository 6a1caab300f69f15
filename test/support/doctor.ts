import { assert } from "@effect/vitest"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"
import { serviceTables } from "../../src/layers/storage/postgres/ServiceTables.ts"
import { type CommandResult, runCommand } from "./command.ts"
import { killAll, request, startConduit, yaml } from "./conduit.ts"
import { query, startPostgres } from "./postgres.ts"

export const key = "canary-Kq7vT2mXw9sLd4RzBn8y"
export const password = "canary-password-91"
export const models = [{ id: "small" }, { id: "large" }]

export interface Line {
  readonly name: string
  readonly status: "pass" | "warn" | "fail"
  readonly detail: string
  readonly todo: string | null
}

/** An OpenAI-compatible server as far as the checklist asks it. */
export interface FakeProvider {
  readonly url: string
  answer: { status: number; ids: ReadonlyArray<string>; dateMs: number | null; key: string | null }
  readonly asked: ReadonlyArray<string>
  readonly close: () => void
}

const startProvider = async (): Promise<FakeProvider> => {
  const healthy = { status: 200, ids: models.map(({ id }) => id), dateMs: null, key: null }
  const asked: Array<string> = []
  const server = Http.createServer((incoming, response) => {
    asked.push(incoming.url ?? "")
    const { dateMs, ids, key, status } = provider.answer
    const isRefused = key !== null && incoming.headers.authorization !== `Bearer ${key}`
    response.sendDate = dateMs === null
    if (dateMs !== null) response.setHeader("date", new Date(dateMs).toUTCString())
    response.writeHead(isRefused ? 401 : incoming.url === "/v1/models" ? status : 404)
    response.end(JSON.stringify({ object: "list", data: ids.map((id) => ({ id, object: "model" })) }))
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const provider: FakeProvider = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    answer: healthy,
    asked,
    close: () => server.close()
  }
  return provider
}

const secrets = [key, password, "canary-provider"]

/** What does not pass, as `status name`. */
export const complaints = (lines: ReadonlyArray<Line>) =>
  lines.filter(({ status }) => status !== "pass").map(({ name, status }) => `${status} ${name}`)

/** A deployment with nothing to complain of, and `conduit doctor` run against it with a change. */
export const startSite = async () => {
  const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-doctor-"))
  Fs.chmodSync(folder, 0o755)
  const hba = Path.join(folder, "pg_hba.conf")
  Fs.writeFileSync(hba, "host all locked 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n")
  const server = await startPostgres("any", [`hba_file=${hba}`])
  const databaseUrl = (name: string, role = "postgres") =>
    `postgres://${role}:${password}@127.0.0.1:${server.port}/${name}`
  for (const role of ["locked", "limited"]) await query(server.url, `CREATE ROLE ${role} LOGIN PASSWORD 'other'`)
  await query(server.url, "CREATE DATABASE template")
  const migrated = await runCommand(["migrate"], { env: { DATABASE_URL: databaseUrl("template") } })
  assert.strictEqual(migrated.code, 0, migrated.stderr)

  /** An empty database of Conduit's, for a test that harms it. */
  const copied = async (name: string): Promise<string> => {
    await query(server.url, `CREATE DATABASE ${name} TEMPLATE template`)
    return databaseUrl(name)
  }

  const provider = await startProvider()
  const config = Path.join(folder, "conduit.yaml")
  Fs.writeFileSync(config, yaml(provider.url, models).replace(" }\nmodels", ', apiKey: "${LOCAL_KEY}" }\nmodels'))
  const env: Readonly<Record<string, string>> = {
    NODE_ENV: "production",
    CONDUIT_PUBLIC_PAGES: "metrics",
    DATABASE_URL: await copied("healthy"),
    CONDUIT_ROUTER_ID: "main",
    CONDUIT_API_KEYS: key,
    CONDUIT_SHUTDOWN_SETTLE: "5 seconds",
    CONDUIT_CONFIG: config,
    LOG_FORMAT: "json",
    LOCAL_KEY: "canary-provider"
  }
  const conduit = await startConduit({ env, upstream: provider.url, models })
  const asked = await request(`${conduit.url}/v1/route`, {
    body: { prompt: "hello" },
    headers: { authorization: `Bearer ${key}` }
  })
  assert.strictEqual(asked.status, 200, asked.text)

  const run = async (
    more: Readonly<Record<string, string>>,
    ...args: ReadonlyArray<string>
  ): Promise<CommandResult> => {
    const url = args.includes("--url") ? [] : ["--url", conduit.url]
    const result = await runCommand(["doctor", ...url, ...args], { env: { ...env, ...more }, directory: folder })
    for (const secret of secrets) assert.notInclude(result.stdout + result.stderr, secret)
    return result
  }

  const doctor = async (
    more: Readonly<Record<string, string>> = {},
    ...args: ReadonlyArray<string>
  ): Promise<{ code: number | null; lines: ReadonlyArray<Line>; text: string }> => {
    const { code, stderr, stdout } = await run(more, "--json", ...args)
    const { checks, ...counts } = JSON.parse(stdout)
    for (const status of ["pass", "warn", "fail"]) {
      assert.strictEqual(counts[status], checks.filter((line: Line) => line.status === status).length)
    }
    for (const line of checks) assert.strictEqual(line.todo === null, line.status === "pass", JSON.stringify(line))
    return { code, lines: checks, text: `${stdout}${stderr}` }
  }

  /** The one line that fails, and its remedy. */
  const failing = async (
    name: string,
    detail: RegExp,
    more: Readonly<Record<string, string>>,
    ...args: ReadonlyArray<string>
  ) => {
    const { code, lines } = await doctor(more, ...args)
    const failed = lines.filter(({ status }) => status === "fail")
    assert.deepStrictEqual(
      failed.map((line) => line.name),
      [name],
      JSON.stringify(lines)
    )
    assert.strictEqual(code, 1)
    assert.match(failed[0]?.detail ?? "", detail)
    assert.isAbove(failed[0]?.todo?.length ?? 0, 10)
  }

  /** The one line that warns, and nothing that fails. */
  const warning = async (
    name: string,
    detail: RegExp,
    more: Readonly<Record<string, string>>,
    ...args: ReadonlyArray<string>
  ) => {
    const { code, lines } = await doctor(more, ...args)
    assert.deepStrictEqual(complaints(lines), [`warn ${name}`], JSON.stringify(lines))
    assert.strictEqual(code, 0)
    assert.match(lines.find(({ status }) => status === "warn")?.detail ?? "", detail)
  }

  /** What every table holds, to compare; but for those whose rows a running service makes of the others by itself. */
  const rowsOf = (name: string) => {
    const derived = ["decision_changes", "decision_sums", "failure_sums", "summing", "cost_references"]
    const tables = serviceTables.filter((table) => !derived.includes(table))
    const sums = [...tables, "conduit_migrations"].map(
      (table) =>
        `SELECT '${table}' AS table, md5(coalesce(string_agg(t::text, ',' ORDER BY t::text), '')) AS rows FROM ${table} t`
    )
    return query(databaseUrl(name), sums.join(" UNION ALL "))
  }

  const close = async () => {
    await killAll()
    provider.close()
    await server.dispose()
    Fs.rmSync(folder, { recursive: true, force: true })
  }
  return { conduit, copied, databaseUrl, doctor, env, failing, folder, provider, rowsOf, run, server, warning, close }
}
export type Site = Awaited<ReturnType<typeof startSite>>
