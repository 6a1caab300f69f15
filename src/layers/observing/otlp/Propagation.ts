import * as Context from "effect/Context"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import * as TraceContext from "../../../domain/observing/TraceContext.ts"
import type { TracingShape } from "../../../services/observing/Tracing.ts"

/** What other tracing systems say about the trace: passed on unchanged. */
class TraceState extends Context.Tag("conduit/observing/TraceState")<TraceState, string>() {}

/** The caller's span, if the headers name one as W3C Trace Context has it. */
export const extract = (
  headers: Readonly<Record<string, string | Array<string> | undefined>>
): Tracer.ExternalSpan | null => {
  const { traceparent, tracestate } = headers
  const known = typeof traceparent === "string" ? TraceContext.parse(traceparent) : null
  if (known === null) return null
  const context = typeof tracestate === "string" ? Context.make(TraceState, tracestate) : Context.empty()
  return Tracer.externalSpan({ ...known, context })
}

/** The headers that name this span as the parent of a call. */
export const inject: TracingShape["headers"] = (span) => {
  if (span === undefined) return undefined
  const traceparent = TraceContext.format(span)
  const tracestate = stateOf(span)
  return tracestate === null ? { traceparent } : { traceparent, tracestate }
}

const stateOf = (span: Tracer.AnySpan): string | null =>
  span._tag === "ExternalSpan"
    ? Option.getOrNull(Context.getOption(span.context, TraceState))
    : Option.match(span.parent, { onNone: () => null, onSome: stateOf })

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
  headers: inject
}
