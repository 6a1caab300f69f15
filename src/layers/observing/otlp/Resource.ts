import type { HrTime } from "@opentelemetry/api"
import { type Resource, resourceFromAttributes } from "@opentelemetry/resources"
import { hostname } from "node:os"
import { version } from "../../../domain/basics/Version.ts"
import type { SettingsShape } from "../../../services/running/Settings.ts"

/** Who made the spans and metrics: one set for the whole process. */
export const scope = { name: "conduit", version }

/** Which process it is. The settings may say more, and something else. */
export const resourceOf = ({
  resourceAttributes,
  serviceName
}: Pick<SettingsShape["otlp"], "resourceAttributes" | "serviceName">): Resource =>
  resourceFromAttributes({
    // Without the instance the series of several replicas are one and the same to the collector.
    "service.instance.id": `${hostname()}:${process.pid}`,
    "service.version": version,
    ...resourceAttributes,
    "service.name": serviceName
  })

const nanosPerSecond = 1_000_000_000n

/** Seconds and nanoseconds of Unix nanoseconds, as the SDK has times. */
export const hrTimeOf = (nanos: bigint): HrTime => [Number(nanos / nanosPerSecond), Number(nanos % nanosPerSecond)]
