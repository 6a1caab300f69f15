import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type { Sampler } from "../../../domain/observing/Sampling.ts"
import * as Parse from "./Parsers.ts"
import type { ReadSetting } from "./Setting.ts"

export type OtlpProtocol = "http/protobuf" | "http/json"

/** How one signal is exported. */
export interface OtlpSignal {
  /** None = it is not: no spans are made, or metrics are only there to be read. */
  readonly url: Option.Option<string>
  readonly protocol: OtlpProtocol
  /** Sent with every export, by name. */
  readonly headers: Option.Option<Redacted.Redacted<Readonly<Record<string, string>>>>
  /** For one export, all its tries together. */
  readonly timeout: Duration.Duration
  /** Between two exports; a span waits no longer. */
  readonly interval: Duration.Duration
}

/**
 * The standard variables of OpenTelemetry, as far as they are followed here; the others are other programs'. One row a
 * setting, in the order of the guide. Whole, because signals inherit from what both share.
 */
export const otlp = (setting: ReadSetting) => {
  const base = endpointAt(
    setting,
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "where traces and metrics go by OTLP over HTTP; `/v1/traces` and `/v1/metrics` are appended",
    "http://otel-collector:4318",
    "none: nothing is exported"
  )
  const isOff = setting(
    "OTEL_SDK_DISABLED",
    Parse.flag,
    false,
    "`true`: neither traces nor metrics are exported",
    "true"
  )
  const general = {
    base,
    isOff,
    protocol: setting(
      "OTEL_EXPORTER_OTLP_PROTOCOL",
      protocol,
      "http/protobuf",
      "`http/protobuf` or `http/json`",
      "http/json"
    ),
    headers: setting(
      "OTEL_EXPORTER_OTLP_HEADERS",
      Parse.optional(headers),
      Option.none(),
      "headers of every export, `name=value`, comma separated, values percent-encoded",
      "api-key=secret",
      { secret: true }
    ),
    timeout: setting(
      "OTEL_EXPORTER_OTLP_TIMEOUT",
      millis,
      Duration.seconds(10),
      "limit of one export, milliseconds",
      "5000",
      { shown: "10000" }
    )
  }
  const tracesInterval = setting(
    "OTEL_BSP_SCHEDULE_DELAY",
    millis,
    Duration.seconds(5),
    "milliseconds that a span waits at most for its export",
    "1000",
    { shown: "5000" }
  )
  const metricsInterval = setting(
    "OTEL_METRIC_EXPORT_INTERVAL",
    millis,
    Duration.minutes(1),
    "milliseconds between two exports of metrics",
    "15000",
    { shown: "60000" }
  )
  const resourceAttributes = setting(
    "OTEL_RESOURCE_ATTRIBUTES",
    attributes,
    {},
    "more attributes of the service, `name=value`, comma separated, values percent-encoded",
    "deployment.environment.name=prod,service.namespace=chat"
  )
  return {
    traces: signalOf(setting, "traces", "http://tempo:4318/v1/traces", general, tracesInterval),
    metrics: signalOf(setting, "metrics", "http://prometheus:9090/api/v1/otlp/v1/metrics", general, metricsInterval),
    serviceName: setting(
      "OTEL_SERVICE_NAME",
      Parse.text,
      resourceAttributes["service.name"] ?? "conduit",
      "`service.name` of what is exported",
      "conduit-eu"
    ),
    resourceAttributes,
    sampler: samplerOf(setting)
  } as const
}

const endpointAt = (setting: ReadSetting, name: string, meaning: string, example: string, shown: string) =>
  setting(name, Parse.optional(httpUrl), Option.none(), meaning, example, { shown, secret: true })

/** What is not said of the signal is as it is said of both. */
const signalOf = (
  setting: ReadSetting,
  signal: "traces" | "metrics",
  exampleUrl: string,
  general: Pick<OtlpSignal, "protocol" | "headers" | "timeout"> & {
    readonly base: Option.Option<string>
    readonly isOff: boolean
  },
  interval: Duration.Duration
): OtlpSignal => {
  const variable = (name: string) => `OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_${name}`
  const path = `/v1/${signal}`
  const own = endpointAt(
    setting,
    variable("ENDPOINT"),
    `where ${signal} go instead, taken as it is`,
    exampleUrl,
    `\`OTEL_EXPORTER_OTLP_ENDPOINT\` and \`${path}\``
  )
  const isExported = setting(
    `OTEL_${signal.toUpperCase()}_EXPORTER`,
    exporter,
    true,
    `\`otlp\`, or \`none\`: ${signal === "traces" ? "no traces" : "metrics are not exported"}`,
    "none",
    { shown: "otlp" }
  )
  return {
    url: Option.filter(
      Option.orElse(own, () => Option.map(general.base, (url) => `${url.replace(/\/+$/, "")}${path}`)),
      () => isExported && !general.isOff
    ),
    headers: setting(
      variable("HEADERS"),
      Parse.optional(headers),
      general.headers,
      `headers of ${signal} instead`,
      "api-key=secret",
      { shown: "`OTEL_EXPORTER_OTLP_HEADERS`", secret: true }
    ),
    protocol: setting(variable("PROTOCOL"), protocol, general.protocol, `protocol of ${signal} instead`, "http/json", {
      shown: "`OTEL_EXPORTER_OTLP_PROTOCOL`"
    }),
    timeout: setting(variable("TIMEOUT"), millis, general.timeout, `limit of one export of ${signal} instead`, "5000", {
      shown: "`OTEL_EXPORTER_OTLP_TIMEOUT`"
    }),
    interval
  }
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
