import * as HttpBody from "@effect/platform/HttpBody"
import type { OtlpSerialization } from "@effect/opentelemetry/OtlpSerialization"
import * as Predicate from "effect/Predicate"
import { type Fields, records, within } from "./Fields.ts"
import type { Signal } from "./Trouble.ts"

/** How many spans a body holds. One that holds nothing stands for a batch for which there was no room. */
export type Counts = WeakMap<HttpBody.HttpBody, number>

/**
 * The library's encoding, of what is true: it calls every failed span interrupted, every other one `Ok`, which is not for
 * an instrumentation to say, and it tells failures as exceptions with stack and causes, which may quote anything. Its
 * metrics include those of the runtime's fibers, and all have the unit 1, also seconds; collectors make names of units.
 */
export const truthful = (
  encode: OtlpSerialization["Type"],
  hasRoom: (signal: Signal) => boolean,
  counts: Counts
): OtlpSerialization["Type"] => {
  const nothing = () => HttpBody.raw(null)
  const counted = (body: HttpBody.HttpBody, items: number) => {
    counts.set(body, items)
    return body
  }
  return {
    ...encode,
    traces: (data) => {
      const spans = within(data, ["resourceSpans", "scopeSpans", "spans"])
      if (!hasRoom("traces")) return counted(nothing(), spans.length)
      for (const span of spans) correct(span)
      return counted(encode.traces(data), spans.length)
    },
    metrics: (data) => {
      if (!hasRoom("metrics")) return nothing()
      for (const scope of within(data, ["resourceMetrics", "scopeMetrics"])) {
        scope["metrics"] = records(scope["metrics"]).filter(({ name }) => !String(name).startsWith("effect_"))
        for (const metric of records(scope["metrics"])) correctMetric(metric)
      }
      return encode.metrics(data)
    }
  }
}

/** A gauge that is no number has nothing to say. */
const correctMetric = (metric: Fields): void => {
  metric["unit"] = undefined
  const gauge = metric["gauge"]
  if (!Predicate.isRecord(gauge)) return
  metric["gauge"] = { dataPoints: records(gauge["dataPoints"]).filter(({ asDouble }) => !Number.isNaN(asDouble)) }
}

const isError = 2
const invented = new Set<unknown>(["span.label", "status.interrupted"])

const correct = (span: Fields): void => {
  const status = Predicate.isRecord(span["status"]) ? span["status"] : {}
  span["events"] = []
  if (status["code"] !== isError) {
    span["status"] = { code: 0 }
    return
  }
  span["attributes"] = records(span["attributes"]).filter(({ key }) => !invented.has(key))
}
