import * as OtlpMetrics from "@effect/opentelemetry/OtlpMetrics"
import * as OtlpSerialization from "@effect/opentelemetry/OtlpSerialization"
import * as OtlpTracer from "@effect/opentelemetry/OtlpTracer"
import * as HttpBody from "@effect/platform/HttpBody"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { hostname } from "node:os"
import { version } from "../../../domain/basics/Version.ts"
import { flushLimit, type SettingsShape } from "../../../services/running/Settings.ts"
import type { TracingShape } from "../../../services/observing/Tracing.ts"
import { makeCourier } from "./Courier.ts"
import { type Counts, truthful } from "./Encoding.ts"
import { passing } from "./Passing.ts"
import { recording } from "./Recording.ts"
import { encodeSpans } from "./SpansProtobuf.ts"
import { makeTrouble, type Signal } from "./Trouble.ts"

/** Spans of one export; the library exports at once when so many wait. */
const spansAtOnce = 512
/** A little below the phase's own: a collector that hangs is nothing that went wrong in the shutdown. */
const lastLimit = Duration.subtract(flushLimit, Duration.millis(150))

/**
 * Exports what the settings say until the scope closes, and what there is then. The library collects and encodes; sending
 * is the courier's, because the library's exports have no limit, neither of time nor in number.
 */
export const exporting = (settings: SettingsShape["otlp"]): Effect.Effect<TracingShape, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { metricsUrl, protocol, resourceAttributes, sampler, serviceName, timeout, tracesUrl } = settings
    const clock = yield* Effect.clock
    const courier = yield* makeCourier({
      headers: {
        ...Option.match(settings.headers, { onNone: () => ({}), onSome: Redacted.value }),
        "user-agent": `conduit/${version}`
      },
      timeout,
      lastLimit,
      trouble: makeTrouble(Duration.toMillis(timeout), clock)
    })

    const counts: Counts = new WeakMap()
    const library = yield* OtlpSerialization.OtlpSerialization.pipe(
      Effect.provide(protocol === "http/json" ? OtlpSerialization.layerJson : OtlpSerialization.layerProtobuf)
    )
    const encoding =
      protocol === "http/json"
        ? library
        : { ...library, traces: (data: unknown) => HttpBody.uint8Array(encodeSpans(data), "application/x-protobuf") }
    const handOver = (signal: Signal, url: string) =>
      HttpClient.make((request) => {
        const { body } = request
        const parcel = { signal, url, items: counts.get(body) ?? 1 }
        const sent =
          body._tag === "Uint8Array"
            ? courier.send({ ...parcel, contentType: body.contentType, body: body.body })
            : courier.refuse(parcel)
        return Effect.map(sent, () => HttpClientResponse.fromWeb(request, new Response(null, { status: 200 })))
      })
    const common = {
      resource: {
        serviceName,
        serviceVersion: version,
        // Without it the series of several replicas are one and the same to the collector.
        attributes: { "service.instance.id": `${hostname()}:${process.pid}`, ...resourceAttributes }
      },
      // Nothing waits for a collector there.
      shutdownTimeout: lastLimit
    }
    /** The library would read the environment besides. */
    const withoutEnvironment = Effect.withConfigProvider(ConfigProvider.fromMap(new Map()))

    if (Option.isSome(metricsUrl)) {
      yield* OtlpMetrics.make({ ...common, url: metricsUrl.value, exportInterval: settings.metricsInterval }).pipe(
        Effect.provideService(HttpClient.HttpClient, handOver("metrics", metricsUrl.value)),
        Effect.provideService(OtlpSerialization.OtlpSerialization, truthful(encoding, courier.hasRoom, counts)),
        withoutEnvironment
      )
    }
    if (Option.isNone(tracesUrl)) {
      yield* Effect.addFinalizer(() => courier.closing)
      return passing
    }
    const tracer = yield* OtlpTracer.make({
      ...common,
      url: tracesUrl.value,
      exportInterval: settings.tracesInterval,
      maxBatchSize: spansAtOnce
    }).pipe(
      Effect.provideService(HttpClient.HttpClient, handOver("traces", tracesUrl.value)),
      Effect.provideService(OtlpSerialization.OtlpSerialization, truthful(encoding, courier.hasRoom, counts)),
      withoutEnvironment
    )
    // Added last, so run first.
    yield* Effect.addFinalizer(() => courier.closing)
    return recording(tracer, sampler, clock)
  })
