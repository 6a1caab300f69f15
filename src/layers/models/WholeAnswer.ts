import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import {
  type CallLimits,
  type ChatAnswer,
  type ProviderError,
  usageFrom
} from "../../services/models/LanguageModels.ts"
import { embeddedError, failure, jsonObject } from "./ProviderErrors.ts"
import { makeCall, makeReceived, maxErrorBytes, maxTimerMs, type Received, type Target } from "./UpstreamCall.ts"

const maxAnswerBytes = 64 * 1024 * 1024

const answerFrom = (target: Target, received: Received): Effect.Effect<ChatAnswer, ProviderError> => {
  const status = received.status() ?? 200
  const body = jsonObject(received.text())
  if (body === null) return failure(target.model, "bad_answer", status, "the answer is not a JSON object")
  const error = embeddedError(target.model, status, body)
  if (error !== null) return error
  const choices = body["choices"]
  if (!Array.isArray(choices) || choices.length === 0) {
    return failure(target.model, "bad_answer", status, "the answer has no choices")
  }
  const finishReason: unknown = Predicate.isReadonlyRecord(choices[0]) ? choices[0]["finish_reason"] : null
  return Effect.succeed({
    status,
    body,
    usage: usageFrom(body["usage"]),
    finishReason: typeof finishReason === "string" ? finishReason : null
  })
}

/** A whole answer. Interruption aborts the call. */
export const complete = (
  target: Target,
  body: string,
  { timeoutMs }: CallLimits,
  clock: Clock.Clock
): Effect.Effect<ChatAnswer, ProviderError> =>
  Effect.async((resume) => {
    const received = makeReceived(target, clock)
    const settle = (answer: Effect.Effect<ChatAnswer, ProviderError>) => {
      clearTimeout(timer)
      call.abort()
      resume(answer)
    }
    const call = makeCall(target, body, {
      head: (status, headers) => received.head(status, headers["retry-after"]),
      data: (chunk) => {
        if (received.isError()) {
          if (!received.add(chunk, maxErrorBytes)) settle(received.refusal())
        } else if (!received.add(chunk, maxAnswerBytes)) {
          settle(received.tooLarge("the answer"))
        }
      },
      end: () => settle(received.isError() ? received.refusal() : answerFrom(target, received)),
      error: (error) => settle(received.isError() ? received.refusal() : received.broken(error))
    })
    const timer = setTimeout(
      () => settle(received.isError() ? received.refusal() : received.late(timeoutMs, "whole answer")),
      Math.min(timeoutMs, maxTimerMs)
    )
    call.start()
    return Effect.sync(() => {
      clearTimeout(timer)
      call.abort()
    })
  })
