import * as Schema from "effect/Schema"

/** The series of one name, as lines of the Prometheus text format. */
export const MetricFamily = Schema.Struct({
  name: Schema.String,
  /** `counter`, `gauge` or `histogram`. */
  type: Schema.String,
  help: Schema.String,
  lines: Schema.Array(Schema.String)
})
export type MetricFamily = typeof MetricFamily.Type
