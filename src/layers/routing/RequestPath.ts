import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import { storablePrompt } from "../../domain/basics/StorableText.ts"
import { NoEligibleModel } from "../../services/learning/BanditState.ts"
import type { LearningLogShape } from "../../services/learning/LearningLog.ts"
import type { RoutingRequest } from "../../domain/routing/Decision.ts"
import type { Bounded } from "../../services/routing/Metering.ts"
import {
  type Answer,
  type Caller,
  type Chat,
  type RouterError,
  type RouterShape,
  UnknownModel
} from "../../services/routing/Router.ts"
import { ChatRun, type Parts as ChatParts } from "./ChatRun.ts"
import * as Conversation from "./Conversation.ts"

interface Parts extends ChatParts {
  readonly log: Pick<LearningLogShape, "record">
}

/** Both faces of the request path: plain functions, and effects around them. */
export const make = (parts: Parts): Pick<RouterShape, "begin" | "complete" | "stream" | "route"> => {
  const { choosing, log, storePrompts } = parts

  const begin: RouterShape["begin"] = (chat) => {
    const run = new ChatRun(parts, chat)
    run.start()
    return run
  }

  /** Interrupting the fiber interrupts the chat. */
  const run = (asked: Pick<Chat, "request" | "body" | "caller" | "open">) =>
    Effect.flatMap(around, (surroundings) =>
      Effect.async<Answer | null, RouterError>((resume) => {
        const chat = begin({
          ...asked,
          ...surroundings,
          onEnd: (exit, about = {}) => resume(Effect.annotateLogs(exit, about))
        })
        return Effect.sync(() => chat.interrupt())
      })
    )

  /** For callers that act upon the decision themselves. */
  /** It is counted as a request; what the caller's own calls cost nobody here knows. */
  const route: RouterShape["route"] = (asked, caller) =>
    Effect.acquireUseRelease(
      entered(asked, caller),
      () => decidedOnly(asked, caller),
      () => Effect.sync(() => caller.meter?.leave())
    )

  const decidedOnly: RouterShape["route"] = (asked, caller) =>
    Effect.flatMap(around, (surroundings) =>
      Effect.flatMap(
        Effect.async<Parameters<LearningLogShape["record"]>[0]["decision"], NoEligibleModel | UnknownModel>(
          (resume) => {
            const request = choosing.meant(asked, caller)
            choosing.decide(
              {
                request,
                owner: caller.owner,
                conversation: Conversation.none,
                charge: caller.meter?.charge() ?? null,
                ...surroundings
              },
              (found, tookMs) => {
                if (found instanceof NoEligibleModel || found instanceof UnknownModel) return resume(Effect.fail(found))
                choosing.stands(found, tookMs, surroundings.log)
                resume(Effect.succeed(found))
              }
            )
          }
        ),
        (decision) => {
          const prompt = storePrompts ? storablePrompt(asked.text) : null
          return Effect.as(log.record({ decision, attempts: [], outcome: null, prompt }), decision)
        }
      )
    )

  return {
    begin,
    complete: (request, body, caller) =>
      Effect.flatMap(run({ request, body, caller, open: null }), (answer) =>
        answer === null ? Effect.dieMessage("a whole answer is no stream") : Effect.succeed(answer)
      ),
    stream: (request, body, caller, open) => Effect.asVoid(run({ request, body, caller, open })),
    route
  }
}

const entered = ({ inputTokens }: RoutingRequest, { meter }: Caller): Effect.Effect<void, NonNullable<Bounded>> =>
  meter === undefined
    ? Effect.void
    : Effect.async((resume) => {
        meter.enter(inputTokens, (bounded) => resume(bounded === null ? Effect.void : Effect.fail(bounded)))
      })

/** What a chat takes from the fiber that it runs for: its span, and what its log lines are annotated with. */
const around: Effect.Effect<Pick<Chat, "span" | "log">> = Effect.withFiberRuntime<Pick<Chat, "span" | "log">>(
  ({ currentSpan: span }) =>
    Effect.map(Effect.runtime<never>(), (runtime) => ({
      span,
      log: (line: Effect.Effect<void>) => void Runtime.runFork(runtime)(line)
    }))
)
