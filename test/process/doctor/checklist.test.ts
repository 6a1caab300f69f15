import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Http from "node:http"
import * as Path from "node:path"
import { serviceIndexes, serviceTables } from "../../../src/layers/storage/postgres/ServiceTables.ts"
import { startCollector } from "../../support/collector.ts"
import { runCommand } from "../../support/command.ts"
import { complaints, key, type Site, startSite } from "../../support/doctor.ts"
import { hasRedis, startRedis } from "../../support/redis.ts"
import { query } from "../../support/postgres.ts"
import { sources } from "../../support/sources.ts"

let site: Site
beforeAll(async () => {
  site = await startSite()
})
afterAll(() => site?.close())

describe("conduit doctor", () => {
  it("has nothing to say against a healthy deployment, and changes no row", async () => {
    const before = await site.rowsOf("healthy")
    const { code, lines } = await site.doctor({}, "--strict")
    assert.deepStrictEqual(complaints(lines), [], JSON.stringify(lines, null, 1))
    assert.strictEqual(code, 0)
    assert.deepStrictEqual(
      lines.map(({ name }) => name),
      [
        "settings",
        "database",
        "writable",
        "replication",
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
    assert.deepStrictEqual(await site.rowsOf("healthy"), before)
  })

  it("prints aligned lines for people, what to do under what does not pass, and no colour into a pipe", async () => {
    const { code, stdout } = await site.run({
      CONDUIT_SHUTDOWN_SETTLE: "0",
      LOG_LEVEL: "DEBUG",
      CONDUIT_HOST: "0.0.0.0"
    })
    assert.strictEqual(code, 0)
    const lines = stdout.trimEnd().split("\n")
    assert.include(lines, "17 pass, 3 warn, 0 fail")
    assert.match(lines.at(-1) ?? "", /^conduit doctor --rehearse /)
    assert.match(
      stdout,
      /^pass  database        PostgreSQL \d+\.\d+ at 127\.0\.0\.1:\d+\/healthy, [\d.]+ ms a round trip$/m
    )
    assert.match(stdout, /^warn  settle          .*\n {22}-> set CONDUIT_SHUTDOWN_SETTLE/m)
    assert.notInclude(stdout, "\u001b")
    assert.strictEqual((await site.run({ LOG_LEVEL: "DEBUG" }, "--strict")).code, 1)
  })

  it("says all that is wrong with the settings, and nothing that would build on them", async () => {
    const { code, lines } = await site.doctor({ CONDUIT_PORT: "many", DATABASE_URL: "", CONDUIT_API_KEYS: `${key},,` })
    assert.strictEqual(code, 1)
    assert.sameDeepMembers(
      lines.map(({ detail, name, status }) => [status, name, detail.split(":")[0]]),
      ["CONDUIT_API_KEYS", "CONDUIT_PORT", "DATABASE_URL"].map((setting) => ["fail", "settings", setting])
    )
  })

  it("says which setting was meant", () =>
    site.warning("settings", /CONDUIT_SHUTDOWN_SETLE.*did you mean CONDUIT_SHUTDOWN_SETTLE/, {
      CONDUIT_SHUTDOWN_SETLE: "1"
    }))

  it("says what is wrong with the file of models, and looks at the rest", async () => {
    const broken = Path.join(site.folder, "broken.yaml")
    Fs.writeFileSync(
      broken,
      [
        "providers:",
        "  local: { kind: openai-compatible, baseUrl: 'http://127.0.0.1:9/v1' }",
        "models:",
        "  - { id: small, provider: local, upstrem: x }"
      ].join("\n")
    )
    await site.failing("models", /models\[0\]\.upstrem: .*did you mean upstream/, { CONDUIT_CONFIG: broken })
  })

  it("counts the limits of the shutdown", () =>
    site.failing("shutdown", /drain 60 s .* = 74\.5 s, more than the 45 s/, { CONDUIT_SHUTDOWN_TIMEOUT: "60" }))

  it("knows guessable keys, and says nothing of what they are", async () => {
    await site.warning("api keys", /^1 of 2 can be guessed/, { CONDUIT_API_KEYS: `${key},letmein` })
    const open = { CONDUIT_HOST: "0.0.0.0" }
    await site.warning("metrics keys", /everybody who reaches the port may read/, open)
    await site.warning("api keys", /0\.0\.0\.0: everybody who reaches the port may call/, {
      ...open,
      CONDUIT_API_KEYS: "",
      CONDUIT_ALLOW_ANONYMOUS: "true",
      CONDUIT_METRICS_KEYS: key
    })
    const hashed = await site.doctor({ CONDUIT_API_KEYS: `sha256:${"ab".repeat(32)}` })
    assert.match(hashed.lines.find(({ name }) => name === "api keys")?.detail ?? "", /^1, as hashes$/)
  })

  it("does not log for people in production", () =>
    site.warning("logging", /LOG_FORMAT=pretty/, { LOG_FORMAT: "pretty" }))

  it("sends a collector an export without content", async () => {
    const collector = await startCollector()
    const exporting = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_EXPORTER_OTLP_HEADERS: `api-key=${key}` }
    const { code, lines } = await site.doctor(exporting, "--strict")
    assert.strictEqual(code, 0, JSON.stringify(lines))
    assert.sameMembers(
      collector.exports.map(({ headers, path }) => `${path} ${headers["content-type"]} ${headers["api-key"]}`),
      ["traces", "metrics"].map((signal) => `/v1/${signal} application/x-protobuf ${key}`)
    )
    collector.behave(403)
    const only = { ...exporting, OTEL_METRICS_EXPORTER: "none", OTEL_EXPORTER_OTLP_PROTOCOL: "http/json" }
    await site.failing("otlp traces", /403, the export is refused/, only)
    collector.behave(404)
    await site.failing("otlp traces", /not taken at that path/, only)
    collector.behave(500)
    await site.warning("otlp traces", /500/, only)
    await collector.close()
    await site.failing("otlp traces", /ECONNREFUSED/, only)
  })

  it.skipIf(!hasRedis)("asks Redis as the service does", async () => {
    const redis = await startRedis(["--requirepass", key])
    const url = redis.url.replace("redis://", `redis://:${key}@`)
    const { code, lines } = await site.doctor({ REDIS_URL: url, CONDUIT_REDIS_TIMEOUT: "2 seconds" }, "--strict")
    assert.strictEqual(code, 0, JSON.stringify(lines))
    assert.match(
      lines.find(({ name }) => name === "redis")?.detail ?? "",
      /^127\.0\.0\.1:\d+ answers in [\d.]+ ms, and/
    )
    await site.failing("redis", /WRONGPASS/, { REDIS_URL: url.replace(key, "canary-provider") })
    redis.pause()
    await site.failing("redis", /timed out|no answer within/, { REDIS_URL: url })
    redis.resume()
    await redis.dispose()
    await site.failing("redis", /ECONNREFUSED/, { REDIS_URL: url })
  })

  describe("a running instance", () => {
    it("need not run where nobody named it", async () => {
      const { code, stdout } = await runCommand(["doctor"], {
        env: { ...site.env, CONDUIT_PORT: "1" },
        directory: site.folder
      })
      assert.strictEqual(code, 0, stdout)
      assert.match(stdout, /^warn {2}instance .*not running here.*127\.0\.0\.1:1: connect ECONNREFUSED/m)
    })

    it("has to have metrics", async () => {
      const empty = Http.createServer((incoming, response) =>
        response.end(incoming.url === "/metrics" ? "" : JSON.stringify({ status: "ready", phase: "serving" }))
      )
      empty.listen(0, "127.0.0.1")
      await once(empty, "listening")
      const address = empty.address()
      const port = address !== null && typeof address === "object" ? address.port : 0
      await site.failing("metrics", /without a metric/, {}, "--url", `http://127.0.0.1:${port}`)
      empty.close()
    })
    it("has to be Conduit", () => site.failing("instance", /is not Conduit/, {}, "--url", site.provider.url))
    it("has to run where it was named", () =>
      site.failing("instance", /ECONNREFUSED/, {}, "--url", "http://127.0.0.1:1"))
  })

  it("works without a database, and says which it would use", async () => {
    const { code, lines } = await site.doctor({ NODE_ENV: "", DATABASE_URL: "", CONDUIT_DATA_DIRECTORY: "somewhere" })
    assert.deepStrictEqual([code, complaints(lines)], [0, ["warn database"]])
    assert.include(lines[1]?.detail, `${Path.join(site.folder, "somewhere")}, which the first start makes`)
    assert.isFalse(Fs.existsSync(Path.join(site.folder, "somewhere")))
  })

  it("asks for the indexes that there are", async () => {
    const made = await query<{ name: string }>(
      site.env["DATABASE_URL"]!,
      "SELECT indexname AS name FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'conduit_migrations'"
    )
    assert.sameMembers(
      serviceIndexes,
      made.map(({ name }) => name)
    )
  })

  it("asks for rights on the tables that there are", () => {
    const made = [...[...sources().values()].join("\n").matchAll(/CREATE TABLE (\w+) \(/g)].map(([, name]) => name)
    assert.sameMembers(serviceTables, made)
  })
})
