import * as Fs from "node:fs"
import * as Path from "node:path"
import { parse } from "yaml"

export const prometheusFolder = Path.resolve(import.meta.dirname, "../../deploy/prometheus")

interface Rule {
  readonly record?: string
  readonly alert?: string
  readonly expr: string
  readonly for?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
}

/** The rules of a file of rules, or of the `spec` of a PrometheusRule: the same form. */
export const rulesOf = (file: {
  readonly groups: ReadonlyArray<{ readonly rules: ReadonlyArray<Rule> }>
}): ReadonlyArray<Rule> => file.groups.flatMap(({ rules }) => rules)

export const alertRules = (): ReadonlyArray<Rule> =>
  rulesOf(parse(Fs.readFileSync(Path.join(prometheusFolder, "alerts.yaml"), "utf8")))
