import { afterAll, afterEach, assert, beforeAll, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { chat, killAll, request, startConduit } from "../support/conduit.ts"
import { dockerfileStages, image } from "../support/dockerfile.ts"
import { createDatabase, type TestDatabase } from "../support/postgres.ts"

const root = Path.resolve(import.meta.dirname, "../..")
const built = image()
const [builder, ...others] = dockerfileStages()

/** As the image's user: one that owns nothing here. */
const user = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {}

const settleSeconds = Number(/^(\d+) seconds$/.exec(built.env["CONDUIT_SHUTDOWN_SETTLE"] ?? "")?.[1])

/** Source paths of a COPY, and whether they come from the builder. */
const copied = (value: string) => {
  const parts = value.split(/\s+/)
  return {
    fromBuilder: parts[0] === "--from=build",
    paths: parts.filter((part) => !part.startsWith("--")).slice(0, -1)
  }
}

let folder: string
let database: TestDatabase

/** What the words of the Dockerfile mean outside an image. */
const here = (word: string) =>
  word === "node" ? process.execPath : word.replace(new RegExp(`^${built.directory}/`), `${folder}/`)

// The steps of the image's stage, in a folder that nobody can write to.
beforeAll(async () => {
  database = await createDatabase()
  folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-image-"))
  for (const { name, value } of built.instructions) {
    if (name !== "COPY") continue
    const { fromBuilder, paths } = copied(value)
    for (const path of paths) {
      const source = Path.join(root, fromBuilder ? path.replace(/^\/build\//, "") : path)
      const isFolder = Fs.statSync(source).isDirectory()
      Fs.cpSync(source, isFolder ? folder : Path.join(folder, Path.basename(path)), {
        recursive: true,
        filter: (file) => !file.endsWith(".map")
      })
    }
  }
  for (const file of Fs.readdirSync(folder)) Fs.chmodSync(Path.join(folder, file), 0o444)
  Fs.chmodSync(folder, 0o555)
})

afterEach(killAll)

afterAll(async () => {
  await database.drop()
  Fs.chmodSync(folder, 0o755)
  Fs.rmSync(folder, { recursive: true, force: true })
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
    for (const { name, value } of [...(builder ?? []), ...others.flat()]) {
      if (name !== "COPY" || copied(value).fromBuilder) continue
      for (const path of copied(value).paths) {
        assert.isTrue(Fs.existsSync(Path.join(root, path)), path)
        assert.include(allowed, `!${path}`)
      }
    }
  })

  it("pins what it starts from, leaves out the maps, and runs the exec form as an ordinary user", () => {
    for (const stage of dockerfileStages()) assert.match(stage[0]?.value ?? "", /^node:\d+\.\d+\.\d+-\S+/)
    assert.isTrue(builder?.some(({ value }) => value.includes("npm ci") && value.includes("--ignore-scripts")))
    assert.isTrue(builder?.some(({ value }) => value.includes("-name '*.map' -delete")))
    assert.deepStrictEqual(built.command, ["node", `${built.directory}/conduit.js`, "serve"])
    assert.deepInclude(built.instructions, { name: "USER", value: "node" })
    assert.deepInclude(built.instructions, { name: "STOPSIGNAL", value: "SIGTERM" })
    assert.isAtLeast(settleSeconds, 1)
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
