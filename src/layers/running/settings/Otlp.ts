import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { defaults, type SettingsShape } from "../../../services/running/Settings.ts"
import * as Parse from "./Parsers.ts"

/** The standard variables of OpenTelemetry, as far as they are followed here; the others are other programs'. */
export const readOtlp = ({ optional, variable }: Parse.Reader): SettingsShape["otlp"] => {
  const endpoint = optional("OTEL_EXPORTER_OTLP_ENDPOINT", httpUrl, true)
  const tracesEndpoint = optional("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", httpUrl, true)
  const metricsEndpoint = optional("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", httpUrl, true)
  const isOff = variable("OTEL_SDK_DISABLED", Parse.flag, false)
  const urlOf = (own: Option.Option<string>, path: string, isExported: boolean) =>
    Option.filter(
      Option.orElse(own, () => Option.map(endpoint, (base) => `${base.replace(/\/+$/, "")}${path}`)),
      () => isExported && !isOff
    )
  const { isRatio, parentBased, ratio } = variable("OTEL_TRACES_SAMPLER", sampler, {
    ...defaults.otlp.sampler,
    isRatio: false
  })
  const share = variable("OTEL_TRACES_SAMPLER_ARG", fraction, 1)
  const resourceAttributes = variable("OTEL_RESOURCE_ATTRIBUTES", attributes, defaults.otlp.resourceAttributes)
  return {
    tracesUrl: urlOf(tracesEndpoint, "/v1/traces", variable("OTEL_TRACES_EXPORTER", exporter, true)),
    metricsUrl: urlOf(metricsEndpoint, "/v1/metrics", variable("OTEL_METRICS_EXPORTER", exporter, true)),
    protocol: variable("OTEL_EXPORTER_OTLP_PROTOCOL", protocol, defaults.otlp.protocol),
    headers: optional("OTEL_EXPORTER_OTLP_HEADERS", headers, true),
    timeout: variable("OTEL_EXPORTER_OTLP_TIMEOUT", millis, defaults.otlp.timeout),
    metricsInterval: variable("OTEL_METRIC_EXPORT_INTERVAL", millis, defaults.otlp.metricsInterval),
    tracesInterval: variable("OTEL_BSP_SCHEDULE_DELAY", millis, defaults.otlp.tracesInterval),
    serviceName: variable(
      "OTEL_SERVICE_NAME",
      Parse.text,
      resourceAttributes["service.name"] ?? defaults.otlp.serviceName
    ),
    resourceAttributes,
    sampler: { parentBased, ratio: isRatio ? share : ratio }
  }
}

const exporter: Parse.Parse<boolean> = Parse.choice({ otlp: true, none: false }, "otlp or none")

const protocol = Parse.choice<SettingsShape["otlp"]["protocol"]>(
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
