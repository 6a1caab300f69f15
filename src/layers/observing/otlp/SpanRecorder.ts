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
import { extract, inject } from "./Propagation.ts"
import { RecordedSpan } from "./RecordedSpan.ts"

const traceIdBytes = 16
const spanIdBytes = 8

/**
 * Records the spans of sampled traces. It is not the fibers' own tracer: every query and every named function would be a
 * span, most of them of no request.
 */
export const make = ({
  clock,
  ids,
  onEnd,
  sampler
}: {
  readonly clock: Clock.Clock
  readonly ids: Pick<IdsShape, "randomHex">
  readonly onEnd: (span: RecordedSpan) => void
  readonly sampler: Sampler
}): TracingShape => {
  const start = (name: string, traceId: string, parent: Tracer.AnySpan | null, kind: Tracer.SpanKind) => {
    const startTime = clock.unsafeCurrentTimeNanos()
    const spanId = ids.randomHex(spanIdBytes)
    return new RecordedSpan({ name, traceId, spanId, parent: Option.fromNullable(parent), kind, startTime }, onEnd)
  }

  const stepOf = (span: RecordedSpan): Step => ({
    span,
    end: (facts, error) => {
      annotate(span, facts)
      if (error !== null) span.attribute("error.type", error)
      span.error = error
      span.end(clock.unsafeCurrentTimeNanos(), error === null ? Exit.void : Exit.fail(error))
    }
  })

  const step: TracingShape["step"] = (parent, name, kind = "internal") =>
    isRecorded(parent) ? stepOf(start(name, parent.traceId, parent, kind)) : null

  return {
    begin: (name, headers) => {
      const caller = extract(headers)
      const traceId = caller?.traceId ?? ids.randomHex(traceIdBytes)
      if (isSampled(sampler, traceId, caller)) return stepOf(start(name, traceId, caller, "server"))
      // The models learn that the trace is not recorded here. Where the caller says so itself, they get its own span.
      const span =
        caller?.sampled === false
          ? caller
          : Tracer.externalSpan({
              traceId,
              spanId: ids.randomHex(spanIdBytes),
              sampled: false,
              context: caller?.context ?? Context.empty()
            })
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
    headers: inject
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
