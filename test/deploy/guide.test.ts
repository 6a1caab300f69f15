import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { settingsTable } from "../../src/services/running/Settings.ts"
import * as ShutdownReportJson from "../../src/layers/running/ShutdownReportJson.ts"
import { DatabaseErrorReason } from "../../src/services/storage/Database.ts"
import { defaults, shutdownBudget } from "../../src/services/running/Settings.ts"
import { FlushTimeout, ShutdownError, ShutdownReport } from "../../src/services/running/ShutdownReport.ts"
import { alertRules } from "../support/alertRules.ts"
import { anchors, guide as guideText } from "../support/guide.ts"
import { logCalls, metricNames, sources } from "../support/sources.ts"

const root = Path.resolve(import.meta.dirname, "../..")
const read = (path: string) => Fs.readFileSync(Path.join(root, path), "utf8")
const guide = guideText()
const code = [...sources().values()].join("\n")

const fences = (language: string) =>
  [...guide.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, "gm"))].map(([, text]) => text ?? "")
const prose = guide.replace(/^```[\s\S]*?^```/gm, "")
const spans = [...prose.matchAll(/`([^`\n]+)`/g)].map(([, text]) => text ?? "")

/** What varies is `…`, with its unit: some texts have that from a variable too. */
const plain = (message: string) => message.replace(/X\.X|<[a-z]+>|\bN(?=s?\b)/g, "…").replace(/…s\b/g, "…")

/** The rows of the table whose head begins so, as cells. */
const table = (head: string): ReadonlyArray<ReadonlyArray<string>> => {
  const lines = guide.split("\n")
  const first = lines.findIndex((line) => line.startsWith(head))
  assert.isAtLeast(first, 0, head)
  const end = lines.findIndex((line, i) => i > first && !line.startsWith("|"))
  return lines.slice(first + 2, end).map((line) =>
    line
      .slice(1, -1)
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim())
  )
}
const named = (cell: string | undefined) => [...(cell ?? "").matchAll(/`([^`]+)`/g)].map(([, name]) => name ?? "")

