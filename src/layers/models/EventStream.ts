import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { makeSseParser } from "./SseParser.ts"
import type { CallLimits, ProviderError } from "../../services/models/LanguageModels.ts"
import { embeddedError, failure, jsonObject } from "./ProviderErrors.ts"
import { makeCall, makeReceived, maxErrorBytes, maxTimerMs, type Target } from "./UpstreamCall.ts"

const maxEventChars = 8 * 1024 * 1024
/** How long the last bytes after `[DONE]` may take before the connection is given up instead of reused. */
const tailMs = 200

/** An event stream: who waits for events reads from the socket; when nobody waits, nothing is read. */
export const openStream = (target: Target, body: string, { timeoutMs }: CallLimits, clock: Clock.Clock) => {
  const received = makeReceived(target, clock)
  const parser = makeSseParser(maxEventChars)
  let events: Array<string> = []
  let first = true
  let isEventStream = true
  let done = false
  let failed: ProviderError | null = null
  let wake: (() => void) | null = null

  const fail = (error: ProviderError) => {
    failed ??= error
    call.abort()
    wake?.()
  }
  const problemWith = (event: string): ProviderError | null => {
    if (!first && !event.startsWith('{"error"')) return null
    const object = jsonObject(event)
    if (object === null) return failure(target.model, "bad_answer", received.status(), "the event is not a JSON object")
    return embeddedError(target.model, received.status() ?? 200, object)
  }
  const take = (arrived: ReadonlyArray<string>) => {
    for (const event of arrived) {
      if (event === "[DONE]") {
        done = true
        break
      }
      const problem = problemWith(event)
      if (problem !== null) return fail(problem)
      first = false
      events.push(event)
    }
    if (done && first) return fail(failure(target.model, "bad_answer", received.status(), "the stream has no events"))
    if (done || events.length > 0) wake?.()
  }
  const ended = () => {
    if (done) return
    if (received.isError()) return fail(received.refusal())
    if (!isEventStream) {
      const object = jsonObject(received.text())
      const error = object === null ? null : embeddedError(target.model, received.status() ?? 200, object)
      return fail(error ?? failure(target.model, "bad_answer", received.status(), "the answer is not an event stream"))
    }
    if (parser.end() === "[DONE]") return take(["[DONE]"])
    return fail(failure(target.model, "cut", received.status(), "the stream ended without [DONE]"))
  }

  const call = makeCall(target, body, {
    head: (status, headers) => {
      received.head(status, headers["retry-after"])
      isEventStream = String(headers["content-type"]).includes("text/event-stream")
    },
    data: (chunk) => {
      if (done) return
      if (received.isError() || !isEventStream) {
        if (!received.add(chunk, maxErrorBytes)) ended()
        return
      }
      const arrived = parser.push(chunk)
      if (arrived === null) return fail(received.tooLarge("an event"))
      take(arrived)
      if (wake === null && !done) call.pause()
    },
    end: ended,
    error: (error) => {
      if (done) return
      fail(received.isError() ? received.refusal() : received.broken(error))
    }
  })

  /** Completes when there is something to take: events, the end, or (failing) what went wrong after the last event. */
  const arrival = (what: string) =>
    Effect.async<void, ProviderError>((resume) => {
      const isReady = () => events.length > 0 || done || failed !== null
      const answer = () => resume(events.length > 0 || failed === null ? Effect.void : failed)
      if (isReady()) return answer()
      const timer = setTimeout(
        () => fail(received.isError() ? received.refusal() : received.late(timeoutMs, what)),
        Math.min(timeoutMs, maxTimerMs)
      )
      wake = () => {
        wake = null
        clearTimeout(timer)
        answer()
      }
      call.resume()
      return Effect.sync(() => {
        wake = null
        clearTimeout(timer)
        call.abort()
      })
    })

  return {
    start: Effect.sync(call.start),
    opened: Effect.map(arrival("first event"), () => received.status() ?? 200),
    next: Effect.map(arrival("event"), () => {
      const arrived = events
      events = []
      return arrived
    }),
    release: Effect.sync(() => {
      if (done && call.isOpen()) setTimeout(call.abort, tailMs).unref()
      else call.abort()
    })
  }
}
