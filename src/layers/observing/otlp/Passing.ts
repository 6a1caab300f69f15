import * as Context from "effect/Context"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import * as TraceContext from "../../../domain/observing/TraceContext.ts"
import type { TracingShape } from "../../../services/observing/Tracing.ts"

/** What other tracing systems have to say about the trace: goes on as it came. */
class TraceState extends Context.Tag("conduit/observing/TraceState")<TraceState, string>() {}

/** The caller's span, if the headers name one as W3C has it. */
export const incoming = (
  headers: Readonly<Record<string, string | Array<string> | undefined>>
): Tracer.ExternalSpan | null => {
  const { traceparent, tracestate } = headers
  const known = typeof traceparent === "string" ? TraceContext.parse(traceparent) : null
  if (known === null) return null
  const context = typeof tracestate === "string" ? Context.make(TraceState, tracestate) : Context.empty()
  return Tracer.externalSpan({ ...known, context })
}

export const outgoing: TracingShape["headers"] = (span) => {
  if (span === undefined) return undefined
  const traceparent = TraceContext.format(span)
  const tracestate = stateOf(span)
  return tracestate === null ? { traceparent } : { traceparent, tracestate }
}

const stateOf = (span: Tracer.AnySpan): string | null =>
  span._tag === "ExternalSpan"
    ? Option.getOrNull(Context.getOption(span.context, TraceState))
    : Option.match(span.parent, { onNone: () => null, onSome: stateOf })

/** Nothing is recorded: what the caller said goes to the models unchanged. */
export const passing: TracingShape = {
  begin: (_, headers) => {
    if (headers["traceparent"] === undefined) return null
    const span = incoming(headers)
    return span === null ? null : { span, end: () => {} }
  },
  step: () => null,
  within: (_, effect) => effect,
  annotate: () => {},
  headers: outgoing
}
