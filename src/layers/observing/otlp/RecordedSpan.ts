import {
  type Attributes,
  type HrTime,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  TraceFlags
} from "@opentelemetry/api"
import type { Resource } from "@opentelemetry/resources"
import type { ReadableSpan } from "@opentelemetry/sdk-trace"
import type * as Context from "effect/Context"
import type * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Tracer from "effect/Tracer"
import { hrTimeOf, scope } from "./Resource.ts"

/** A span that is given to `onEnd` when it ends. Times are Unix nanoseconds. */
export class RecordedSpan implements Tracer.Span {
  readonly _tag = "Span"
  readonly sampled = true
  readonly attributes = new Map<string, Attributes[string]>()
  readonly links: Array<Tracer.SpanLink> = []
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parent: Option.Option<Tracer.AnySpan>
  readonly context: Context.Context<never>
  readonly kind: Tracer.SpanKind
  status: Tracer.SpanStatus
  /** Why it failed, in a word of a bounded set; null if it did not. */
  error: string | null = null
  readonly #onEnd: (span: RecordedSpan) => void

  constructor(
    begun: Pick<RecordedSpan, "name" | "traceId" | "spanId" | "parent" | "context" | "kind"> & {
      readonly startTime: bigint
    },
    onEnd: (span: RecordedSpan) => void
  ) {
    this.name = begun.name
    this.traceId = begun.traceId
    this.spanId = begun.spanId
    this.parent = begun.parent
    this.context = begun.context
    this.kind = begun.kind
    this.status = { _tag: "Started", startTime: begun.startTime }
    this.#onEnd = onEnd
  }

  /** The exit is not exported: what it failed with may quote a prompt. `error` says what is told of it. */
  end(endTime: bigint, exit: Exit.Exit<unknown, unknown>): void {
    if (this.status._tag === "Ended") return
    this.status = { _tag: "Ended", startTime: this.status.startTime, endTime, exit }
    this.#onEnd(this)
  }

  attribute(key: string, value: unknown): void {
    if (isAttribute(value)) this.attributes.set(key, value)
  }

  addLinks(links: ReadonlyArray<Tracer.SpanLink>): void {
    this.links.push(...links)
  }

  /** Events are not exported. */
  event(): void {}
}

/** A number without a fraction goes out as 64 bits, so a larger one would be another number. */
const isAttribute = (value: unknown): value is Attributes[string] =>
  typeof value === "number"
    ? Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value))
    : typeof value === "string" ||
      typeof value === "boolean" ||
      (Array.isArray(value) && value.every((one) => typeof one === "string"))

const kinds: Record<Tracer.SpanKind, SpanKind> = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER
}

const contextOf = ({ sampled, spanId, traceId }: Tracer.AnySpan): SpanContext => ({
  traceId,
  spanId,
  traceFlags: sampled ? TraceFlags.SAMPLED : TraceFlags.NONE
})

const zero: HrTime = [0, 0]

/** As the SDK's serializers take it. */
export const readable = (span: RecordedSpan, resource: Resource): ReadableSpan => {
  const { error, links, parent, status } = span
  const spanContext = contextOf(span)
  return {
    name: span.name,
    kind: kinds[span.kind],
    spanContext: () => spanContext,
    ...(Option.isSome(parent)
      ? { parentSpanContext: { ...contextOf(parent.value), isRemote: parent.value._tag === "ExternalSpan" } }
      : {}),
    startTime: hrTimeOf(status.startTime),
    endTime: status._tag === "Ended" ? hrTimeOf(status.endTime) : zero,
    ended: status._tag === "Ended",
    // Nothing reads it: the times say it.
    duration: zero,
    status: error === null ? { code: SpanStatusCode.UNSET } : { code: SpanStatusCode.ERROR, message: error },
    attributes: Object.fromEntries(span.attributes),
    links: links.map((link) => ({ context: contextOf(link.span) })),
    events: [],
    resource,
    instrumentationScope: scope,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0
  }
}
