import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { stringify } from "yaml"
import { alertRules } from "../support/alertRules.ts"
import { dashboard, filledIn, queries } from "../support/dashboard.ts"
import { yamlOf } from "../support/deployKit.ts"
import { has, run } from "../support/external.ts"
import { guide } from "../support/guide.ts"
import { metricNames } from "../support/sources.ts"

const { panels } = dashboard

const testRules = (tests: ReadonlyArray<unknown>) => {
  const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-panels-"))
  try {
    Fs.writeFileSync(Path.join(folder, "test.yaml"), stringify({ rule_files: [], evaluation_interval: "1m", tests }))
    const { code, stderr, stdout } = run("promtool", ["test", "rules", "test.yaml"], { cwd: folder })
    assert.strictEqual(code, 0, stdout + stderr)
  } finally {
    Fs.rmSync(folder, { recursive: true })
  }
}
const rows = panels.filter(({ type }) => type === "row")
const drawn = panels.filter(({ type }) => type !== "row")
const expressions = queries.map(({ expr }) => expr)
const variables = dashboard.templating.list

/** Names of metrics in PromQL, without what a histogram adds to its own. */
const namesIn = (promql: string): ReadonlyArray<string> =>
  (promql.match(/\b(?:conduit|process|nodejs)_[a-z_]+\b(?!")/g) ?? []).map((name) =>
    name.replace(/_(?:bucket|count|sum)$/, "")
  )

describe("the dashboard", () => {
  it("has the rows that the guide names, and its place among the dashboards", () => {
    assert.deepStrictEqual(
      rows.map(({ title }) => title),
      ["Traffic", "Models", "Learning", "Cost", "Database", "Process", "Shutdown"]
    )
    const titles = rows.map(({ title }) => title)
    assert.include(guide(), `Its rows are ${titles.slice(0, -1).join(", ")} and ${titles.at(-1)}`)
    assert.isAtLeast(dashboard.schemaVersion, 39)
    assert.strictEqual(dashboard.uid, "conduit")
    assert.isUndefined(dashboard.id)
  })

  it("says of every panel what it means, in which unit, and draws it where no other is", () => {
    const cells = new Set<string>()
    for (const { description, fieldConfig, gridPos, targets, title, type } of drawn) {
      assert.isAbove(description?.length ?? 0, 20, title)
      assert.isNotEmpty(targets ?? [], title)
      // A state has names instead of a unit.
      if (type === "state-timeline") assert.isNotEmpty(fieldConfig?.defaults.mappings ?? [], title)
      else assert.isNotEmpty(fieldConfig?.defaults.unit ?? "", title)
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          assert.isBelow(x, 24, title)
          assert.isFalse(cells.has(`${x} ${y}`), title)
          cells.add(`${x} ${y}`)
        }
      }
    }
    for (const { gridPos, title } of rows) assert.isFalse(cells.has(`0 ${gridPos.y}`), title)
    const ids = panels.map(({ id }) => id)
    assert.strictEqual(new Set(ids).size, ids.length)
    const titles = drawn.map(({ title }) => title)
    assert.strictEqual(new Set(titles).size, titles.length)
  })

  it("asks for the data source, the job and the replica, and every query follows them", () => {
    assert.deepStrictEqual(
      variables.map(({ name }) => name),
      ["datasource", "job", "instance"]
    )
    for (const { datasource, title } of drawn) assert.strictEqual(datasource?.uid, "${datasource}", title)
    for (const expr of expressions) {
      const selectors = expr.match(/\b(?:conduit|process|nodejs)_[a-z_]+\{[^}]*\}|\{__name__=~[^}]*\}/g) ?? []
      assert.isNotEmpty(selectors, expr)
      for (const selector of selectors) assert.match(selector, /[{,]job=~"\$job",instance=~"\$instance"/)
      assert.lengthOf(selectors, namesIn(expr).length, expr)
    }
  })

  it("asks for metrics that there are and that the guide explains; so do the alerts", () => {
    const used = [
      ...expressions.flatMap(namesIn),
      ...variables.flatMap(({ query }) => namesIn(JSON.stringify(query))),
      ...alertRules().flatMap(({ expr }) => namesIn(expr))
    ]
    assert.isAbove(new Set(used).size, 40)
    const real = metricNames()
    const explained = guide()
    for (const name of new Set(used)) {
      assert.include(real, name)
      assert.include(explained, `\`${name}\``)
    }
  })

  it("is what the provisioning of Compose finds, on the data source that it makes", () => {
    const { providers } = yamlOf("grafana/provisioning/dashboards/conduit.yaml")
    const { grafana, prometheus } = yamlOf("compose.yaml").services
    assert.include(grafana.volumes, `./grafana/conduit.json:${providers[0].options.path}/conduit.json:ro`)
    for (const folder of Fs.readdirSync(new URL("../../deploy/grafana/provisioning", import.meta.url))) {
      assert.include(grafana.volumes, `./grafana/provisioning/${folder}:/etc/grafana/provisioning/${folder}:ro`)
    }
    const { datasources } = yamlOf("grafana/provisioning/datasources/prometheus.yaml")
    const [{ jsonData, type, url }] = datasources
    assert.strictEqual(type, "prometheus")
    assert.strictEqual(new URL(url).hostname, "prometheus")
    assert.isDefined(prometheus)
    assert.strictEqual(jsonData.timeInterval, yamlOf("prometheus/prometheus.yml").global.scrape_interval)
  })
})

