import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { stringify } from "yaml"
import { alertRules, prometheusFolder } from "../support/alertRules.ts"
import { readDeploy, yamlOf } from "../support/deployKit.ts"
import { has, run, runBeside } from "../support/external.ts"
import { anchors } from "../support/guide.ts"

const rules = alertRules()
const alerts = rules.filter((rule) => rule.alert !== undefined)

/** What Prometheus and the collector add to a series that comes by OTLP: the scope, and the resource as labels. */
const byOtlp = (series: string) =>
  series.replace(
    /^(conduit_\w+)\{/,
    '$1{otel_scope_name="conduit",otel_scope_version="0.1.0",service_name="conduit",service_version="0.1.0",'
  )
const promtool = (...args: ReadonlyArray<string>) => run("promtool", args, { cwd: prometheusFolder })

describe("the alert rules", () => {
  it("say how bad it is, what it is, what to do and where to read more", () => {
    assert.isAtLeast(alerts.length, 15)
    for (const { alert, annotations, labels } of alerts) {
      assert.match(alert ?? "", /^Conduit[A-Z]\w+$/)
      assert.include(["critical", "warning", "info"], labels?.["severity"], alert)
      assert.sameMembers(Object.keys(annotations ?? {}), ["summary", "description", "runbook", "runbook_url"], alert)
      assert.isAbove(annotations?.["runbook"]?.length ?? 0, 40, alert)
      const [file, anchor] = annotations?.["runbook_url"]?.split("#") ?? []
      assert.strictEqual(file, "docs/operations.md", alert)
      assert.include(anchors(), anchor, alert)
    }
  })

  it("state the budget once", () => {
    const [budget, ...others] = rules.filter((rule) => rule.record !== undefined)
    assert.deepStrictEqual(others, [])
    assert.match(budget?.expr ?? "", /^vector\(\d+\)$/)
    assert.lengthOf(
      rules.filter((rule) => rule.expr.includes(budget?.record ?? "?")),
      1
    )
    assert.lengthOf(readDeploy("prometheus/alerts.yaml").match(/vector\(/g) ?? [], 1)
  })

  it("have a scenario each in which they fire, after one in which they do not", () => {
    const { tests } = yamlOf("prometheus/alerts.test.yaml")
    for (const { alert } of alerts) {
      const scenarios = tests.filter((one: { name: string }) => one.name.split(/\W/)[0] === alert)
      assert.lengthOf(scenarios, 1, alert)
      const [before, ...after] = scenarios[0].promql_expr_test
      assert.deepStrictEqual(before.exp_samples, [], alert)
      const fired = after.flatMap((one: { exp_samples: Array<{ labels: string }> }) => one.exp_samples)
      assert.isNotEmpty(fired, alert)
      for (const { labels } of fired) assert.include(labels, `alertname="${alert}"`)
    }
  })
})

describe.skipIf(!has("promtool"))("promtool (skipped where it is not installed)", () => {
  it("accepts the rules and the configuration", () => {
    const checked = promtool("check", "config", "prometheus.yml")
    assert.strictEqual(checked.code, 0, checked.stdout + checked.stderr)
    assert.include(checked.stdout, `${rules.length} rules found`)
  })

  /** Those scenarios with those rules, in a folder of their own. */
  const tested = async (rulesText: string, scenarios: { readonly tests: ReadonlyArray<unknown> }) => {
    const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-alerts-"))
    try {
      Fs.writeFileSync(Path.join(folder, "alerts.yaml"), rulesText)
      Fs.writeFileSync(Path.join(folder, "alerts.test.yaml"), stringify(scenarios))
      const { code, stderr, stdout } = await runBeside("promtool", ["test", "rules", "alerts.test.yaml"], {
        cwd: folder
      })
      return { code, said: stdout + stderr }
    } finally {
      Fs.rmSync(folder, { recursive: true })
    }
  }

  it("sees each alert fire when it should, and only then", async () => {
    const { code, said } = await tested(readDeploy("prometheus/alerts.yaml"), yamlOf("prometheus/alerts.test.yaml"))
    assert.strictEqual(code, 0, said)
  })

  it("sees the same of the series that an OTLP receiver makes of them", async () => {
    const scenarios = yamlOf("prometheus/alerts.test.yaml")
    for (const { input_series } of scenarios.tests) for (const each of input_series) each.series = byOtlp(each.series)
    assert.include(stringify(scenarios), "otel_scope_name")
    const { code, said } = await tested(readDeploy("prometheus/alerts.yaml"), scenarios)
    assert.strictEqual(code, 0, said)
  })

  it("sees it if one never fires", async () => {
    const rulesText = readDeploy("prometheus/alerts.yaml")
    const broken = rulesText.replace(/(alert: ConduitFoldLag\s+expr:).*/, "$1 vector(0) > 1")
    assert.notStrictEqual(broken, rulesText)
    const { tests, ...file } = yamlOf("prometheus/alerts.test.yaml")
    const lagging = { ...file, tests: tests.filter(({ name }: { name: string }) => name.startsWith("ConduitFoldLag")) }
    assert.strictEqual((await tested(rulesText, lagging)).code, 0)
    const { code, said } = await tested(broken, lagging)
    assert.notStrictEqual(code, 0)
    assert.include(said, "ConduitFoldLag")
  })
})
