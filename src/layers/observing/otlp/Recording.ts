import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import { isSampled, type Sampler } from "../../../domain/observing/Sampling.ts"
import type { Facts, Step, TracingShape } from "../../../services/observing/Tracing.ts"
import { incoming, outgoing } from "./Passing.ts"

/**
 * Records what is sampled with the tracer. It is not made the fibers' own tracer: every query and every function with a
 * name would be a span, most of them of no request.
 */
export const recording = (tracer: Tracer.Tracer, sampler: Sampler, clock: Clock.Clock): TracingShape => {
  const start = (name: string, parent: Option.Option<Tracer.AnySpan>, kind: Tracer.SpanKind) =>
    tracer.span(name, parent, Context.empty(), [], clock.unsafeCurrentTimeNanos(), kind)

  const stepOf = (span: Tracer.Span): Step => ({
    span,
    end: (facts, error) => {
      tell(span, facts)
      if (error !== null) span.attribute("error.type", error)
      span.end(clock.unsafeCurrentTimeNanos(), error === null ? Exit.void : Exit.fail(error))
    }
  })

  const step: TracingShape["step"] = (parent, name, kind = "internal") =>
    isRecorded(parent) ? stepOf(start(name, Option.some(parent), kind)) : null

  return {
    begin: (name, headers) => {
      const caller = incoming(headers)
      const span = start(name, Option.fromNullable(caller), "server")
      if (isSampled(sampler, span.traceId, caller)) return stepOf(span)
      // Models are told that the trace is not recorded here: by the caller's own span, unless that says otherwise.
      const { spanId, traceId } = span
      const context = caller?.context ?? Context.empty()
      const told =
        caller?.sampled === false ? caller : Tracer.externalSpan({ traceId, spanId, sampled: false, context })
      return { span: told, end: () => {} }
    },
    step,
    within: (name, effect) =>
      Effect.withFiberRuntime((fiber) => {
        const made = step(fiber.currentSpan, name)
        return made === null ? effect : Effect.onExit(effect, (exit) => Effect.sync(() => made.end({}, errorOf(exit))))
      }),
    annotate: (span, facts) => {
      if (isRecorded(span)) tell(span, facts)
    },
    headers: outgoing
  }
}

const isRecorded = (span: Tracer.AnySpan | undefined): span is Tracer.Span => span?._tag === "Span" && span.sampled

const tell = (span: Tracer.Span, facts: Facts) => {
  for (const [name, value] of Object.entries(facts)) {
    if (value !== null && value !== undefined && isSendable(value)) span.attribute(name, value)
  }
}

/** What has no fraction goes as 64 bits: a larger number would make the whole export unreadable. */
const isSendable = (value: unknown) =>
  typeof value !== "number" || (Number.isFinite(value) && Math.abs(value) <= Number.MAX_SAFE_INTEGER)

const errorOf = (exit: Exit.Exit<unknown, { readonly _tag: string }>): string | null => {
  if (Exit.isSuccess(exit)) return null
  const failure = Cause.failureOption(exit.cause)
  if (Option.isSome(failure)) return failure.value._tag
  return Cause.isInterruptedOnly(exit.cause) ? "interrupted" : "unexpected"
}
