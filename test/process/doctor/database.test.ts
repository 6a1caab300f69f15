import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { defaultParameters, fingerprint } from "../../../src/domain/learning/bandit/Hierarchical.ts"
import { version } from "../../../src/domain/routing/LexicalFeatures.ts"
import { runCommand } from "../../support/command.ts"
import { complaints, password, type Site, startSite } from "../../support/doctor.ts"
import { has, pgbouncer } from "../../support/external.ts"
import { freePort, query, startPostgres } from "../../support/postgres.ts"
import { configure, startReplicated } from "../../support/standby.ts"
import { startTcpProxy } from "../../support/tcpProxy.ts"
import { until } from "../../support/traffic.ts"

let site: Site
beforeAll(async () => {
  site = await startSite()
})
afterAll(() => site?.close())

/** Whose files are in a folder of the server's. */
const asOwner = (folder: string) => {
  const { gid, uid } = Fs.statSync(folder)
  return process.getuid?.() === 0 ? { uid, gid } : {}
}

describe("conduit doctor and the database", () => {
  it("is not there", () =>
    site.failing("database", /127\.0\.0\.1:1\/x: connection/, {
      DATABASE_URL: `postgres://u:${password}@127.0.0.1:1/x`
    }))

  it("accepts and does not answer: the check ends by itself", async () => {
    const proxy = await startTcpProxy({ host: "127.0.0.1", port: site.server.port })
    proxy.silent()
    await site.failing("database", /timeout/, {
      DATABASE_URL: site.databaseUrl("healthy").replace(/:\d+\//, `:${proxy.port}/`)
    })
    await proxy.close()
  })

  it("refuses the password", () =>
    site.failing("database", /authentication/, { DATABASE_URL: site.databaseUrl("healthy", "locked") }))

  it("does not exist", () => site.failing("database", /3D000/, { DATABASE_URL: site.databaseUrl("nowhere") }))

  it("cannot hold every text", async () => {
    await query(
      site.server.url,
      "CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    )
    await site.failing("database", /the encoding of this database is LATIN1/, {
      DATABASE_URL: site.databaseUrl("latin")
    })
  })

  it("lacks one right on one table", async () => {
    const url = await site.copied("revoked")
    await query(url, "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO limited")
    const limited = { DATABASE_URL: site.databaseUrl("revoked", "limited") }
    assert.deepStrictEqual(complaints((await site.doctor(limited)).lines), [])
    await query(url, "REVOKE INSERT ON feedback FROM limited")
    await site.failing("rights", /^the role limited lacks INSERT on feedback$/, limited)
    await query(url, "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM limited")
    await site.failing("rights", /SELECT, INSERT, UPDATE, DELETE on routers/, limited)
  })

  it("is read-only", async () => {
    const url = await site.copied("readonly")
    await query(url, "ALTER DATABASE readonly SET default_transaction_read_only = on")
    await site.failing("writable", /read-only/, { DATABASE_URL: url })
  })

  it("has a schema that is behind, which the role may or may not bring up to date", async () => {
    const url = await site.copied("behind")
    await query(url, "DELETE FROM conduit_migrations WHERE migration_id > 1; DROP TABLE prompts")
    const before = await query(url, "SELECT * FROM conduit_migrations")
    await site.warning("schema", /^version 1 of \d+: the first start migrates$/, { DATABASE_URL: url })
    assert.deepStrictEqual(await query(url, "SELECT * FROM conduit_migrations"), before)
    await query(url, "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO limited")
    await site.failing("schema", /role limited may not migrate/, {
      DATABASE_URL: site.databaseUrl("behind", "limited")
    })
  })

  it("has no schema yet", async () => {
    await query(site.server.url, "CREATE DATABASE empty")
    const { code, lines } = await site.doctor({ DATABASE_URL: site.databaseUrl("empty") })
    assert.deepStrictEqual([code, complaints(lines)], [0, ["warn schema"]])
    assert.deepStrictEqual(
      await query(site.databaseUrl("empty"), "SELECT FROM pg_tables WHERE schemaname = 'public'"),
      []
    )
  })

  it("was restored in part", async () => {
    const url = await site.copied("partial")
    await query(url, "DROP TABLE prompts; ALTER TABLE feedback DROP CONSTRAINT feedback_router_key_idempotency_key_key")
    await site.failing(
      "schema",
      /^version \d+, but there is no prompts, feedback_router_key_idempotency_key_key, prompts_pkey$/,
      { DATABASE_URL: url }
    )
    await query(url, "DROP TABLE conduit_migrations")
    await site.failing("schema", /^there are tables of Conduit, but nothing in conduit_migrations/, {
      DATABASE_URL: url
    })
  })

  it("has a pool of one connection", () => site.warning("connections", /POOL_SIZE is 1:/, { DATABASE_POOL_SIZE: "1" }))

  it("has a newer schema", async () => {
    const url = await site.copied("newer")
    await query(url, "INSERT INTO conduit_migrations (migration_id, name) VALUES (99, 'later')")
    await site.failing("schema", /version 99, and this program knows \d+/, { DATABASE_URL: url })
  })

  it("has too few connections for so many replicas", async () => {
    await site.failing("connections", /^50 replicas .* = 663, but \d+ are free/, {}, "--replicas", "50")
    const url = await site.copied("narrow")
    await query(url, "ALTER DATABASE narrow CONNECTION LIMIT 30")
    await site.failing("connections", /= 39, but 30 are free \(30 of the database's CONNECTION LIMIT\)/, {
      DATABASE_URL: url
    })
  })

  it.skipIf(!has("pgbouncer"))("is behind a pooler", async () => {
    const port = await freePort()
    const file = Path.join(site.folder, "pgbouncer.ini")
    Fs.writeFileSync(
      file,
      `[databases]\n* = host=127.0.0.1 port=${site.server.port} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = ${port}\nauth_type = any\npool_mode = transaction\nunix_socket_dir =\n`
    )
    const child = spawn(pgbouncer!, [file], {
      stdio: "ignore",
      ...(process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {})
    })
    await site.copied("pooled")
    const url = site.databaseUrl("pooled").replace(`:${site.server.port}/`, `:${port}/`)
    await until("the pooler answers", () =>
      query(url, "SELECT 1").then(
        () => true,
        () => false
      )
    )
    await site.warning("pooler", /^one is between: notifications do not pass, and/, { DATABASE_URL: url })
    await query(site.databaseUrl("pooled"), "ALTER ROLE postgres IN DATABASE pooled SET statement_timeout = '5s'")
    const { lines } = await site.doctor({ DATABASE_URL: url }, "--strict")
    assert.deepStrictEqual(complaints(lines), [])
    assert.match(lines.find(({ name }) => name === "pooler")?.detail ?? "", /polled for/)
    child.kill("SIGKILL")
    await once(child, "exit")
  })

  it("is in the network, without TLS or with a certificate that nobody signed", async (context) => {
    const [address] = Object.values(Os.networkInterfaces())
      .flatMap((all) => all ?? [])
      .filter(({ family, internal }) => family === "IPv4" && !internal)
    if (address === undefined || !has("openssl")) return context.skip()
    const [row] = await query<{ folder: string }>(site.server.url, "SELECT current_setting('data_directory') AS folder")
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
    const away = await startTcpProxy({ host: "127.0.0.1", port: site.server.port }, address.address)
    const url = site.databaseUrl("healthy").replace(/127\.0\.0\.1:\d+/, `${address.address}:${away.port}`)
    await site.warning("database", /, without TLS: /, { DATABASE_URL: url })
    await query(site.server.url, "ALTER SYSTEM SET ssl = on")
    await query(site.server.url, "SELECT pg_reload_conf()")
    const unverified = { DATABASE_URL: `${url}?sslmode=no-verify` }
    await until("TLS is on", async () => !/without TLS/.test((await site.doctor(unverified)).text))
    await site.warning("database", /TLS with a certificate that is not verified/, unverified)
    await site.failing("database", /self-signed certificate/, { DATABASE_URL: `${url}?sslmode=verify-full` })
    const trusted = { PGSSLROOTCERT: Path.join(row!.folder, "server.crt") }
    const { lines } = await site.doctor({ DATABASE_URL: `${url}?sslmode=verify-full`, ...trusted }, "--strict")
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
    await site.failing("writable", /is a standby/, { DATABASE_URL: url })
    await standby.dispose()
  })

  it("has a standby that commits wait for, or do not, or that is not there", async () => {
    const { primary, standby } = await startReplicated()
    const url = primary.url.replace(/postgres$/, "healthy")
    await query(primary.url, "CREATE DATABASE healthy")
    const migrated = await runCommand(["migrate"], { env: { DATABASE_URL: url } })
    assert.strictEqual(migrated.code, 0, migrated.stderr)
    await site.warning("replication", /^1 standby, asynchronous/, { DATABASE_URL: url })
    await configure(primary, "synchronous_standby_names", "*")
    const { lines } = await site.doctor({ DATABASE_URL: url })
    assert.deepInclude(
      lines.find(({ name }) => name === "replication"),
      { status: "pass" }
    )
    await query(primary.url, "ALTER DATABASE healthy SET synchronous_commit = local")
    await site.warning("replication", /synchronous_commit is local: commits do not wait/, { DATABASE_URL: url })
    await standby.stop()
    await until("the primary has noticed", async () => {
      const [row] = await query<{ standbys: number }>(
        primary.url,
        "SELECT count(*)::int AS standbys FROM pg_stat_replication"
      )
      return row?.standbys === 0
    })
    await site.failing("replication", /no standby is connected: commits wait for ever/, { DATABASE_URL: url })
    await standby.dispose()
    await primary.dispose()
  })

  it("has nobody's name for the replicas' state, or another's", async () => {
    await site.warning("router id", /not set for 2 replicas: the first start makes/, {
      DATABASE_URL: await site.copied("nameless"),
      CONDUIT_ROUTER_ID: ""
    })
    await query(
      site.databaseUrl("nameless"),
      "INSERT INTO routers (id, seed, remembered) VALUES ('router-1', 's', true)"
    )
    const unnamed = { DATABASE_URL: site.databaseUrl("nameless"), CONDUIT_ROUTER_ID: "" }
    await site.warning("router id", /they share router-1/, unnamed)
    assert.deepStrictEqual(complaints((await site.doctor(unnamed, "--replicas", "1")).lines), [])
    await site.warning("router id", /fresh is new, and begins with an empty state/, {
      ...unnamed,
      CONDUIT_ROUTER_ID: "fresh"
    })
  })

  it("lost what a start would begin with", async () => {
    const url = await site.copied("lost")
    await query(url, "INSERT INTO routers (id, seed, position) VALUES ('main', 's', 7)")
    await query(
      url,
      "INSERT INTO bandit_snapshots (router_key, fingerprint, watermark, state) SELECT key, $1, 7, 'x' FROM routers",
      [fingerprint(defaultParameters, version)]
    )
    await site.failing("learning", /the snapshot at position 7 is damaged/, { DATABASE_URL: url })
  })
})
