import { afterAll, afterEach, assert, beforeAll, describe, it } from "@effect/vitest"
import { validate } from "dockerfile-utils"
import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { gzipSync } from "node:zlib"
import { startCollector } from "../support/collector.ts"
import { chat, killAll, request, startConduit } from "../support/conduit.ts"
import { carryOut, copied, dockerfileStages, dockerfileText, image } from "../support/dockerfile.ts"
import { guide } from "../support/guide.ts"
import { createDatabase, type TestDatabase } from "../support/postgres.ts"
import { hasRedis, startRedis } from "../support/redis.ts"

const root = Path.resolve(import.meta.dirname, "../..")
const built = image()
const [builder = [], ...others] = dockerfileStages()
const workdirOf = (stage: typeof builder) => stage.find(({ name }) => name === "WORKDIR")?.value ?? "/"

/** As the image's user: one that owns nothing here. */
const user = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {}

const settleSeconds = Number(/^(\d+) seconds$/.exec(built.env["CONDUIT_SHUTDOWN_SETTLE"] ?? "")?.[1])

let temporary: string
let folder: string
let database: TestDatabase

/** What the words of the Dockerfile mean outside an image. */
const here = (word: string) =>
  word === "node" ? process.execPath : word.replace(new RegExp(`^${built.directory}/`), `${folder}/`)

// The steps of both stages; the image's folder is one that nobody can write to.
beforeAll(async () => {
  database = await createDatabase()
  temporary = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-image-"))
  Fs.chmodSync(temporary, 0o755)
  const buildFolder = Path.join(temporary, "build")
  folder = Path.join(temporary, "image")
  for (const one of [buildFolder, folder]) Fs.mkdirSync(one)
  carryOut(builder, buildFolder, new Map())
  carryOut(built.instructions, folder, new Map([["build", { folder: buildFolder, workdir: workdirOf(builder) }]]))
  for (const file of Fs.readdirSync(folder)) Fs.chmodSync(Path.join(folder, file), 0o444)
  Fs.chmodSync(folder, 0o555)
})

afterEach(killAll)

afterAll(async () => {
  await database.drop()
  Fs.chmodSync(folder, 0o755)
  Fs.rmSync(temporary, { recursive: true, force: true })
})

const start = (env: Readonly<Record<string, string>>, isUnready = false) =>
  startConduit({
    program: built.command.map(here),
    folder,
    user,
    isUnready,
    env: { ...built.env, CONDUIT_API_KEYS: "image-key", ...env }
  })

const authorization = { authorization: "Bearer image-key" }

