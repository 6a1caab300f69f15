import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type { Sampler } from "../../../domain/observing/Sampling.ts"
import * as Parse from "./Parsers.ts"
import type { ReadSetting } from "./Setting.ts"

export type OtlpProtocol = "http/protobuf" | "http/json"

/** The standard variables of OpenTelemetry, as far as they are followed here; the others are other programs'. */
export const otlp = (setting: ReadSetting) => {
  const urls = exportUrls(setting)
  const resourceAttributes = setting(
    "OTEL_RESOURCE_ATTRIBUTES",
    attributes,
    {},
    "more attributes of the service, `name=value`, comma separated, values percent-encoded",
    "deployment.environment.name=prod,service.namespace=chat"
  )
  return {
    ...urls,
    protocol: setting(
      "OTEL_EXPORTER_OTLP_PROTOCOL",
      protocol,
      "http/protobuf",
      "`http/protobuf` or `http/json`",
      "http/json"
    ),
    /** Sent with every export, by name. */
    headers: setting(
      "OTEL_EXPORTER_OTLP_HEADERS",
      Parse.optional(headers),
      Option.none(),
      "headers of every export, `name=value`, comma separated, values percent-encoded",
      "api-key=secret",
      { secret: true }
    ),
    /** For one export, all its tries together. */
    timeout: setting(
      "OTEL_EXPORTER_OTLP_TIMEOUT",
      millis,
      Duration.seconds(10),
      "limit of one export, milliseconds",
      "5000",
      { shown: "10000" }
    ),
    serviceName: setting(
      "OTEL_SERVICE_NAME",
      Parse.text,
      resourceAttributes["service.name"] ?? "conduit",
      "`service.name` of what is exported",
      "conduit-eu"
    ),
    resourceAttributes,
    sampler: samplerOf(setting),
    metricsInterval: setting(
      "OTEL_METRIC_EXPORT_INTERVAL",
      millis,
      Duration.minutes(1),
      "milliseconds between two exports of metrics",
      "15000",
      { shown: "60000" }
    ),
    /** A span is exported at the latest after this. */
    tracesInterval: setting(
      "OTEL_BSP_SCHEDULE_DELAY",
      millis,
      Duration.seconds(5),
      "milliseconds that a span waits at most for its export",
      "1000",
      { shown: "5000" }
    )
  } as const
}

/** Where traces and metrics go; none = no spans are made, or metrics are only there to be read. */
const exportUrls = (setting: ReadSetting) => {
  const endpointAt = (name: string, meaning: string, example: string, shown: string) =>
    setting(name, Parse.optional(httpUrl), Option.none(), meaning, example, { shown, secret: true })
  const base = endpointAt(
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "where traces and metrics go by OTLP over HTTP; `/v1/traces` and `/v1/metrics` are appended",
    "http://otel-collector:4318",
    "none: nothing is exported"
  )
  const traces = endpointAt(
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "where traces go instead, taken as it is",
    "http://tempo:4318/v1/traces",
    "`OTEL_EXPORTER_OTLP_ENDPOINT` and `/v1/traces`"
  )
  const metrics = endpointAt(
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "where metrics go instead, taken as it is",
    "http://prometheus:9090/api/v1/otlp/v1/metrics",
    "`OTEL_EXPORTER_OTLP_ENDPOINT` and `/v1/metrics`"
  )
  const exportsTraces = setting("OTEL_TRACES_EXPORTER", exporter, true, "`otlp`, or `none`: no traces", "none", {
    shown: "otlp"
  })
  const exportsMetrics = setting(
    "OTEL_METRICS_EXPORTER",
    exporter,
    true,
    "`otlp`, or `none`: metrics are not exported",
    "none",
    { shown: "otlp" }
  )
  const isOff = setting(
    "OTEL_SDK_DISABLED",
    Parse.flag,
    false,
    "`true`: neither traces nor metrics are exported",
    "true"
  )
  const urlOf = (own: Option.Option<string>, path: string, isExported: boolean) =>
    Option.filter(
      Option.orElse(own, () => Option.map(base, (url) => `${url.replace(/\/+$/, "")}${path}`)),
      () => isExported && !isOff
    )
  return {
    tracesUrl: urlOf(traces, "/v1/traces", exportsTraces),
    metricsUrl: urlOf(metrics, "/v1/metrics", exportsMetrics)
  } as const
}

