import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"
import { defaultParameters, fingerprint } from "../../src/domain/bandits/Hierarchical.ts"
import { version } from "../../src/domain/LexicalFeatures.ts"
import { serviceTables } from "../../src/programs/doctor/Schema.ts"
import { type CommandResult, runCommand } from "../support/command.ts"
import { binary, type ConduitProcess, killAll, request, startConduit, yaml } from "../support/conduit.ts"
import { freePort, query, startPostgres, type TestPostgres } from "../support/postgres.ts"
import { sources } from "../support/sources.ts"
import { startTcpProxy } from "../support/tcpProxy.ts"

const key = "canary-Kq7vT2mXw9sLd4RzBn8y"
const password = "canary-password-91"
const models = [{ id: "small" }, { id: "large" }]

interface Line {
  readonly name: string
  readonly status: "pass" | "warn" | "fail"
  readonly detail: string
  readonly todo: string | null
}

/** An OpenAI-compatible server as far as the checklist asks it. */
interface FakeProvider {
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

let server: TestPostgres
let folder: string
let provider: FakeProvider
let conduit: ConduitProcess
/** Settings of a deployment that has nothing to complain of. */
let env: Record<string, string>

const databaseUrl = (name: string, role = "postgres") =>
  `postgres://${role}:${password}@127.0.0.1:${server.port}/${name}`

/** An empty database of Conduit's, for a test that harms it. */
const copied = async (name: string): Promise<string> => {
  await query(server.url, `CREATE DATABASE ${name} TEMPLATE template`)
  return databaseUrl(name)
}

const secrets = [key, password, "canary-provider"]

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

const run = async (more: Readonly<Record<string, string>>, ...args: ReadonlyArray<string>): Promise<CommandResult> => {
  const url = args.includes("--url") ? [] : ["--url", conduit.url]
  const result = await runCommand(["doctor", ...url, ...args], {
    env: { ...env, ...more },
    directory: folder
  })
  for (const secret of secrets) assert.notInclude(result.stdout + result.stderr, secret)
  return result
}

/** What does not pass, as `status name`. */
const complaints = (lines: ReadonlyArray<Line>) =>
  lines.filter(({ status }) => status !== "pass").map(({ name, status }) => `${status} ${name}`)

/** The one line that fails, and its remedy. */
const failing = async (name: string, detail: RegExp, more: Record<string, string>, ...args: ReadonlyArray<string>) => {
  const { code, lines } = await doctor(more, ...args)
  assert.deepStrictEqual(
    lines.filter(({ status }) => status === "fail").map((line) => line.name),
    [name],
    JSON.stringify(lines)
  )
  assert.strictEqual(code, 1)
  const line = lines.find(({ status }) => status === "fail")
  assert.match(line?.detail ?? "", detail)
  assert.isAbove(line?.todo?.length ?? 0, 10)
}

/** The one line that warns, and nothing that fails. */
const warning = async (name: string, detail: RegExp, more: Record<string, string>, ...args: ReadonlyArray<string>) => {
  const { code, lines } = await doctor(more, ...args)
  assert.deepStrictEqual(complaints(lines), [`warn ${name}`], JSON.stringify(lines))
  assert.strictEqual(code, 0)
  assert.match(lines.find(({ status }) => status === "warn")?.detail ?? "", detail)
}

/** Asks again and again, at most for 15 seconds. */
const until = async (what: string, isTrue: () => Promise<boolean>) => {
  const giveUpAt = Date.now() + 15_000
  while (!(await isTrue())) if (Date.now() > giveUpAt) throw new Error(`not so in time: ${what}`)
}

const bouncer = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].find((path) => Fs.existsSync(path))

/** Whose files are in a folder of the server's. */
const asOwner = (folder: string) => {
  const { gid, uid } = Fs.statSync(folder)
  return process.getuid?.() === 0 ? { uid, gid } : {}
}

const rowsOf = async (name: string) => {
  const tables = [...serviceTables, "conduit_migrations"]
  const counts = tables.map(
    (table) =>
      `SELECT '${table}' AS table, md5(coalesce(string_agg(t::text, ',' ORDER BY t::text), '')) AS rows FROM ${table} t`
  )
  return query(databaseUrl(name), counts.join(" UNION ALL "))
}

