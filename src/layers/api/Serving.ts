import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as Tracer from "effect/Tracer"
import { type AnyError, toPublic } from "./ErrorTable.ts"
import type { Exchange, Work } from "./Exchange.ts"
import { InternalError } from "./HttpErrors.ts"
import type { Reply } from "./Reply.ts"

/** `about` belongs to the line that logs a bug. */
type Ended = (exit: Exit.Exit<Reply | null, AnyError>, about?: Readonly<Record<string, string>>) => void

/** The ways in which an exchange is served. A bug in any is logged with its request id and answered 500. */
export interface Serving {
  /** By a fiber: its reply answers, or null after a stream that it has written. */
  readonly fork: (exchange: Exchange, work: Effect.Effect<Reply | null, AnyError>) => void
  /** By work that tells its end to `ended`, perhaps at once. */
  readonly run: (exchange: Exchange, begin: (ended: Ended) => Work) => void
  /** By a plain function, such as a callback of node. */
  readonly call: (exchange: Exchange, work: () => void) => void
  /** Logs on behalf of an exchange. */
  readonly log: (exchange: Exchange, line: Effect.Effect<void>) => void
}

export const make: Effect.Effect<Serving> = Effect.map(Effect.runtime<never>(), (runtime) => {
  const runFork = Runtime.runFork(runtime)
  const log: Serving["log"] = (exchange, line) => void runFork(Effect.zipRight(belongingTo(exchange), line))
  return {
    log,
    fork: (exchange, work) => {
      exchange.begin()
      const fiber = runFork(
        Effect.zipRight(belongingTo(exchange), work).pipe(
          Effect.tapErrorCause((cause) => (isBug(cause) ? Effect.logError("request failed", cause) : Effect.void))
        )
      )
      exchange.servedBy({ interrupt: () => fiber.unsafeInterruptAsFork(FiberId.none) })
      fiber.addObserver((exit) => exchange.ended(exit))
    },
    run: (exchange, begin) => {
      exchange.begin()
      const ended: Ended = (exit, about = {}) => {
        if (Exit.isFailure(exit) && isBug(exit.cause)) {
          log(exchange, Effect.annotateLogs(Effect.logError("request failed", exit.cause), about))
        }
        exchange.ended(exit)
      }
      exchange.servedBy(begin(ended))
    },
    call: (exchange, work) => {
      try {
        work()
      } catch (bug) {
        log(exchange, Effect.logError("request failed", Cause.die(bug)))
        exchange.fail(new InternalError())
      }
    }
  }
})

/** A defect, or a failure that the client is told as ours. */
const isBug = (cause: Cause.Cause<AnyError>): boolean =>
  Option.match(Cause.failureOption(cause), {
    onNone: () => !Cause.isInterruptedOnly(cause),
    onSome: (error) => toPublic(error).status === 500
  })

/**
 * The request id on each line that a fiber logs, and the span under which it works. The fiber is the request's own, so
 * there is nothing to restore: a third of the cost of `annotateLogs`.
 */
const belongingTo = ({ requestId, span }: Exchange): Effect.Effect<void> => {
  const annotated = FiberRef.update(
    FiberRef.currentLogAnnotations,
    HashMap.set<string, unknown>("request_id", requestId)
  )
  if (span === null) return annotated
  return Effect.zipRight(annotated, FiberRef.update(FiberRef.currentContext, Context.add(Tracer.ParentSpan, span.span)))
}