describe("the operators' guide", () => {
  it("is linked from README, and its own links lead somewhere", () => {
    assert.include(read("README.md"), "(docs/operations.md)")
    for (const [, anchor] of guide.matchAll(/\]\(#([^)]+)\)/g)) assert.include(anchors(), anchor)
    for (const [, path] of guide.matchAll(/`((?:deploy|test|bench|docs)\/[\w./-]+)`/g)) {
      assert.isTrue(Fs.existsSync(Path.join(root, path ?? "")), path)
    }
  })

  it("names settings that there are", () => {
    // The last one is Node's own.
    const names = new Set([...settingsTable.map((row) => row.name), "NODE_EXTRA_CA_CERTS"])
    const used = guide.match(/\b(?:(?:CONDUIT|DATABASE|LOG|NODE|OTEL|REDIS)_[A-Z_]*[A-Z]|PGSSL[A-Z]+)\b/g) ?? []
    assert.isAbove(used.length, 30)
    // Those of the long runs are the tests' own.
    for (const name of used) assert.isTrue(names.has(name) || name.startsWith("CONDUIT_TEST_"), name)
  })

  it("has the limits that the code has", () => {
    const cells = table("| step | limit |")
    assert.strictEqual(cells.at(-1)?.[1], `**${Duration.toSeconds(shutdownBudget(defaults.shutdown))} s**`)
    assert.include(cells.at(-1)?.[2], `(${Duration.toSeconds(defaults.shutdown.terminationGrace)} s)`)
  })

  it("quotes messages word for word, with their level", () => {
    const said = logCalls()
    const lines = fences("log").flatMap((text) => text.trim().split("\n"))
    assert.isAtLeast(lines.length, 12)
    for (const line of lines) {
      const [, level, message] = /^([A-Z]+) (.*)$/.exec(line) ?? []
      const known = said.filter((one) => plain(one.message) === plain(message ?? "")).map((one) => one.level)
      assert.include(known, level, line)
    }
    // The rest of the guide quotes from these.
    const quoted = spans.filter((text) => /^[A-Z][a-z]+ .*(?:, | <error>)/.test(text))
    assert.isNotEmpty(quoted)
    for (const text of quoted) {
      assert.isTrue(
        lines.some((line) => line.endsWith(` ${text}`)),
        text
      )
    }
  })

  it("has every message of a shutdown", () => {
    const shutdown = [
      "src/layers/api/Drain.ts",
      "src/layers/storage/postgres/Close.ts",
      "src/layers/running/Lifecycle.ts"
    ]
    const lines = plain(fences("log").join("\n")).split("\n")
    for (const { file, level, message } of logCalls()) {
      const isOfShutdown = shutdown.includes(file) || /^(?:Phase|Bandit state|Failed to persist)/.test(message)
      if (isOfShutdown && level !== "DEBUG") assert.include(lines, plain(`${level} ${message}`))
    }
  })

  it("lists every error of the report with its fields, and every reason of the database", () => {
    const listed = table("| `_tag` |").map(([tag, fields]) => [...named(tag), ...named(fields)])
    const real = ShutdownError.members.map((member) => [
      member.identifier,
      ...Object.keys(member.fields).filter((field) => field !== "_tag")
    ])
    assert.sameDeepMembers(listed, real)
    assert.sameMembers(
      table("| `reason` |").map(([reason]) => named(reason)[0]),
      [...DatabaseErrorReason.literals]
    )
  })

  it("has the outcomes and exit codes of the report", async () => {
    const facts = [0, 1, 2, 3].flatMap((signals) =>
      [true, false].flatMap((failed) =>
        [true, false].flatMap((isUnsaved) =>
          [true, false].map((hasErrors) => ({ signals, failed, isUnsaved, hasErrors }))
        )
      )
    )
    const rendered = await Promise.all(
      facts.map(({ failed, hasErrors, isUnsaved, signals }) =>
        Effect.gen(function* () {
          const report = yield* ShutdownReport
          if (isUnsaved) report.backlog(() => ({ pending: 1, dropped: 0 }))
          if (hasErrors) report.error(null, new FlushTimeout({ limitMs: 1 }))
          const { exit_code, outcome } = report.render({ signal: null, signals, failed, durationSeconds: 0 })
          return `${exit_code} ${outcome}`
        }).pipe(Effect.provide(ShutdownReportJson.layer), Effect.runPromise)
      )
    )
    const listed = table("| exit | outcome |").map(([code, outcome]) => `${code} ${named(outcome)[0]}`)
    assert.sameMembers(listed, [...new Set(rendered), "137 watchdog"])
    assert.match(code, /report\.outcome = "watchdog"\s+report\.exit_code = 137/)
  })

  it("lists every metric and every table, and no other", () => {
    const metrics = [...metricNames()]
    assert.sameMembers(
      table("| metric |").flatMap(([cell]) => named(cell)),
      metrics
    )
    const tables = [...code.matchAll(/CREATE TABLE (\w+) \(/g)].map(([, name]) => name ?? "")
    assert.sameMembers(
      table("| table |").flatMap(([cell]) => named(cell)),
      [...tables, "conduit_migrations"]
    )
    for (const name of guide.match(/\bconduit_[a-z_]+/g) ?? []) assert.include([...metrics, "conduit_migrations"], name)
  })

  it("lists every alert, with its severity", () => {
    const alerts = alertRules().filter((rule) => rule.alert !== undefined)
    const listed = table("| alert |").flatMap(([names, severities]) => {
      const words = severities?.split(", ") ?? []
      return named(names).map((name, i) => [name, words[i] ?? words[0]])
    })
    assert.sameDeepMembers(
      listed,
      alerts.map(({ alert, labels }) => [alert, labels?.["severity"]])
    )
  })

  it("uses names of fields and commands that the code has", () => {
    // Names of PostgreSQL, OpenTelemetry and orchestrators.
    const foreign = new Set([
      "max_connections",
      "max_prepared_statements",
      "pg_stat_activity",
      "statement_timeout",
      "xact_start",
      "always_on",
      "always_off",
      "gen_ai",
      "translation_strategy",
      "pg_dump",
      "pg_restore",
      "pg_blocking_pids",
      "stop_grace_period",
      "add_metric_suffixes",
      "translation_strategy",
      "synchronous_standby_names",
      "synchronous_commit",
      "synchronous_mode",
      "synchronous_mode_strict"
    ])
    // A key, a literal or a column: that a comment or a longer word has it is not enough.
    const plainCode = code.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "")
    const declared = new Set([
      ...[...plainCode.matchAll(/"(\w+)"/g)].map(([, name]) => name ?? ""),
      ...[...plainCode.matchAll(/\b(\w+)\??:/g)].map(([, name]) => name ?? ""),
      ...[...plainCode.matchAll(/CREATE TABLE (\w+) \(([^;]*)/g)].flatMap(([, name, columns]) => [
        name ?? "",
        ...(columns?.match(/^\s*(\w+)/gm) ?? []).map((column) => column.trim())
      ])
    ])
    const names = spans.flatMap((text) => text.match(/\b[a-z]+(?:_[a-z]+)+\b/g) ?? [])
    assert.isAbove(names.length, 20)
    assert.deepStrictEqual(
      names.filter((name) => !foreign.has(name) && !declared.has(name)),
      []
    )

    const commands = new Set(
      [...code.matchAll(/(?:Command\.make|change|say)\(\s*"([a-z-]+)"/g)].map(([, name]) => name)
    )
    const shell = fences("sh").flatMap((text) =>
      text.split("\n").filter((line) => !/^(?:docker|kubectl|helm) |^  /.test(line))
    )
    const used = [...spans, ...shell].flatMap((text) => [
      ...text.matchAll(/(?:^|[" ])(?:conduit|\/app\/conduit\.js) (?!node )(models|state)? ?([a-z-]+)\b/g)
    ])
    assert.isAbove(used.length, 10)
    for (const [whole, group, name] of used) {
      if (group !== undefined) assert.include(commands, group)
      assert.include(commands, name, whole)
    }
  })
})