beforeAll(async () => {
  folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-doctor-"))
  Fs.chmodSync(folder, 0o755)
  const hba = Path.join(folder, "pg_hba.conf")
  Fs.writeFileSync(hba, "host all locked 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n")
  server = await startPostgres("any", [`hba_file=${hba}`])
  for (const role of ["locked", "limited"]) await query(server.url, `CREATE ROLE ${role} LOGIN PASSWORD 'other'`)
  await query(server.url, "CREATE DATABASE template")
  const migrated = await runCommand(["migrate"], { env: { DATABASE_URL: databaseUrl("template") } })
  assert.strictEqual(migrated.code, 0, migrated.stderr)
  await query(server.url, "CREATE DATABASE healthy TEMPLATE template")
  provider = await startProvider()
  const config = Path.join(folder, "conduit.yaml")
  Fs.writeFileSync(config, yaml(provider.url, models).replace(" }\nmodels", ', apiKey: "${LOCAL_KEY}" }\nmodels'))
  env = {
    NODE_ENV: "production",
    DATABASE_URL: databaseUrl("healthy"),
    CONDUIT_ROUTER_ID: "main",
    CONDUIT_API_KEYS: key,
    CONDUIT_SHUTDOWN_SETTLE: "5 seconds",
    CONDUIT_CONFIG: config,
    LOG_FORMAT: "json",
    LOCAL_KEY: "canary-provider"
  }
  conduit = await startConduit({ env, upstream: provider.url, models })
  const asked = await request(`${conduit.url}/v1/route`, {
    body: { prompt: "hello" },
    headers: { authorization: `Bearer ${key}` }
  })
  assert.strictEqual(asked.status, 200, asked.text)
}, 60_000)

afterAll(async () => {
  await killAll()
  provider?.close()
  await server?.dispose()
  Fs.rmSync(folder, { recursive: true, force: true })
})

