import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { chat, killAll, request, startConduit } from "../support/conduit.ts"
import { has, runBeside } from "../support/external.ts"

const root = Path.resolve(import.meta.dirname, "../..")

describe.skipIf(!has("registry"))("the package", () => {
  const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-package-"))
  const app = Path.join(folder, "app")
  let packed: ReadonlyArray<string> = []

  const must = async (program: string, args: ReadonlyArray<string>, cwd = app) => {
    const { code, stderr, stdout } = await runBeside(program, args, { cwd })
    assert.strictEqual(code, 0, `${program} ${args.join(" ")}\n${stdout}\n${stderr}`)
    return stdout
  }

  beforeAll(async () => {
    Fs.mkdirSync(app)
    const said = await must("npm", ["pack", "--ignore-scripts", "--json", "--pack-destination", folder], root)
    const [{ filename, files }] = JSON.parse(said)
    packed = files.map((file: { readonly path: string }) => file.path)
    Fs.writeFileSync(Path.join(app, "package.json"), JSON.stringify({ name: "app", private: true, type: "module" }))
    const install = ["install", "--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts"]
    await must("npm", [...install, Path.join(folder, filename), "typescript@5.9.3", "@types/node@20.19.25"])
    const example = Fs.readFileSync(Path.join(root, "examples", "own-parts.ts"), "utf8")
      .replaceAll('"../src/index.ts"', '"conduit-router"')
      .replaceAll('"../src/testing.ts"', '"conduit-router/testing"')
    Fs.writeFileSync(Path.join(app, "own-parts.ts"), example)
  })
  afterAll(async () => {
    await killAll()
    Fs.rmSync(folder, { recursive: true, force: true })
  })

  it("has the documents, the examples and the manifests, and no tests", () => {
    for (const path of [
      "dist/bin/conduit.js",
      "dist/bin/conduit-dashboard.html",
      "dist/index.d.ts",
      "dist/testing.js",
      "docs/operations.md",
      "examples/own-parts.ts",
      "deploy/compose.yaml",
      "conduit.example.yaml",
      "LICENSE"
    ]) {
      assert.include(packed, path)
    }
    assert.deepEqual(
      packed.filter((path) => path.startsWith("test/") || path.includes("node_modules")),
      []
    )
  })

  it("has one copy of effect in a project that installs it", async () => {
    const listed = await must("npm", ["ls", "effect", "--parseable", "--all"])
    assert.strictEqual(new Set(listed.trim().split("\n")).size, 1, listed)
  })

  // The compiler that most have, and the one that this project has.
  for (const [version, tsc, module, resolution] of [
    ["5", "node_modules/typescript/bin/tsc", "NodeNext", "NodeNext"],
    ["7", Path.join(root, "node_modules/typescript/bin/tsc"), "ESNext", "Bundler"]
  ] as const) {
    it(`compiles under strict TypeScript ${version} with ${resolution}, the libraries' own types too`, () =>
      must(process.execPath, [
        tsc,
        "--strict",
        "--target",
        "ES2022",
        "--module",
        module,
        "--moduleResolution",
        resolution,
        "--skipLibCheck",
        "false",
        "--outDir",
        resolution,
        "own-parts.ts"
      ]))
  }

  it("runs inside a program that names its own models, algorithm and database", async () => {
    const script = `import { program } from "./NodeNext/own-parts.js"
import * as Effect from "effect/Effect"
const { decision, status } = await Effect.runPromise(program)
console.log(JSON.stringify({ status, algorithm: decision.policy.algorithm }))`
    Fs.writeFileSync(Path.join(app, "run.js"), script)
    const said = (await must("node", ["run.js"])).trim().split("\n").at(-1) ?? ""
    assert.deepEqual(JSON.parse(said), { status: 200, algorithm: "greedy-tenth" })
  })

  it("starts by its name, without a clone, and has its dashboard", async () => {
    const conduit = await startConduit({ program: [Path.join(app, "node_modules", ".bin", "conduit-router"), "serve"] })
    const answer = await request(`${conduit.url}/v1/chat/completions`, { body: chat("hello") })
    assert.strictEqual(answer.status, 200, answer.text)
    assert.include((await request(`${conduit.url}/`)).text, '<div id="app">')
  })
})
