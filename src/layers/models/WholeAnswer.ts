import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Label } from "../../domain/models/Form.ts"
import { isAnswer, readAnswer } from "../../domain/models/WholeAnswer.ts"
import type { CallLimits, ChatAnswer, ProviderError } from "../../services/models/LanguageModels.ts"
import { answerFromStream } from "../../domain/models/WholeFromStream.ts"
import { SseParser } from "./SseParser.ts"
import { streamFailure } from "./ProviderErrors.ts"
import {
  errorBodyMs,
  maxAnswerBytes,
  maxErrorBytes,
  maxTimerMs,
  Received,
  silenceLimit,
  type Target,
  UpstreamCall
} from "./UpstreamCall.ts"

/** A field of an event stream, or a comment of one. */
const beginsStream = /^\s*(?:data|event|id|retry)?:/

/** Some answer by a stream whatever was asked. */
const eventsOf = (text: string) => {
  const parser = new SseParser(maxAnswerBytes)
  const events = parser.push(Buffer.from(text)) ?? []
  const last = parser.end()
  return last === null ? events : [...events, last]
}

const answerFrom = (
  target: Target,
  received: Received,
  label: Label,
  choices: number
): Effect.Effect<ChatAnswer, ProviderError> => {
  const status = received.status ?? 200
  const { text } = received
  const read = beginsStream.test(text) ? answerFromStream(eventsOf(text), label, choices) : readAnswer(text, label)
  if (!isAnswer(read)) return streamFailure(target, status, read)
  return Effect.succeed({ status, ...read, requestId: received.requestId })
}

/** A whole answer. Interruption aborts the call. */
export const complete = (
  target: Target,
  body: string,
  { timeoutMs }: CallLimits,
  clock: Clock.Clock,
  label: Label,
  choices: number
): Effect.Effect<ChatAnswer, ProviderError> =>
  Effect.async((resume) => {
    const received = new Received(target, clock)
    const settle = (answer: Effect.Effect<ChatAnswer, ProviderError>) => {
      clearTimeout(timer)
      call.abort()
      resume(answer)
    }
    const call = new UpstreamCall(target, body, {
      head: (status, headers) => {
        received.head(status, headers)
        lifeMs = nowMs()
        if (received.isError) dueMs = Math.min(dueMs, lifeMs + errorBodyMs)
        arm()
      },
      data: (chunk) => {
        lifeMs = nowMs()
        if (received.isError) {
          if (!received.add(chunk, maxErrorBytes)) settle(received.refusal())
        } else if (!received.add(chunk, maxAnswerBytes)) {
          settle(received.tooLarge("the answer"))
        }
      },
      end: () => settle(received.isError ? received.refusal() : answerFrom(target, received, label, choices)),
      error: (error) => settle(received.isError ? received.refusal() : received.broken(error))
    })
    const nowMs = () => Number(clock.unsafeCurrentTimeNanos()) / 1e6
    let lifeMs = nowMs()
    let dueMs = lifeMs + timeoutMs
    let timer: NodeJS.Timeout | undefined
    const silence = () => silenceLimit(target, lifeMs, { hasHead: received.status !== null, stream: false })
    const arm = () => {
      clearTimeout(timer)
      const nearestMs = Math.min(dueMs, silence()?.dueMs ?? Infinity) - nowMs()
      timer = setTimeout(due, Math.min(Math.max(0, Math.ceil(nearestMs)), maxTimerMs))
    }
    const due = () => {
      const silent = silence()
      const isSilent = silent !== null && nowMs() >= silent.dueMs
      if (!isSilent && nowMs() < dueMs) return arm()
      if (received.isError) return settle(received.refusal())
      settle(isSilent ? received.failure("timeout", silent.says) : received.late(timeoutMs, "whole answer"))
    }
    arm()
    call.start()
    return Effect.sync(() => {
      clearTimeout(timer)
      call.abort()
    })
  })
