import { noMoreRates } from "../../../src/domain/routing/Cost.ts"
import { assert, describe, it } from "@effect/vitest"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { ModelId } from "../../../src/domain/basics/Ids.ts"
import * as ModelCatalogFile from "../../../src/layers/models/ModelCatalogFile.ts"
import { Environment } from "../../../src/services/running/Environment.ts"
import { ModelCatalog } from "../../../src/services/models/ModelCatalog.ts"
import { defaults, Settings } from "../../../src/services/running/Settings.ts"

interface Given {
  readonly file: string
  readonly variables?: Record<string, string>
  readonly production?: boolean
  readonly simulate?: boolean
  /** Other files of its folder. */
  readonly beside?: Record<string, string>
}

const catalogOf = (given: Given) =>
  Effect.acquireUseRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "catalog-"))),
    (directory) => {
      const path = join(directory, "conduit.yaml")
      writeFileSync(path, given.file)
      const settings = {
        ...defaults,
        production: given.production ?? false,
        models: { ...defaults.models, configFile: Option.some(path), simulate: Option.fromNullable(given.simulate) }
      }
      return Effect.map(ModelCatalog, (catalog) => catalog.current()).pipe(
        Effect.provide(
          ModelCatalogFile.layer.pipe(
            Layer.provide(Layer.succeed(Settings, settings)),
            Layer.provide(
              Layer.succeed(Environment, { variables: new Map(Object.entries(given.variables ?? {})), terminal: false })
            )
          )
        )
      )
    },
    (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
  )

const problemsOf = (given: Given) =>
  catalogOf(given).pipe(
    Effect.flip,
    Effect.map((error) => error.problems)
  )

const twoModels = `
providers:
  local: { kind: openai-compatible, baseUrl: "http://127.0.0.1:9001/v1/", apiKey: "\${LOCAL_KEY}" }
  free: { kind: openai-compatible, baseUrl: "http://127.0.0.1:9002/v1" }
models:
  - { id: small, provider: local, upstream: small-8b, inputUsdPerMTok: 0.1, outputUsdPerMTok: 0.3, contextWindow: 128000, priorQuality: 0.6 }
  - { id: large, provider: free }
  - { id: old, provider: free, disabled: true }
policy: { algorithm: static, preference: cost }
`