const samplerOf = (setting: ReadSetting): Sampler => {
  const { isRatio, parentBased, ratio } = setting(
    "OTEL_TRACES_SAMPLER",
    sampler,
    { parentBased: true, isRatio: false, ratio: 1 },
    "`always_on`, `always_off`, `traceidratio`, or one of these after `parentbased_`: then a caller's own decision is followed",
    "parentbased_traceidratio",
    { shown: "parentbased_always_on" }
  )
  const share = setting(
    "OTEL_TRACES_SAMPLER_ARG",
    fraction,
    1,
    "share of the traces for `traceidratio`, from 0 to 1",
    "0.1"
  )
  return { parentBased, ratio: isRatio ? share : ratio }
}

const exporter: Parse.Parse<boolean> = Parse.choice({ otlp: true, none: false }, "otlp or none")

const protocol = Parse.choice<OtlpProtocol>(
  { "http/protobuf": "http/protobuf", "http/json": "http/json" },
  "http/protobuf or http/json: grpc is not spoken, and a collector takes HTTP on port 4318"
)

/** As OpenTelemetry writes its durations. */
const millis: Parse.Parse<Duration.Duration> = (value) => {
  const maximum = Duration.toMillis(Parse.longestTimer)
  return Either.mapBoth(Parse.integer(1, maximum)(value), {
    onLeft: () => `a whole number of milliseconds from 1 to ${maximum}`,
    onRight: Duration.millis
  })
}

const fraction: Parse.Parse<number> = (value) => {
  const number = Number(value)
  return number >= 0 && number <= 1 ? Either.right(number) : Either.left("a number from 0 to 1")
}

const httpUrl: Parse.Parse<string> = (value) => {
  const url = URL.canParse(value) ? new URL(value) : null
  return url !== null && /^https?:$/.test(url.protocol) && url.username === "" && url.password === ""
    ? Either.right(url.href)
    : Either.left("an http or https URL without user and password")
}

/** `name=value` pairs as OpenTelemetry writes them: comma separated, values percent-encoded. */
const pairsOf =
  (isName: (name: string) => boolean, right: string): Parse.Parse<Readonly<Record<string, string>>> =>
  (value) => {
    const pairs = value
      .split(",")
      .filter((pair) => pair.trim() !== "")
      .map((pair) => {
        const at = pair.indexOf("=")
        const decoded = Either.try(() => decodeURIComponent(pair.slice(at + 1).trim()))
        return [pair.slice(0, Math.max(0, at)).trim(), Either.getOrNull(decoded)] as const
      })
    const named = pairs.flatMap(([name, decoded]) => (decoded === null || !isName(name) ? [] : [[name, decoded]]))
    return named.length === pairs.length ? Either.right(Object.fromEntries(named)) : Either.left(right)
  }

const pairs = "name=value pairs, comma separated, values percent-encoded"

const attributes = pairsOf((name) => name !== "", pairs)

const headers: Parse.Parse<Redacted.Redacted<Readonly<Record<string, string>>>> = (value) =>
  Either.flatMap(pairsOf((name) => /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name), pairs)(value), (parsed) =>
    Object.values(parsed).every((text) => /^[\t\x20-\x7e\x80-\xff]*$/.test(text))
      ? Either.right(Redacted.make(parsed))
      : Either.left(pairs)
  )

const sampler: Parse.Parse<{ readonly parentBased: boolean; readonly isRatio: boolean; readonly ratio: number }> =
  Parse.choice(
    Object.fromEntries(
      [false, true].flatMap((parentBased) => {
        const prefix = parentBased ? "parentbased_" : ""
        return [
          [`${prefix}always_on`, { parentBased, isRatio: false, ratio: 1 }],
          [`${prefix}always_off`, { parentBased, isRatio: false, ratio: 0 }],
          [`${prefix}traceidratio`, { parentBased, isRatio: true, ratio: 1 }]
        ]
      })
    ),
    "always_on, always_off, traceidratio, or one of these after parentbased_"
  )
