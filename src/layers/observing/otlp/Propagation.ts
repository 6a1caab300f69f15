import * as Context from "effect/Context"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import * as TraceContext from "../../../domain/observing/TraceContext.ts"
import type { TracingShape } from "../../../services/observing/Tracing.ts"

/** What the caller says about its trace besides the ids: passed on to the models unchanged. */
interface Carried {
  readonly otherFlags: number
  /** Of other tracing systems. */
  readonly tracestate: string | null
  /** W3C Baggage: facts that the application passes along with the trace. */
  readonly baggage: string | null
}

class CarriedTag extends Context.Tag("conduit/observing/Carried")<CarriedTag, Carried>() {}

const nothing: Carried = { otherFlags: 0, tracestate: null, baggage: null }

/** More than everybody has to pass on, https://www.w3.org/TR/baggage/#limits. */
const maxBaggageChars = 8192

type Headers = Parameters<TracingShape["begin"]>[1]

/** The caller's span, if the headers name one as W3C Trace Context has it. */
export const extract = (headers: Headers): Tracer.ExternalSpan | null => {
  const { traceparent } = headers
  const known = typeof traceparent === "string" ? TraceContext.parse(traceparent) : null
  return known === null ? null : Tracer.externalSpan({ ...known, context: carriedBy(headers, known) })
}

/** What a trace carries that begins here, or at the caller's span. Without that one a `tracestate` says nothing. */
export const carriedBy = (headers: Headers, caller: TraceContext.TraceContext | null): Context.Context<never> => {
  const { baggage, tracestate } = headers
  const carried: Carried = {
    otherFlags: caller?.otherFlags ?? 0,
    tracestate: caller !== null && typeof tracestate === "string" ? tracestate : null,
    baggage: typeof baggage === "string" && baggage.length <= maxBaggageChars ? baggage : null
  }
  return Context.make(CarriedTag, carried)
}

/** The headers that name this span as the parent of a call. */
export const inject: TracingShape["headers"] = (span) => {
  if (span === undefined) return undefined
  const { baggage, otherFlags, tracestate } = carried(span)
  return {
    traceparent: TraceContext.format({ ...span, otherFlags }),
    ...(tracestate === null ? {} : { tracestate }),
    ...(baggage === null ? {} : { baggage })
  }
}

/** It stands with the first span of the trace that this process knows. */
const carried = (span: Tracer.AnySpan): Carried => {
  const own = Context.getOption(span.context, CarriedTag)
  if (Option.isSome(own)) return own.value
  return span._tag === "Span" && Option.isSome(span.parent) ? carried(span.parent.value) : nothing
}

/** Records nothing: what the caller said about its trace goes to the models unchanged. */
export const propagateOnly: TracingShape = {
  begin: (_, headers) => {
    if (headers["traceparent"] === undefined) return null
    const span = extract(headers)
    return span === null ? null : { span, end: () => {} }
  },
  step: () => null,
  within: (_, effect) => effect,
  annotate: () => {},
  decided: () => {},
  link: () => {},
  headers: inject
}