describe("ModelCatalogFile", () => {
  it.effect("reads how long a model may be silent: its own limits, else its provider's", () =>
    Effect.gen(function* () {
      const file = `
providers:
  local: { kind: openai-compatible, baseUrl: "http://127.0.0.1:9001/v1", firstByteTimeout: 2m, idleTimeout: "30 seconds" }
models:
  - { id: own, provider: local, idleTimeout: 5 }
  - { id: given, provider: local }
`
      const { byId } = yield* catalogOf({ file })
      assert.deepStrictEqual(byId.get(ModelId("own"))?.timeouts, { firstByteMs: 120_000, idleMs: 5000 })
      assert.deepStrictEqual(byId.get(ModelId("given"))?.timeouts, { firstByteMs: 120_000, idleMs: 30_000 })
      const problems = yield* problemsOf({
        file: file.replace("2m", "soon").replace("idleTimeout: 5", "idleTimeout: 0")
      })
      assert.strictEqual(problems.length, 2)
      assert.isTrue(problems.every((problem) => problem.includes("a duration above 0")))
    })
  )

  it.effect("reads providers, models and policy", () =>
    Effect.gen(function* () {
      const catalog = yield* catalogOf({ file: twoModels, variables: { LOCAL_KEY: "hunter2" } })
      assert.deepStrictEqual(
        catalog.models.map((m) => m.id as string),
        ["small", "large", "old"]
      )
      assert.deepStrictEqual(catalog.byId.get(ModelId("small")), {
        id: ModelId("small"),
        provider: "local",
        upstream: "small-8b",
        inputUsdPerMTok: 0.1,
        outputUsdPerMTok: 0.3,
        priceSource: "conduit.yaml",
        contextWindow: 128000,
        moreRates: noMoreRates,
        maxOutputTokens: null,
        limitSources: { contextWindow: "configuration", maxOutputTokens: null },
        // There are no words for them in a chat.
        abilities: { native_tools: { can: false, source: "protocol" } },
        dialect: {},
        priorQuality: 0.6,
        timeouts: { firstByteMs: null, idleMs: null },
        unavailable: null,
        simulated: false
      })
      assert.strictEqual(catalog.byId.get(ModelId("large"))?.upstream, "large")
      assert.isNull(catalog.byId.get(ModelId("large"))?.priceSource)
      assert.strictEqual(catalog.byId.get(ModelId("old"))?.unavailable, "disabled in conduit.yaml")
      const local = catalog.providers.get("local")
      assert.strictEqual(local?.baseUrl, "http://127.0.0.1:9001/v1")
      assert.strictEqual(local?.apiKey === null || local === undefined ? null : Redacted.value(local.apiKey), "hunter2")
      assert.notInclude(JSON.stringify([...catalog.providers]), "hunter2")
      assert.deepStrictEqual(catalog.policy, { algorithm: "static", preference: "cost" })
      assert.closeTo(catalog.costReferenceUsd, (500 * 0.1 + 300 * 0.3) / 1e6, 1e-12)
    })
  )

  it.effect("reads the example that ships", () =>
    Effect.gen(function* () {
      const file = readFileSync(new URL("../../../conduit.example.yaml", import.meta.url), "utf8")
      const catalog = yield* catalogOf({ file, variables: { OPENAI_API_KEY: "k" } })
      assert.deepStrictEqual(catalog.notices, [])
      assert.isAbove(catalog.models.length, 1)
    })
  )

  it.effect("leaves a provider out whose variable is not set, and says so", () =>
    Effect.gen(function* () {
      const catalog = yield* catalogOf({ file: twoModels })
      assert.deepStrictEqual(catalog.notices, ["provider local is left out: LOCAL_KEY is not set"])
      assert.strictEqual(catalog.byId.get(ModelId("small"))?.unavailable, "LOCAL_KEY is not set")
      assert.isNull(catalog.byId.get(ModelId("large"))?.unavailable)
    })
  )

  it.effect("fills in variables in every form that people bring along", () =>
    Effect.gen(function* () {
      const provider = (baseUrl: string, apiKey: string) =>
        Effect.map(
          catalogOf({
            file: `providers: { p: { kind: openai-compatible, baseUrl: "${baseUrl}", apiKey: "${apiKey}" } }\nmodels: [{ id: m, provider: p }]`,
            variables: { KEY: "secret", HOST: "http://h:1" }
          }),
          ({ providers }) => {
            const found = providers.get("p")
            return [found?.baseUrl, found?.apiKey === null ? null : Redacted.value(found!.apiKey)]
          }
        )
      assert.deepStrictEqual(yield* provider("${HOST}/v1/", "${KEY}"), ["http://h:1/v1", "secret"])
      assert.deepStrictEqual(yield* provider("${NO:-http://d}/v1", "$KEY"), ["http://d/v1", "secret"])
      assert.deepStrictEqual(yield* provider("http://h/v1/chat/completions", "os.environ/KEY"), [
        "http://h/v1",
        "secret"
      ])
      assert.deepStrictEqual(yield* provider("https://h/x?api-version=1", "${NO:-}"), [
        "https://h/x?api-version=1",
        null
      ])
      assert.deepStrictEqual(yield* provider("http://h", "a$KEY"), ["http://h", "a$KEY"])
    })
  )

  it.effect("refuses addresses and keys that would be sent as something else, without showing them", () =>
    Effect.gen(function* () {
      const [user, hash, key, ...more] = yield* problemsOf({
        file: `
providers:
  a: { kind: openai-compatible, baseUrl: "http://u:hunter2@h/v1" }
  b: { kind: openai-compatible, baseUrl: "http://h/v1#hunter2" }
  c: { kind: openai-compatible, baseUrl: "http://h/v1", apiKey: "hunter2\u2019s" }
models: [{ id: m, provider: a }]
`
      })
      assert.deepStrictEqual(more, [])
      assert.match(
        user ?? "",
        /^conduit.yaml: providers.a.baseUrl: .*without user and password: a key is given as apiKey/
      )
      assert.match(hash ?? "", /^conduit.yaml: providers.b.baseUrl: .*without #/)
      assert.match(key ?? "", /^conduit.yaml: providers.c.apiKey: its value \(not shown\) is not right: visible ASCII/)
      assert.notInclude([user, hash, key].join(), "hunter2")
    })
  )

  it.effect("reports all problems at once by their path, with what would be right, but never a key", () =>
    Effect.gen(function* () {
      const problems = yield* problemsOf({
        file: `
providers:
  local: { kind: grpc, baseUrl: "http://x", apiKey: 12345678 }
models:
  - { id: auto, provider: local, contextWindw: 5 }
  - { id: ok, provider: local, inputUsdPerMTok: -1, priorQuality: 2 }
  - { provider: local }
policy: { algorithm: best }
`
      })
      const text = problems.join("\n")
      assert.include(text, 'providers.local.kind: "grpc" is not right: openai-compatible')
      assert.include(text, "providers.local.apiKey: its value (not shown)")
      assert.include(text, 'models[0].id: "auto" is not right')
      assert.include(text, "models[0].contextWindw: is not a key here: did you mean contextWindow?")
      assert.include(text, "models[1].inputUsdPerMTok: -1 is not right: USD per million tokens, 0 or more")
      assert.include(text, "models[1].priorQuality: 2 is not right: a number from 0 to 1")
      assert.include(text, "models[2].id: is missing")
      assert.include(
        text,
        'policy.algorithm: "best" is not right: auto, thompson, ucb, epsilon-greedy, squarecb, random or static'
      )
      assert.lengthOf(problems, 8)
      assert.notInclude(text, "12345678")
    })
  )

  it.effect("reports what only shows between entries", () =>
    Effect.gen(function* () {
      const problems = yield* problemsOf({
        file: `
providers: { local: { kind: openai-compatible, baseUrl: "ftp://x" } }
models: [{ id: a, provider: local }, { id: a, provider: other }]
`
      })
      assert.lengthOf(problems, 3)
      assert.include(problems.join("\n"), 'models[1].id: "a" is there twice')
      assert.include(problems.join("\n"), 'models[1].provider: "other" is not under providers: there are local')
    })
  )

  it.effect("reports what is wrong within entries and between them together, each once", () =>
    Effect.gen(function* () {
      const problems = yield* problemsOf({
        file: `
providers:
  local: { kind: grpc, baseUrl: "ftp://x", apiKey: 7 }
  other: { kind: openai-compatible, baseUrl: "http://user:hunter2@x" }
models:
  - { id: a, provider: local, contextWindow: -1 }
  - { id: a, provider: lokal, priorSd: 0.1 }
  - { id: b, provider: local, params: { reasoning_effort: lots, max_token: 5, temperature: 3 } }
  - { id: c, provider: local, embeddings: { space: x }, params: { verbosity: low } }
aliases:
  a: auto
  gpt-4o: d
  "gpt 4": auto
  "claude-*": { model: a, models: [a], preference: best }
  fast: { models: [] }
  "o*": { models: [a, d], weights: 1 }
`
      })
      const paths = problems.map((problem) => problem.replace(/^conduit\.yaml: /, "").split(": ")[0])
      assert.deepStrictEqual(paths.toSorted(), [
        "aliases.a",
        "aliases.claude-*.models",
        "aliases.claude-*.preference",
        "aliases.fast.models",
        "aliases.gpt 4",
        "aliases.gpt-4o",
        "aliases.o*",
        "aliases.o*.weights",
        "models[0].contextWindow",
        "models[1].id",
        "models[1].priorSd",
        "models[1].provider",
        "models[2].params.max_token",
        "models[2].params.reasoning_effort",
        "models[2].params.temperature",
        "models[3].params",
        "providers.local.apiKey",
        "providers.local.baseUrl",
        "providers.local.kind",
        "providers.other.baseUrl"
      ])
      assert.lengthOf(new Set(problems), problems.length)
      assert.notInclude(problems.join(), "hunter2")
    })
  )

  it.effect("reads what aliases stand for", () =>
    Effect.gen(function* () {
      const aliases = `
aliases:
  gpt-4o-mini: auto
  gpt-4o: small
  "claude-*": { models: [small], preference: quality }
  cheap: { model: auto, preference: cost }
`
      const catalog = yield* catalogOf({ file: twoModels + aliases, variables: { LOCAL_KEY: "k" } })
      assert.deepStrictEqual(catalog.aliases, [
        { name: "gpt-4o-mini", model: null, models: null, preference: null },
        { name: "gpt-4o", model: ModelId("small"), models: null, preference: null },
        { name: "claude-*", model: null, models: [ModelId("small")], preference: "quality" },
        { name: "cheap", model: null, models: null, preference: "cost" }
      ])
      const simulated = yield* catalogOf({ file: twoModels + aliases, simulate: true })
      assert.deepStrictEqual(
        simulated.aliases.map(({ name }) => name),
        ["gpt-4o-mini", "cheap"]
      )
    })
  )

  it.effect("names the line of what is not YAML", () =>
    Effect.map(problemsOf({ file: "models:\n  - { id: a\nprovider: [" }), ([problem]) =>
      assert.match(problem ?? "", /conduit\.yaml: line \d+: /)
    )
  )

  it.effect("simulates outside production when no model is usable, and says so", () =>
    Effect.gen(function* () {
      const catalog = yield* catalogOf({ file: "{}" })
      assert.isAbove(catalog.models.length, 1)
      assert.isTrue(
        catalog.models.every((model) => model.simulated && catalog.providers.get(model.provider)?.kind === "simulated")
      )
      assert.match(catalog.notices.at(-1) ?? "", /^no model is usable: simulated models answer/)
    })
  )

  it.effect("simulates all or nothing when told so", () =>
    Effect.gen(function* () {
      const all = yield* catalogOf({ file: twoModels, simulate: true })
      assert.isTrue(all.models.every((model) => model.simulated))
      assert.strictEqual(all.policy.preference, "cost")
      assert.match((yield* problemsOf({ file: "{}", simulate: false }))[0] ?? "", /no model is usable/)
    })
  )

  it.effect("refuses production without a usable model", () =>
    Effect.map(problemsOf({ file: "{}", production: true }), ([problem]) =>
      assert.match(problem ?? "", /no model is usable/)
    )
  )

  const withFile = <A, E>(
    given: Given,
    use: (
      catalog: ModelCatalog["Type"],
      write: (text: string, file?: string) => void,
      lines: ReadonlyArray<string>
    ) => Effect.Effect<A, E>
  ) =>
    Effect.acquireUseRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "catalog-"))),
      (directory) => {
        const path = join(directory, "conduit.yaml")
        const write = (text: string, file = "conduit.yaml") => writeFileSync(join(directory, file), text)
        const lines: Array<string> = []
        const logger = Logger.make(({ logLevel, message }) => void lines.push(`${logLevel.label} ${String(message)}`))
        write(given.file)
        for (const [file, text] of Object.entries(given.beside ?? {})) write(text, file)
        return Effect.flatMap(ModelCatalog, (catalog) => use(catalog, write, lines)).pipe(
          Effect.provide(
            ModelCatalogFile.layer.pipe(
              Layer.provide(
                Layer.succeed(Settings, { ...defaults, models: { ...defaults.models, configFile: Option.some(path) } })
              ),
              Layer.provide(
                Layer.succeed(Environment, {
                  variables: new Map(Object.entries(given.variables ?? {})),
                  terminal: false
                })
              )
            )
          ),
          Effect.provide(Logger.replace(Logger.defaultLogger, logger))
        )
      },
      (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
    )

  it.effect("reads its file again, and says what changed without addresses and keys", () =>
    withFile(
      { file: twoModels, variables: { LOCAL_KEY: "hunter2", OTHER_KEY: "swordfish" } },
      (catalog, write, lines) =>
        Effect.gen(function* () {
          const before = catalog.current()
          yield* catalog.reload
          assert.deepStrictEqual(lines, ["INFO the configuration was read again: nothing changed"])
          write(
            twoModels
              .replace("inputUsdPerMTok: 0.1", "inputUsdPerMTok: 0.2")
              .replace("LOCAL_KEY", "OTHER_KEY")
              .replace("127.0.0.1:9002", "127.0.0.1:9003")
              .replace("- { id: large, provider: free }", "- { id: huge, provider: free, priorQuality: 0.9 }")
              .replace(", disabled: true", "")
          )
          const after = yield* catalog.reload
          assert.strictEqual(catalog.current(), after)
          assert.notStrictEqual(after, before)
          assert.deepStrictEqual(
            after.models.map((model) => model.id as string),
            ["small", "huge", "old"]
          )
          const line = lines.at(-1) ?? ""
          for (const part of [
            "INFO the configuration was read again: ",
            "repriced small from 0.1/0.3 to 0.2/0.3 USD",
            "added huge",
            "removed large",
            "old is available",
            "provider local has another key",
            "provider free has another address"
          ]) {
            assert.include(line, part)
          }
          assert.notMatch(line, /hunter2|swordfish|127\.0\.0\.1/)
        })
    )
  )

  it.effect("changes nothing for a file with problems, and logs all of them", () =>
    withFile({ file: twoModels, variables: { LOCAL_KEY: "k" } }, (catalog, write, lines) =>
      Effect.gen(function* () {
        const before = catalog.current()
        write(twoModels.replace("outputUsdPerMTok: 0.3", "outputUsdPerMTok: -1").replace("id: old", "id: small"))
        const error = yield* Effect.flip(catalog.reload)
        assert.strictEqual(catalog.current(), before)
        const [line, ...more] = lines
        assert.lengthOf(more, 0)
        assert.match(line ?? "", /^ERROR the configuration was read again and is not used, the one before it stays/)
        for (const problem of error.problems) assert.include(line, problem)
        assert.match(error.message, /outputUsdPerMTok/)

        write("models: [")
        assert.match((yield* Effect.flip(catalog.reload)).message, /conduit\.yaml: line/)
        assert.strictEqual(catalog.current(), before)

        write(twoModels)
        yield* catalog.reload
        assert.match(lines.at(-1) ?? "", /^INFO .*nothing changed$/)
      })
    )
  )

  it.effect("reads keys from files beside it, again at a reload, and says what is wrong with one", () =>
    Effect.gen(function* () {
      const keyed = (field: string) => twoModels.replace('apiKey: "${LOCAL_KEY}"', field)
      yield* withFile({ file: keyed("apiKeyFile: key"), beside: { key: " hunter2\n" } }, (catalog, write, lines) =>
        Effect.gen(function* () {
          const key = () => {
            const found = catalog.current().providers.get("local")?.apiKey
            return found === null || found === undefined ? null : Redacted.value(found)
          }
          assert.strictEqual(key(), "hunter2")
          write("swordfish", "key")
          yield* catalog.reload
          assert.strictEqual(key(), "swordfish")
          assert.match(lines.at(-1) ?? "", /provider local has another key$/)
          assert.notMatch(lines.join(), /hunter2|swordfish/)
          write("", "key")
          assert.match((yield* Effect.flip(catalog.reload)).message, /is empty: write the key into it/)
          assert.strictEqual(key(), "swordfish")
        })
      )
      const problem = (field: string) => Effect.map(problemsOf({ file: keyed(field) }), ([first]) => first ?? "")
      assert.match(
        yield* problem("apiKeyFile: nowhere"),
        /^conduit\.yaml: providers\.local\.apiKeyFile: ".*\/nowhere" cannot be read \(ENOENT\)$/
      )
      assert.match(yield* problem("apiKeyFile: x, apiKey: y"), /apiKeyFile: there is an apiKey already/)
      const { notices } = yield* catalogOf({ file: keyed('apiKeyFile: "${WHERE}/key"') })
      assert.deepStrictEqual(notices, ["provider local is left out: WHERE is not set"])
    })
  )

  it.effect("does not switch between simulated and configured models", () =>
    Effect.gen(function* () {
      yield* withFile({ file: "{}" }, (catalog, write) =>
        Effect.gen(function* () {
          write(twoModels)
          assert.match((yield* Effect.flip(catalog.reload)).message, /restart the service/)
          assert.isTrue(catalog.current().models.every((model) => model.simulated))
        })
      )
      yield* withFile({ file: twoModels }, (catalog, write) =>
        Effect.gen(function* () {
          write("{}")
          assert.match((yield* Effect.flip(catalog.reload)).message, /does not switch to them/)
          assert.isTrue(catalog.current().models.every((model) => !model.simulated))
        })
      )
    })
  )

  it.effect("refuses a file that was named and is not there", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        ModelCatalog.pipe(
          Effect.provide(
            ModelCatalogFile.layer.pipe(
              Layer.provide(
                Layer.succeed(Settings, {
                  ...defaults,
                  models: { ...defaults.models, configFile: Option.some("/nowhere/x.yaml") }
                })
              ),
              Layer.provide(Layer.succeed(Environment, { variables: new Map(), terminal: false }))
            )
          )
        )
      )
      assert.match(error.problems[0] ?? "", /^CONDUIT_CONFIG: "\/nowhere\/x.yaml" cannot be read \(ENOENT\)/)
    })
  )
})
