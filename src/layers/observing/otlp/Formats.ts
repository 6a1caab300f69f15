import {
  JsonMetricsSerializer,
  JsonTraceSerializer,
  ProtobufMetricsSerializer,
  ProtobufTraceSerializer
} from "@opentelemetry/otlp-transformer"
import type { Resource } from "@opentelemetry/resources"
import type { MetricData } from "@opentelemetry/sdk-metrics"
import * as Either from "effect/Either"
import * as Predicate from "effect/Predicate"
import type { SettingsShape } from "../../../services/running/Settings.ts"
import type { Format, PartialSuccess } from "./Exporter.ts"
import { readable, type RecordedSpan } from "./RecordedSpan.ts"
import { scope } from "./Resource.ts"

// The SDK's own serializers. It has exporters as well, but those have no room for a count of what is dropped, nor for a
// batch that is sent in halves.

type Protocol = SettingsShape["otlp"]["traces"]["protocol"]

const contentTypes: Record<Protocol, string> = {
  "http/protobuf": "application/x-protobuf",
  "http/json": "application/json"
}

export const traceFormat = (protocol: Protocol, resource: Resource): Format<RecordedSpan> => {
  const serializer = protocol === "http/json" ? JsonTraceSerializer : ProtobufTraceSerializer
  return {
    contentType: contentTypes[protocol],
    serialize: (spans) => serializer.serializeRequest(spans.map((span) => readable(span, resource))) ?? nothing,
    partialSuccess: (answer) =>
      partialSuccessIn(() => serializer.deserializeResponse(answer).partialSuccess, "rejectedSpans")
  }
}

export const metricsFormat = (protocol: Protocol, resource: Resource): Format<MetricData> => {
  const serializer = protocol === "http/json" ? JsonMetricsSerializer : ProtobufMetricsSerializer
  return {
    contentType: contentTypes[protocol],
    serialize: (metrics) =>
      serializer.serializeRequest({ resource, scopeMetrics: [{ scope, metrics: [...metrics] }] }) ?? nothing,
    partialSuccess: (answer) =>
      partialSuccessIn(() => serializer.deserializeResponse(answer).partialSuccess, "rejectedDataPoints")
  }
}

const nothing = new Uint8Array()
const maxMessageChars = 200

/** What cannot be read says nothing. In JSON a number of 64 bits may be a string. */
const partialSuccessIn = (read: () => unknown, rejectedKey: string): PartialSuccess | null => {
  const found = Either.getOrNull(Either.try(read))
  if (!Predicate.isRecord(found)) return null
  const rejected = Number(found[rejectedKey] ?? 0)
  const message = typeof found["errorMessage"] === "string" ? found["errorMessage"].slice(0, maxMessageChars) : ""
  return rejected > 0 || message !== "" ? { rejected: rejected > 0 ? rejected : 0, message } : null
}
