import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Tracer from "effect/Tracer"

/**
 * Traces of requests. The trace of a request is the current span of the fiber that works for it. Where nothing is recorded,
 * because tracing is off or the trace is not sampled, a step is null and costs nothing.
 */
export interface TracingShape {
  /**
   * Joins the trace that the caller names, or begins one: the fiber's current span from then on, recorded or only to be
   * passed on. Null if there is none.
   */
  readonly begin: (name: string, headers: Readonly<Record<string, string | Array<string> | undefined>>) => Begun | null

  readonly step: (parent: Tracer.AnySpan | undefined, name: string, kind?: Tracer.SpanKind) => Step | null

  /** Runs the effect as a step below the fiber's current span; only the tag of its failure is recorded. */
  readonly within: <A, E extends { readonly _tag: string }, R>(
    name: string,
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E, R>

  /** Facts about a span, if it is recorded. */
  readonly annotate: (span: Tracer.AnySpan | undefined, facts: Facts) => void

  /** Notes the span of the request that made a decision, if it is recorded. */
  readonly decided: (span: Tracer.AnySpan | undefined, decisionId: string) => void

  /**
   * Links the span to those of the requests that made the decisions, as far as this process recorded them and remembers
   * them: the newest 10,000.
   */
  readonly link: (span: Tracer.AnySpan | undefined, decisionIds: ReadonlyArray<string>) => void

  /** The headers by which a call belongs to the trace, below this span. */
  readonly headers: (span: Tracer.AnySpan | undefined) => Readonly<Record<string, string>> | undefined
}

/** Never the text of a prompt or of an answer. What is null or undefined is left out. */
export type Facts = Readonly<Record<string, string | number | boolean | ReadonlyArray<string> | null | undefined>>

export interface Begun {
  readonly span: Tracer.AnySpan
  /** `error` says why it failed, in a word of a bounded set; null if it did not. */
  readonly end: (facts: Facts, error: string | null) => void
}

/** A recorded span. */
export interface Step extends Begun {
  readonly span: Tracer.Span
}

export class Tracing extends Context.Tag("conduit/services/Tracing")<Tracing, TracingShape>() {}