/** The query of a panel that has one. */
const panelQuery = (title: string) => {
  const [query, ...others] = queries.filter((one) => one.title === title)
  assert.isEmpty(others, title)
  return filledIn(query?.expr ?? "", "2m")
}

describe.skipIf(!has("promtool"))("promtool (skipped where it is not installed)", () => {
  it("sees replicas that were killed leave the dashboard, scraped or by OTLP", () => {
    const expr = panelQuery("Replicas")
    const counted = (minute: number, value: number) => ({
      expr,
      eval_time: `${minute}m`,
      exp_samples: [{ labels: "{}", value }]
    })
    const alive = (instance: string, values: string) => ({
      series: `conduit_build_info{job="conduit",instance="${instance}"}`,
      values
    })
    testRules([
      {
        name: "scraped: a target that does not answer is stale at once",
        interval: "1m",
        input_series: [alive("a", "1x10 stale"), alive("b", "1x10 stale")],
        promql_expr_test: [counted(10, 2), counted(11, 0)]
      },
      {
        name: "by OTLP: the last sample stays",
        interval: "1m",
        input_series: [alive("pod-a:1", "1x10"), alive("pod-b:1", "1x10"), alive("pod-c:1", "1x12")],
        promql_expr_test: [counted(10, 3), counted(13, 1), counted(15, 0), counted(20, 0)]
      }
    ])
  })

  it("sees the share of the choices under both names that collectors give the counter", () => {
    const expr = panelQuery("Share of the choices")
    testRules(
      ["conduit_model_selection", "conduit_model_selection_total"].map((name) => ({
        name,
        interval: "1m",
        input_series: [
          { series: `${name}{job="conduit",instance="a",model="small",algorithm="lints"}`, values: "0+3x10" },
          { series: `${name}{job="conduit",instance="b",model="large",algorithm="lints"}`, values: "0+1x10" }
        ],
        promql_expr_test: [
          {
            expr,
            eval_time: "10m",
            exp_samples: [
              { labels: '{model="small"}', value: 0.75 },
              { labels: '{model="large"}', value: 0.25 }
            ]
          }
        ]
      }))
    )
  })

  it("understands every query of the dashboard", () => {
    const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-dashboard-"))
    try {
      const rules = expressions.map((expr, i) => ({
        record: `panel:${i}`,
        expr: filledIn(expr, "1m")
      }))
      Fs.writeFileSync(Path.join(folder, "rules.yaml"), stringify({ groups: [{ name: "dashboard", rules }] }))
      const { code, stderr, stdout } = run("promtool", ["check", "rules", "rules.yaml"], { cwd: folder })
      assert.strictEqual(code, 0, stdout + stderr)
      assert.include(stdout, `${rules.length} rules found`)
    } finally {
      Fs.rmSync(folder, { recursive: true })
    }
  })
})
