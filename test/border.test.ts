import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { promisify } from "node:util"

const root = Path.resolve(import.meta.dirname, "..")

/** Files by their path in the project; only their imports are looked at. */
type Files = Readonly<Record<string, string>>

/** The files in which the project's linter refuses an import. They lie in a folder of their own, under a copy of its rules. */
const refused = async (files: Files): Promise<ReadonlySet<string>> => {
  const folder = Fs.realpathSync(Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-border-")))
  try {
    Fs.copyFileSync(Path.join(root, ".oxlintrc.json"), Path.join(folder, ".oxlintrc.json"))
    for (const [path, text] of Object.entries(files)) {
      Fs.mkdirSync(Path.dirname(Path.join(folder, path)), { recursive: true })
      Fs.writeFileSync(Path.join(folder, path), text)
    }
    const linter = Path.join(root, "node_modules/.bin/oxlint")
    // It ends with 1 where it has something to say.
    const { stdout } = await promisify(execFile)(linter, ["--format", "json", "src"], {
      cwd: folder,
      maxBuffer: 64 * 1024 * 1024
    }).catch((error: { readonly stdout: string }) => error)
    const { diagnostics } = JSON.parse(stdout) as {
      readonly diagnostics: ReadonlyArray<{ readonly code: string; readonly filename: string }>
    }
    return new Set(
      diagnostics
        .filter(({ code }) => code.includes("no-restricted-imports"))
        .map(({ filename }) => Path.relative(folder, Path.resolve(folder, filename)))
    )
  } finally {
    Fs.rmSync(folder, { recursive: true, force: true })
  }
}

/** One file for each import, in the folder it would be in. */
const probesOf = (folder: string, imports: ReadonlyArray<string>): Files =>
  Object.fromEntries(imports.map((text, i) => [Path.join("src", folder, `Probe${i}.ts`), `${text}\n`]))

/** Every way of taking something from elsewhere that the linter sees. */
const waysTo = (specifier: string) => [
  `import { x } from "${specifier}"\nexport const y = x`,
  `import type { X } from "${specifier}"\nexport type Y = X`,
  `import * as X from "${specifier}"\nexport const y = X`,
  `import "${specifier}"`,
  `export { x } from "${specifier}"`,
  `export * from "${specifier}"`
]

const rooms = ["api", "routing", "learning", "storage", "models", "observing", "running"]

const roomProbes = (room: string) => {
  const others = rooms.filter((one) => one !== room)
  return [
    ...others.flatMap((other) => [`../${other}/Private.ts`, `../../layers/${other}/deep/Private.ts`]),
    `../../../src/layers/${others[0]}/Private.ts`,
    "../../programs/serve.ts",
    "../../../src/programs/serve.ts"
  ].flatMap(waysTo)
}

const deepProbes = (room: string) =>
  rooms
    .filter((one) => one !== room)
    .flatMap((other) => waysTo(`../../${other}/Private.ts`).concat(waysTo(`../../../layers/${other}/Private.ts`)))

const foreign = [
  "node:fs",
  "fs",
  "pg",
  "undici",
  "ioredis",
  "yaml",
  "@effect/sql/SqlClient",
  "@effect/platform-node/NodeRuntime"
]
const valuesOf = (specifier: string) => waysTo(specifier).filter((text) => !text.startsWith("import type"))

const forbidden: Files = {
  ...Object.assign({}, ...rooms.map((room) => probesOf(`layers/${room}`, roomProbes(room)))),
  ...Object.assign({}, ...rooms.map((room) => probesOf(`layers/${room}/deep`, deepProbes(room)))),
  ...probesOf("services/routing", [
    ...["../../layers/routing/RouterBandit.ts", "../../programs/serve.ts", "../../../src/layers/api/App.ts"].flatMap(
      waysTo
    ),
    ...foreign.flatMap(valuesOf)
  ]),
  ...probesOf("domain/routing", [
    ...["../../services/routing/Router.ts", "../../layers/routing/Circuit.ts", "../../programs/serve.ts"].flatMap(
      waysTo
    ),
    ...["effect/Effect", "effect/Clock", "effect/Random", "effect/Layer", "effect/Runtime", "effect/Ref"].flatMap(
      waysTo
    ),
    ...[...foreign, "@effect/platform/FileSystem"].flatMap(valuesOf)
  ]),
  ...probesOf("programs", [
    ...[
      "../layers/storage/postgres/Pool.ts",
      "../layers/routing/RoutedRequest.ts",
      "../layers/learning/fold/Deciding.ts",
      "../programs/../layers/api/App.ts",
      "../../src/layers/models/ConfigFile.ts"
    ].flatMap(waysTo),
    ...["pg", "undici", "ioredis", "@effect/sql-pg/PgClient"].flatMap(valuesOf)
  ]),
  ...probesOf("programs/doctor", waysTo("../../layers/storage/redis/Connection.ts")),
  // What an embedder imports.
  ...probesOf("", ["./layers/storage/postgres/Pool.ts", "./layers/api/Intake.ts", "pg", "undici"].flatMap(waysTo))
}

const allowed: Files = {
  ...Object.assign(
    {},
    ...rooms.map((room) =>
      probesOf(`layers/${room}`, [
        'import { x } from "./Private.ts"\nexport const y = x',
        `import { x } from "../../services/${room}/Private.ts"\nexport const y = x`,
        `import { x } from "../../domain/basics/Ids.ts"\nexport const y = x`,
        'import * as Fs from "node:fs"\nexport const y = Fs',
        'import * as Effect from "effect/Effect"\nexport const y = Effect'
      ])
    )
  ),
  ...probesOf("services/api", [
    'import type * as Http from "node:http"\nexport type Y = Http.Server',
    'import type { Dispatcher } from "undici"\nexport type Y = Dispatcher',
    'import * as HttpApi from "@effect/platform/HttpApi"\nexport const y = HttpApi',
    'import * as Effect from "effect/Effect"\nexport const y = Effect',
    'import { x } from "../../domain/routing/Model.ts"\nexport const y = x'
  ]),
  ...probesOf("domain/routing", [
    'import type { Pool } from "pg"\nexport type Y = Pool',
    'import * as Schema from "effect/Schema"\nexport const y = Schema',
    'import { x } from "../basics/Ids.ts"\nexport const y = x'
  ]),
  ...probesOf("programs", [
    'import * as DatabasePg from "../layers/storage/postgres/DatabasePg.ts"\nexport const y = DatabasePg',
    'import * as Http from "node:http"\nexport const y = Http',
    'import { x } from "./serve.ts"\nexport const y = x'
  ])
}

const sources = Fs.readdirSync(Path.join(root, "src"), { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".ts"))
  .map((path) => [`src/${path}`, Fs.readFileSync(Path.join(root, "src", path), "utf8")] as const)

const foldersOf = (floor: string) =>
  Fs.readdirSync(Path.join(root, floor), { withFileTypes: true })
    .filter((one) => one.isDirectory())
    .map(({ name }) => name)

describe("the rooms", () => {
  it("are the same in services and layers, and every file is in one", () => {
    for (const floor of ["src/services", "src/layers"]) {
      assert.sameMembers(foldersOf(floor), rooms)
      assert.lengthOf(Fs.readdirSync(Path.join(root, floor)), rooms.length)
    }
  })

  it("are mirrored by the tests: one that is named after a file is where that is", () => {
    const sourcePaths = new Set(sources.map(([path]) => path))
    for (const floor of ["domain", "services", "layers", "programs"]) {
      const folder = Path.join(root, "test", floor)
      if (!Fs.existsSync(folder)) continue
      for (const test of Fs.readdirSync(folder, { recursive: true, encoding: "utf8" })) {
        if (!test.endsWith(".test.ts")) continue
        const path = `src/${floor}/${test.replace(".test.ts", ".ts")}`
        const below = `${Path.dirname(path)}/`
        const sameName = [...sourcePaths].filter(
          (one) => one.startsWith(below) && Path.basename(one) === Path.basename(path)
        )
        if (sameName.length > 0) assert.include(sameName, path)
      }
    }
  })

  it("have files that are named after their main export, commands by lower-case words", () => {
    for (const [path] of sources) {
      const isCommand = /^src\/(?:programs\/)?[^/]+$/.test(path)
      const isMigration = path.includes("/migrations/")
      const form = isMigration
        ? /^\d{4}_[a-z]+(?:_[a-z]+)*\.ts$/
        : isCommand
          ? /^(?:[a-z]+(?:-[a-z]+)*|[A-Z]\w*)\.ts$/
          : /^[A-Z][A-Za-z0-9]*\.ts$/
      assert.match(Path.basename(path), form, path)
    }
  })
})

describe("the border between rooms", () => {
  it("is kept by the linter, whichever way an import is written", async () => {
    const found = await refused(forbidden)
    const accepted = Object.entries(forbidden).filter(([path]) => !found.has(path))
    assert.deepStrictEqual(accepted, [])
    assert.isAbove(found.size, 800)
  })

  it("lets everything through that is below", async () => {
    assert.deepStrictEqual([...(await refused(allowed))], [])
  })

  it("holds for what is imported while the program runs, which the linter does not see", async () => {
    const dynamic = sources.flatMap(([path, text]) =>
      [...text.matchAll(/\bimport\(\s*(?:"([^"]+)"|([^"\s)]))/g)].map(([, specifier]) => [path, specifier] as const)
    )
    assert.isNotEmpty(dynamic)
    for (const [path, specifier] of dynamic) assert.isDefined(specifier, `${path} imports what only it knows`)
    const asStatic = (all: ReadonlyArray<readonly [string, string | undefined]>): Files =>
      Object.fromEntries(
        all.map(([path, specifier], i) => [
          path.replace(/\.ts$/, `${i}.ts`),
          `import * as X from "${specifier}"\nexport const y = X\n`
        ])
      )
    assert.deepStrictEqual([...(await refused(asStatic(dynamic)))], [])
    const wrong = [["src/layers/api/Docs.ts", "../routing/RoutedRequest.ts"] as const]
    assert.lengthOf([...(await refused(asStatic(wrong)))], 1)
    for (const [path, text] of sources) assert.notMatch(text, /\brequire(?:\.resolve)?\(\s*["'`]\.+\//, path)
  })

  it("lets programs compose the files that export a layer, each and no other", () => {
    const { overrides } = JSON.parse(Fs.readFileSync(Path.join(root, ".oxlintrc.json"), "utf8")) as {
      readonly overrides: ReadonlyArray<{
        readonly files: ReadonlyArray<string>
        readonly rules: { readonly "no-restricted-imports"?: [string, { patterns: Array<{ group?: Array<string> }> }] }
      }>
    }
    const rule = overrides.find(({ files }) => files.includes("src/programs/**"))?.rules["no-restricted-imports"]
    const listed = (rule?.[1].patterns[0]?.group ?? []).flatMap((one) =>
      one.startsWith("!**/") ? [`src/${one.slice("!**/".length)}`] : []
    )
    const layers = sources.flatMap(([path, text]) =>
      path.startsWith("src/layers/") && /^export const layer/m.test(text) ? [path] : []
    )
    assert.sameMembers(listed, layers)
  })
})
