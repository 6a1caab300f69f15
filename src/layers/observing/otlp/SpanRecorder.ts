import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import { isSampled, type Sampler } from "../../../domain/observing/Sampling.ts"
import type { IdsShape } from "../../../services/running/Ids.ts"
import type { Facts, Step, TracingShape } from "../../../services/observing/Tracing.ts"
import { carriedBy, extract, inject } from "./Propagation.ts"
import { RecordedSpan } from "./RecordedSpan.ts"

const traceIdBytes = 16
const spanIdBytes = 8
const maxDecisionSpans = 10_000

export interface SpanRecorderOptions {
  readonly clock: Clock.Clock
  readonly ids: Pick<IdsShape, "randomHex">
  readonly onEnd: (span: RecordedSpan) => void
  readonly sampler: Sampler
}

/**
 * Records the spans of sampled traces. It is not the fibers' own tracer: every query and every named function would be a
 * span, most of them of no request.
 */
export const make = (options: SpanRecorderOptions): TracingShape => {
  const { ids, sampler } = options
  const decisionSpans = new DecisionSpans()
  const start = starting(options)

  const step: TracingShape["step"] = (parent, name, kind = "internal") =>
    isRecorded(parent) ? start(name, kind, parent.traceId, Option.some(parent), Context.empty()) : null

  return {
    begin: (name, headers) => {
      const caller = extract(headers)
      const traceId = caller?.traceId ?? ids.randomHex(traceIdBytes)
      const context = caller?.context ?? carriedBy(headers, null)
      if (isSampled(sampler, traceId, caller)) {
        return start(name, "server", traceId, Option.fromNullable(caller), context)
      }
      // The models learn that the trace is not recorded here. Where the caller says so itself, they get its own span.
      const span =
        caller?.sampled === false
          ? caller
          : Tracer.externalSpan({ traceId, spanId: ids.randomHex(spanIdBytes), sampled: false, context })
      return { span, end: () => {} }
    },
    step,
    within: (name, effect) =>
      Effect.withFiberRuntime((fiber) => {
        const begun = step(fiber.currentSpan, name)
        return begun === null
          ? effect
          : Effect.onExit(effect, (exit) => Effect.sync(() => begun.end({}, errorOf(exit))))
      }),
    annotate: (span, facts) => {
      if (isRecorded(span)) annotate(span, facts)
    },
    decided: (span, decisionId) => {
      if (isRecorded(span)) decisionSpans.add(decisionId, span)
    },
    link: (span, decisionIds) => {
      if (isRecorded(span)) span.addLinks(decisionIds.flatMap((id) => decisionSpans.of(id)))
    },
    headers: inject
  }
}

/** Single arguments: copying an object here took a third of a span's time. */
const starting =
  ({ clock, ids, onEnd }: SpanRecorderOptions) =>
  (
    name: string,
    kind: Tracer.SpanKind,
    traceId: string,
    parent: Option.Option<Tracer.AnySpan>,
    context: Context.Context<never>
  ): Step => {
    const spanId = ids.randomHex(spanIdBytes)
    const startTime = clock.unsafeCurrentTimeNanos()
    const span = new RecordedSpan({ name, kind, traceId, spanId, parent, context, startTime }, onEnd)
    return {
      span,
      end: (facts, error) => {
        annotate(span, facts)
        if (error !== null) span.attribute("error.type", error)
        span.error = error
        span.end(clock.unsafeCurrentTimeNanos(), error === null ? Exit.void : Exit.fail(error))
      }
    }
  }

/** The spans of the newest decisions. */
class DecisionSpans {
  readonly #spans = new Map<string, Tracer.ExternalSpan>()

  add(decisionId: string, { spanId, traceId }: Tracer.Span): void {
    this.#spans.set(decisionId, Tracer.externalSpan({ traceId, spanId, sampled: true }))
    if (this.#spans.size <= maxDecisionSpans) return
    for (const oldest of this.#spans.keys()) {
      this.#spans.delete(oldest)
      return
    }
  }

  of(decisionId: string): ReadonlyArray<Tracer.SpanLink> {
    const span = this.#spans.get(decisionId)
    return span === undefined ? [] : [{ _tag: "SpanLink", span, attributes: {} }]
  }
}

const isRecorded = (span: Tracer.AnySpan | undefined): span is Tracer.Span => span?._tag === "Span" && span.sampled

const annotate = (span: Tracer.Span, facts: Facts) => {
  for (const [name, value] of Object.entries(facts)) {
    if (value !== null && value !== undefined) span.attribute(name, value)
  }
}

const errorOf = (exit: Exit.Exit<unknown, { readonly _tag: string }>): string | null => {
  if (Exit.isSuccess(exit)) return null
  const failure = Cause.failureOption(exit.cause)
  if (Option.isSome(failure)) return failure.value._tag
  return Cause.isInterruptedOnly(exit.cause) ? "interrupted" : "unexpected"
}