describe("conduit doctor", () => {
  it("has nothing to say against a healthy deployment, and changes no row", async () => {
    const before = await rowsOf("healthy")
    const { code, lines } = await doctor({}, "--strict")
    assert.deepStrictEqual(complaints(lines), [], JSON.stringify(lines, null, 1))
    assert.strictEqual(code, 0)
    assert.deepStrictEqual(
      lines.map(({ name }) => name),
      [
        "settings",
        "database",
        "writable",
        "schema",
        "rights",
        "connections",
        "pooler",
        "router id",
        "learning",
        "shutdown",
        "settle",
        "api keys",
        "metrics keys",
        "logging",
        "models",
        "provider local",
        "clock",
        "instance",
        "metrics"
      ]
    )
    assert.deepStrictEqual(await rowsOf("healthy"), before)
  })

  it("prints aligned lines for people, what to do under what does not pass, and no colour into a pipe", async () => {
    const { code, stdout } = await run({ CONDUIT_SHUTDOWN_SETTLE: "0", LOG_LEVEL: "DEBUG", CONDUIT_HOST: "0.0.0.0" })
    assert.strictEqual(code, 0)
    const lines = stdout.trimEnd().split("\n")
    assert.include(lines, "16 pass, 3 warn, 0 fail")
    assert.match(lines.at(-1) ?? "", /^conduit doctor --rehearse /)
    assert.match(
      stdout,
      /^pass  database        PostgreSQL \d+\.\d+ at 127\.0\.0\.1:\d+\/healthy, [\d.]+ ms a round trip$/m
    )
    assert.match(stdout, /^warn  settle          .*\n {22}-> set CONDUIT_SHUTDOWN_SETTLE/m)
    assert.notInclude(stdout, "\u001b")
    assert.strictEqual((await run({ LOG_LEVEL: "DEBUG" }, "--strict")).code, 1)
  })

  it("says all that is wrong with the settings, and nothing that would build on them", async () => {
    const { code, lines } = await doctor({ CONDUIT_PORT: "many", DATABASE_URL: "", CONDUIT_API_KEYS: `${key},,` })
    assert.strictEqual(code, 1)
    assert.sameDeepMembers(
      lines.map(({ detail, name, status }) => [status, name, detail.split(":")[0]]),
      ["CONDUIT_API_KEYS", "CONDUIT_PORT", "DATABASE_URL"].map((setting) => ["fail", "settings", setting])
    )
  })

  it("says which setting was meant", () =>
    warning("settings", /CONDUIT_SHUTDOWN_SETLE.*did you mean CONDUIT_SHUTDOWN_SETTLE/, {
      CONDUIT_SHUTDOWN_SETLE: "1"
    }))

  it("says what is wrong with the file of models, and looks at the rest", async () => {
    const broken = Path.join(folder, "broken.yaml")
    Fs.writeFileSync(broken, "models:\n  - { id: small, provider: nobody, upstrem: x }\n")
    await failing("models", /models\[0\]\.upstrem: .*did you mean upstream/, { CONDUIT_CONFIG: broken })
  })

  describe("the database", () => {
    it("is not there", () =>
      failing("database", /127\.0\.0\.1:1\/x: connection/, { DATABASE_URL: `postgres://u:${password}@127.0.0.1:1/x` }))

    it("accepts and does not answer: the check ends by itself", async () => {
      const proxy = await startTcpProxy({ host: "127.0.0.1", port: server.port })
      proxy.silent()
      await failing("database", /timeout/, {
        DATABASE_URL: databaseUrl("healthy").replace(/:\d+\//, `:${proxy.port}/`)
      })
      await proxy.close()
    })

    it("refuses the password", () =>
      failing("database", /authentication/, { DATABASE_URL: databaseUrl("healthy", "locked") }))

    it("does not exist", () => failing("database", /3D000/, { DATABASE_URL: databaseUrl("nowhere") }))

    it("lacks one right on one table", async () => {
      const url = await copied("revoked")
      await query(url, "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO limited")
      const limited = { DATABASE_URL: databaseUrl("revoked", "limited") }
      assert.deepStrictEqual(complaints((await doctor(limited)).lines), [])
      await query(url, "REVOKE INSERT ON feedback FROM limited")
      await failing("rights", /^the role limited lacks INSERT on feedback$/, limited)
      await query(url, "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM limited")
      await failing("rights", /SELECT, INSERT, UPDATE, DELETE on routers/, limited)
    })

    it("is read-only", async () => {
      const url = await copied("readonly")
      await query(url, "ALTER DATABASE readonly SET default_transaction_read_only = on")
      await failing("writable", /read-only/, { DATABASE_URL: url })
    })

    it("has a schema that is behind, which the role may or may not bring up to date", async () => {
      const url = await copied("behind")
      await query(url, "DELETE FROM conduit_migrations WHERE migration_id > 1; DROP TABLE prompts")
      const before = await query(url, "SELECT * FROM conduit_migrations")
      await warning("schema", /^version 1 of \d+: the first start migrates$/, { DATABASE_URL: url })
      assert.deepStrictEqual(await query(url, "SELECT * FROM conduit_migrations"), before)
      await query(url, "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO limited")
      await failing("schema", /role limited may not migrate/, { DATABASE_URL: databaseUrl("behind", "limited") })
    })

    it("has no schema yet", async () => {
      await query(server.url, "CREATE DATABASE empty")
      const { code, lines } = await doctor({ DATABASE_URL: databaseUrl("empty") })
      assert.deepStrictEqual([code, complaints(lines)], [0, ["warn schema"]])
      assert.deepStrictEqual(await query(databaseUrl("empty"), "SELECT FROM pg_tables WHERE schemaname = 'public'"), [])
    })

    it("has a newer schema", async () => {
      const url = await copied("newer")
      await query(url, "INSERT INTO conduit_migrations (migration_id, name) VALUES (99, 'later')")
      await failing("schema", /version 99, and this program knows \d+/, { DATABASE_URL: url })
    })

    it("has too few connections for so many replicas", async () => {
      await failing("connections", /^50 replicas .* = 663, but \d+ are free/, {}, "--replicas", "50")
      const url = await copied("narrow")
      await query(url, "ALTER DATABASE narrow CONNECTION LIMIT 30")
      await failing("connections", /= 39, but 30 are free \(30 of the database's CONNECTION LIMIT\)/, {
        DATABASE_URL: url
      })
    })

    it.skipIf(bouncer === undefined)("is behind a pooler", async () => {
      const port = await freePort()
      const file = Path.join(folder, "pgbouncer.ini")
      Fs.writeFileSync(
        file,
        `[databases]\n* = host=127.0.0.1 port=${server.port} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = ${port}\nauth_type = any\npool_mode = transaction\nunix_socket_dir =\n`
      )
      const child = spawn(bouncer!, [file], {
        stdio: "ignore",
        ...(process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {})
      })
      await copied("pooled")
      const url = databaseUrl("pooled").replace(`:${server.port}/`, `:${port}/`)
      await until("the pooler answers", () =>
        query(url, "SELECT 1").then(
          () => true,
          () => false
        )
      )
      await warning("pooler", /^one is between: notifications do not pass, and/, { DATABASE_URL: url })
      await query(databaseUrl("pooled"), "ALTER ROLE postgres IN DATABASE pooled SET statement_timeout = '5s'")
      const { lines } = await doctor({ DATABASE_URL: url }, "--strict")
      assert.deepStrictEqual(complaints(lines), [])
      assert.match(lines.find(({ name }) => name === "pooler")?.detail ?? "", /polled for/)
      child.kill("SIGKILL")
      await once(child, "exit")
    })

    it("is in the network, without TLS or with a certificate that nobody signed", async (context) => {
      const [address] = Object.values(Os.networkInterfaces())
        .flatMap((all) => all ?? [])
        .filter(({ family, internal }) => family === "IPv4" && !internal)
      if (address === undefined || spawnSync("openssl", ["version"]).status !== 0) return context.skip()
      const [row] = await query<{ folder: string }>(server.url, "SELECT current_setting('data_directory') AS folder")
      const made = spawnSync(
        "openssl",
        [
          "req",
          "-new",
          "-x509",
          "-nodes",
          "-subj",
          "/CN=db",
          "-addext",
          `subjectAltName=IP:${address.address}`,
          "-keyout",
          "server.key",
          "-out",
          "server.crt"
        ],
        { cwd: row!.folder, ...asOwner(row!.folder) }
      )
      assert.strictEqual(made.status, 0, String(made.stderr))
      const away = await startTcpProxy({ host: "127.0.0.1", port: server.port }, address.address)
      const url = databaseUrl("healthy").replace(/127\.0\.0\.1:\d+/, `${address.address}:${away.port}`)
      await warning("database", /, without TLS: /, { DATABASE_URL: url })
      await query(server.url, "ALTER SYSTEM SET ssl = on")
      await query(server.url, "SELECT pg_reload_conf()")
      const unverified = { DATABASE_URL: `${url}?sslmode=no-verify` }
      await until("TLS is on", async () => !/without TLS/.test((await doctor(unverified)).text))
      await warning("database", /TLS with a certificate that is not verified/, unverified)
      await failing("database", /self-signed certificate/, { DATABASE_URL: `${url}?sslmode=verify-full` })
      const trusted = { PGSSLROOTCERT: Path.join(row!.folder, "server.crt") }
      const { lines } = await doctor({ DATABASE_URL: `${url}?sslmode=verify-full`, ...trusted }, "--strict")
      assert.deepStrictEqual(complaints(lines), [])
      assert.match(lines.find(({ name }) => name === "database")?.detail ?? "", /, TLS$/)
      await away.close()
    })

    it("is a standby", async () => {
      const standby = await startPostgres()
      await query(standby.url, "CREATE DATABASE healthy")
      const url = standby.url.replace(/postgres$/, "healthy")
      const migrated = await runCommand(["migrate"], { env: { DATABASE_URL: url } })
      assert.strictEqual(migrated.code, 0, migrated.stderr)
      const [row] = await query<{ folder: string }>(url, "SELECT current_setting('data_directory') AS folder")
      await standby.stop()
      Fs.writeFileSync(Path.join(row!.folder, "standby.signal"), "")
      await standby.start()
      await failing("writable", /is a standby/, { DATABASE_URL: url })
      await standby.dispose()
    })

    it("has nobody's name for the replicas' state, or another's", async () => {
      await warning("router id", /not set for 2 replicas: the first start makes/, {
        DATABASE_URL: await copied("nameless"),
        CONDUIT_ROUTER_ID: ""
      })
      await query(databaseUrl("nameless"), "INSERT INTO routers (id, seed, remembered) VALUES ('router-1', 's', true)")
      const unnamed = { DATABASE_URL: databaseUrl("nameless"), CONDUIT_ROUTER_ID: "" }
      await warning("router id", /they share router-1/, unnamed)
      assert.deepStrictEqual(complaints((await doctor(unnamed, "--replicas", "1")).lines), [])
      await warning("router id", /fresh is new, and begins with an empty state/, {
        ...unnamed,
        CONDUIT_ROUTER_ID: "fresh"
      })
    })

    it("lost what a start would begin with", async () => {
      const url = await copied("lost")
      await query(url, "INSERT INTO routers (id, seed, position) VALUES ('main', 's', 7)")
      await query(
        url,
        "INSERT INTO bandit_snapshots (router_key, fingerprint, watermark, state) SELECT key, $1, 7, 'x' FROM routers",
        [fingerprint(defaultParameters, version)]
      )
      await failing("learning", /the snapshot at position 7 is damaged/, { DATABASE_URL: url })
    })
  })

  it("counts the limits of the shutdown", () =>
    failing("shutdown", /drain 60 s .* = 74\.5 s, more than the 45 s/, { CONDUIT_SHUTDOWN_TIMEOUT: "60" }))

  it("knows guessable keys, and says nothing of what they are", async () => {
    await warning("api keys", /^1 of 2 can be guessed/, { CONDUIT_API_KEYS: `${key},letmein` })
    const open = { CONDUIT_HOST: "0.0.0.0" }
    await warning("metrics keys", /everybody who reaches the port may read/, open)
    await warning("api keys", /0\.0\.0\.0: everybody who reaches the port may call/, {
      ...open,
      CONDUIT_API_KEYS: "",
      CONDUIT_ALLOW_ANONYMOUS: "true",
      CONDUIT_METRICS_KEYS: key
    })
    const hashed = await doctor({ CONDUIT_API_KEYS: `sha256:${"ab".repeat(32)}` })
    assert.match(hashed.lines.find(({ name }) => name === "api keys")?.detail ?? "", /^1, as hashes$/)
  })

  it("does not log for people in production", () => warning("logging", /LOG_FORMAT=pretty/, { LOG_FORMAT: "pretty" }))

  describe("a provider", () => {
    const with_ = async (answer: Partial<FakeProvider["answer"]>, check: () => Promise<void>) => {
      const healthy = provider.answer
      provider.answer = { ...healthy, ...answer }
      await check().finally(() => (provider.answer = healthy))
    }

    it("refuses the key", () =>
      with_({ key: "another" }, () => failing("provider local", /401, the key is refused/, {})))

    it("takes the key", () =>
      with_({ key: "canary-provider" }, () => doctor({}, "--strict").then(({ code }) => assert.strictEqual(code, 0))))

    it("is down", async () => {
      const file = Path.join(folder, "down.yaml")
      Fs.writeFileSync(file, yaml(`http://user:${password}@127.0.0.1:1/v1`, models))
      await failing("provider local", /^127\.0\.0\.1:1: connect ECONNREFUSED/, { CONDUIT_CONFIG: file })
    })

    it("has trouble", () => with_({ status: 503 }, () => failing("provider local", /503/, {})))

    it("does not list its models, or not this one", async () => {
      await with_({ status: 404 }, () => warning("provider local", /is 404/, {}))
      await with_({ ids: ["small", "largo"] }, () =>
        warning("provider local", /its list has no large \(did you mean largo\?\)/, {})
      )
    })

    it("lacks its key in the environment", async () => {
      const { lines } = await doctor({ LOCAL_KEY: "" })
      assert.match(lines.find(({ name }) => name === "models")?.detail ?? "", /LOCAL_KEY is not set/)
    })

    it("has another time", async () => {
      await with_({ dateMs: Date.now() - 20_000 }, () => warning("clock", /ahead of provider local/, {}))
      await with_({ dateMs: Date.now() + 3_600_000 }, () => failing("clock", /60 min behind provider local/, {}))
    })

    it("is simulated, or has no price", async () => {
      await warning("models", /4, simulated/, { CONDUIT_SIMULATE: "true" })
      const file = Path.join(folder, "unpriced.yaml")
      const text = Fs.readFileSync(env["CONDUIT_CONFIG"]!, "utf8")
      Fs.writeFileSync(file, text.replace("inputUsdPerMTok: 0.1, ", ""))
      await warning("models", /no price for small: /, { CONDUIT_CONFIG: file })
    })
  })

  describe("a running instance", () => {
    it("need not run where nobody named it", async () => {
      const { code, stdout } = await runCommand(["doctor"], { env: { ...env, CONDUIT_PORT: "1" }, directory: folder })
      assert.strictEqual(code, 0, stdout)
      assert.match(stdout, /^warn {2}instance .*not running here.*127\.0\.0\.1:1: connect ECONNREFUSED/m)
    })

    it("has to be Conduit", () => failing("instance", /is not Conduit/, {}, "--url", provider.url))
    it("has to run where it was named", () => failing("instance", /ECONNREFUSED/, {}, "--url", "http://127.0.0.1:1"))
  })

  describe("--rehearse", () => {
    const rehearsal = (lines: ReadonlyArray<Line>) => lines.find(({ name }) => name === "rehearsal")
    const routers = (url: string) => query(url, "SELECT id FROM routers WHERE id LIKE 'conduit-doctor-%'")

    it("stops a spare instance under load, shows when each phase ran, and leaves no row", async () => {
      const before = await rowsOf("healthy")
      const settling = { CONDUIT_SHUTDOWN_SETTLE: "300 millis" }
      const { code, stdout } = await run(settling, "--rehearse", "--strict")
      assert.strictEqual(code, 0, stdout)
      assert.match(stdout, /^pass {2}rehearsal .*exit code 0 after .* 2 of 2 open requests answered, 0 events lost/m)
      assert.match(stdout, /\n +settle +█+·* +3\d\d ms of 0\.3 s\n +drain .*\n +persist .*\n +close .*\n +flush /)
      assert.deepStrictEqual(await rowsOf("healthy"), before)
      assert.notInclude(provider.asked, "/v1/chat/completions")
    })

    it("fails when the shutdown of the spare instance does", async () => {
      const url = await copied("unsaved")
      await query(
        url,
        `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '53100'; END $$`
      )
      await query(url, "CREATE TRIGGER refuse BEFORE INSERT ON bandit_snapshots FOR EACH ROW EXECUTE FUNCTION refuse()")
      await failing("rehearsal", /^exit code \d; .*disk_full/, { DATABASE_URL: url }, "--rehearse")
      assert.deepStrictEqual(await routers(url), [])
    })

    it("migrates nothing, and starts nothing where something failed", async () => {
      await query(server.url, "CREATE DATABASE untouched")
      const untouched = { DATABASE_URL: databaseUrl("untouched") }
      const { code, lines } = await doctor(untouched, "--rehearse")
      assert.strictEqual(code, 0)
      assert.match(rehearsal(lines)?.detail ?? "", /left out: schema comes first/)
      assert.deepStrictEqual(
        await query(untouched.DATABASE_URL, "SELECT FROM pg_tables WHERE schemaname = 'public'"),
        []
      )
    })

    it("ends with the spare instance, and without its rows, when a signal comes", async () => {
      const url = await copied("signalled")
      const child = spawn(process.execPath, [binary, "doctor", "--rehearse", "--url", conduit.url], {
        cwd: folder,
        env: { PATH: process.env["PATH"] ?? "", ...env, DATABASE_URL: url, CONDUIT_SHUTDOWN_SETTLE: "20 seconds" },
        stdio: ["ignore", "ignore", "pipe"]
      })
      const ended = once(child, "exit")
      const connections = () => query(server.url, "SELECT pid FROM pg_stat_activity WHERE datname = 'signalled'")
      await until("its router is there", async () => (await routers(url)).length === 1)
      child.kill("SIGTERM")
      const [code] = await ended
      assert.strictEqual(code, 1)
      assert.deepStrictEqual(await routers(url), [])
      await until("its connections are closed", async () => (await connections()).length === 0)
    })
  })

  it("works without a database, and says which it would use", async () => {
    const { code, lines } = await doctor({ NODE_ENV: "", DATABASE_URL: "", CONDUIT_DATA_DIRECTORY: "somewhere" })
    assert.deepStrictEqual([code, complaints(lines)], [0, ["warn database"]])
    assert.include(lines[1]?.detail, `${Path.join(folder, "somewhere")}, which the first start makes`)
    assert.isFalse(Fs.existsSync(Path.join(folder, "somewhere")))
  })

  it("asks for rights on the tables that there are", () => {
    const made = [...[...sources().values()].join("\n").matchAll(/CREATE TABLE (\w+) \(/g)].map(([, name]) => name)
    assert.sameMembers(serviceTables, made)
  })
})