describe("the image", () => {
  it("is made of files that exist and that .dockerignore lets through", () => {
    const allowed = Fs.readFileSync(Path.join(root, ".dockerignore"), "utf8").split("\n")
    assert.strictEqual(allowed[0], "*")
    for (const { name, value } of [...builder, ...others.flat()]) {
      if (name !== "COPY" || copied(value).from !== undefined) continue
      for (const path of copied(value).paths) {
        assert.isTrue(Fs.existsSync(Path.join(root, path)), path)
        assert.include(allowed, `!${path}`)
      }
    }
  })

  it("has nothing that a linter of Dockerfiles finds", () => {
    assert.deepStrictEqual(validate(dockerfileText()), [])
    const faulty = dockerfileText().replace("HEALTHCHECK --interval", "HEALTHCHECK --interva")
    assert.lengthOf(validate(faulty), 1)
  })

  it("pins what it starts from, adds nothing from elsewhere, and keeps no secret", () => {
    for (const stage of dockerfileStages())
      assert.match(stage[0]?.value ?? "", /^node:\d+\.\d+\.\d+-\S+(?: AS build)?$/)
    const all = dockerfileStages().flat()
    for (const { name, value } of all) {
      assert.notInclude(["ADD", "ARG", "MAINTAINER", "SHELL", "VOLUME"], name)
      assert.notMatch(value, /\b(?:curl|wget|apt-get|sudo|latest)\b|https?:/)
    }
    assert.isTrue(builder.some(({ value }) => value.includes("npm ci") && value.includes("--ignore-scripts")))
    const secret = /_KEYS?$|TOKEN|PASSWORD|SECRET|_URL$/
    assert.isEmpty(Object.keys(built.env).filter((name) => secret.test(name)))
  })

  it("runs the exec form as an ordinary user, on files that are not that user's, and builds nothing in the last stage", () => {
    assert.deepStrictEqual(built.command, ["node", `${built.directory}/conduit.js`, "serve"])
    assert.deepStrictEqual(built.healthcheck, ["node", `${built.directory}/conduit.js`, "healthcheck"])
    const names = built.instructions.map(({ name }) => name)
    assert.notInclude(names, "RUN")
    assert.isAbove(names.indexOf("USER"), names.lastIndexOf("COPY"))
    assert.deepInclude(built.instructions, { name: "USER", value: "node" })
    assert.notInclude(dockerfileText(), "--chown")
    assert.deepInclude(built.instructions, { name: "STOPSIGNAL", value: "SIGTERM" })
    assert.isAtLeast(settleSeconds, 1)
  })

  it("is as small as the guide says, without maps and node_modules", () => {
    const files = Fs.readdirSync(folder, { recursive: true, encoding: "utf8" })
    assert.includeMembers(files, ["conduit.js", "package.json", "LICENSE"])
    assert.isEmpty(files.filter((file) => file.endsWith(".map") || file.includes("node_modules")))
    const contents = files.map((file) => Fs.readFileSync(Path.join(folder, file)))
    const megabytes = (parts: ReadonlyArray<Buffer>) => parts.reduce((sum, part) => sum + part.length, 0) / 1e6
    const [, whole, compressed] = /adds less than (\d+) MB \(less than (\d+) MB compressed\)/.exec(guide()) ?? []
    assert.isBelow(megabytes(contents), Number(whole))
    assert.isBelow(megabytes(contents.map((content) => gzipSync(content))), Number(compressed))
    // Nor does it say much more than is true.
    assert.isAbove(megabytes(contents), Number(whole) / 2)
    assert.include(guide(), `\`${built.instructions[0]?.value}\``)
  })

  it("serves from a folder that it cannot write to, is healthy, and settles before it ends clean", async () => {
    if ("uid" in user) {
      const write = spawnSync(process.execPath, ["-e", `fs.writeFileSync(${JSON.stringify(`${folder}/x`)}, "")`], user)
      assert.notStrictEqual(write.status, 0)
    }
    const conduit = await start({ DATABASE_URL: database.url, CONDUIT_SIMULATE: "true" })
    const { port } = new URL(conduit.url)
    const url = `http://127.0.0.1:${port}`
    const [program, ...args] = built.healthcheck.map(here)
    const healthcheck = () =>
      spawnSync(program ?? "", args, {
        ...user,
        cwd: folder,
        encoding: "utf8",
        timeout: 15_000,
        env: { ...built.env, DATABASE_URL: database.url, CONDUIT_API_KEYS: "image-key", CONDUIT_PORT: port }
      })
    const healthy = healthcheck()
    assert.strictEqual(healthy.status, 0, healthy.stderr)
    const anonymous = await request(`${url}/v1/chat/completions`, { body: chat("Who is there?") })
    assert.strictEqual(anonymous.status, 401)

    conduit.kill("SIGTERM")
    await conduit.logged("Starting graceful shutdown sequence")
    assert.strictEqual((await request(`${url}/health/ready`)).status, 503)
    const late = await request(`${url}/v1/chat/completions`, { body: chat("Still there?"), headers: authorization })
    assert.strictEqual(late.status, 200)
    const unhealthy = healthcheck()
    assert.strictEqual(unhealthy.status, 1)
    const { code, report } = await conduit.ended()
    assert.strictEqual(code, 0, JSON.stringify(report))
    assert.deepInclude(report, { outcome: "clean", errors: [] })
    assert.deepInclude(report.phases[0], { phase: "settle", outcome: "ok" })
    assert.isAtLeast(report.phases[0]?.took_ms ?? 0, settleSeconds * 1000 - 50)
    assert.deepInclude(report.requests, { accepted_during_settle: 1, drained: 1, interrupted: 0 })
    assert.deepInclude(report.learning, { unpersisted: 0 })
  })

  it.skipIf(!hasRedis)("has in its own files what Redis and a collector need", async () => {
    const redis = await startRedis()
    const collector = await startCollector()
    try {
      const conduit = await start({
        DATABASE_URL: database.url,
        CONDUIT_SIMULATE: "true",
        CONDUIT_SHUTDOWN_SETTLE: "0",
        REDIS_URL: redis.url,
        CONDUIT_METRICS_KEYS: "metrics-key",
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url
      })
      const body = chat("Who is there?", { conduit: { session_id: "one" } })
      const answer = await request(`${conduit.url}/v1/chat/completions`, { body, headers: authorization })
      assert.strictEqual(answer.status, 200, answer.text)
      const metrics = await request(`${conduit.url}/metrics`, { headers: { authorization: "Bearer metrics-key" } })
      assert.match(metrics.text, /^conduit_redis_up 1$/m)
      assert.match(metrics.text, /^conduit_redis_errors_total 0$/m)
      conduit.kill("SIGTERM")
      const { code, report } = await conduit.ended()
      assert.strictEqual(code, 0, JSON.stringify(report))
      assert.includeMembers(
        collector.exports.map(({ path }) => path),
        ["/v1/traces", "/v1/metrics"]
      )
    } finally {
      await collector.close()
      await redis.dispose()
    }
  })

  it("refuses to start without a database, without a model and without keys, and says so at once", async () => {
    const conduit = await start({ CONDUIT_API_KEYS: "" }, true)
    const { code } = await conduit.ended()
    assert.strictEqual(code, 1)
    const said = conduit.lines.map((line) => String(line["message"])).join("\n")
    assert.include(said, "DATABASE_URL: is not set")
    assert.include(said, "CONDUIT_API_KEYS: is not set")
    const modelless = await start({ DATABASE_URL: database.url, CONDUIT_SIMULATE: "" }, true)
    assert.strictEqual((await modelless.ended()).code, 1)
    assert.include(modelless.lines.map((line) => String(line["message"])).join("\n"), "no model is usable")
  })
})
