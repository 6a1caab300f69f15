import { readDeploy } from "./deployKit.ts"

export interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly datasource?: { readonly uid: string }
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string; readonly mappings?: ReadonlyArray<unknown> } }
  readonly targets?: ReadonlyArray<{ readonly refId: string; readonly expr: string; readonly legendFormat: string }>
}

export interface Dashboard {
  readonly id?: number
  readonly uid: string
  readonly schemaVersion: number
  readonly panels: ReadonlyArray<Panel>
  readonly templating: { readonly list: ReadonlyArray<{ readonly name: string; readonly query: unknown }> }
}

export const dashboard: Dashboard = JSON.parse(readDeploy("grafana/conduit.json"))

/** What the panels ask for, a query each, with the title of its panel. */
export const queries = dashboard.panels.flatMap(({ targets = [], title }) =>
  targets.map(({ expr, legendFormat }) => ({ title, expr, legendFormat }))
)

/** As Grafana asks: every job and replica, and an interval that suits the scraping. */
export const filledIn = (expr: string, rateInterval: string): string =>
  expr.replaceAll("$__rate_interval", rateInterval).replaceAll(/\$(?:job|instance)/g, ".*")
