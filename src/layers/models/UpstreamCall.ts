import type * as Clock from "effect/Clock"
import type { Dispatcher } from "undici"
import { transportDetail } from "../../domain/basics/TransportDetail.ts"
import { failure, refusal } from "./ProviderErrors.ts"

/** Where one model is called, and how errors name it. */
export interface Target {
  readonly model: string
  readonly dispatcher: Dispatcher
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
}

export const maxErrorBytes = 64 * 1024
/** A later timer would fire at once. */
export const maxTimerMs = 2_147_483_647

const aborted = new Error("aborted")

/** One POST. The callbacks come after `start`, none of them after `abort`; `pause` stops reading from the socket. */
export const makeCall = (
  target: Target,
  body: string,
  on: {
    readonly head: (status: number, headers: Readonly<Record<string, string | Array<string> | undefined>>) => void
    readonly data: (chunk: Buffer) => void
    readonly end: () => void
    readonly error: (error: unknown) => void
  }
) => {
  let controller: Dispatcher.DispatchController | null = null
  let state: "open" | "ended" | "aborted" = "open"
  const ended = (then: () => void) => {
    if (state !== "open") return
    state = "ended"
    then()
  }
  return {
    start: () => {
      target.dispatcher.dispatch(
        { path: target.path, method: "POST", headers: target.headers, body },
        {
          onRequestStart: (started) => {
            controller = started
            if (state === "aborted") started.abort(aborted)
          },
          onResponseStart: (_, status, headers) => {
            if (state === "open" && status >= 200) on.head(status, headers)
          },
          onResponseData: (_, chunk) => {
            if (state === "open") on.data(chunk)
          },
          onResponseEnd: () => ended(on.end),
          onResponseError: (_, error) => ended(() => on.error(error))
        }
      )
    },
    abort: () => {
      if (state !== "open") return
      state = "aborted"
      controller?.abort(aborted)
    },
    pause: () => controller?.pause(),
    resume: () => {
      if (controller?.paused === true) controller.resume()
    },
    isOpen: () => state === "open"
  }
}

/** The answer as far as it has come: what every kind of call needs to say why it failed. */
export const makeReceived = (target: Target, clock: Clock.Clock) => {
  const chunks: Array<Buffer> = []
  let bytes = 0
  let status: number | null = null
  let retryAfter: string | null = null
  const text = () => Buffer.concat(chunks).toString("utf8")
  return {
    status: () => status,
    isError: () => status !== null && (status < 200 || status >= 300),
    head: (code: number, after: string | Array<string> | undefined) => {
      status = code
      retryAfter = (typeof after === "string" ? after : after?.[0]) ?? null
    },
    /** Answers whether there is room for more. */
    add: (chunk: Buffer, most: number) => {
      bytes += chunk.length
      if (bytes <= most) chunks.push(chunk)
      return bytes <= most
    },
    text,
    refusal: () =>
      refusal(target.model, { status: status ?? 500, body: text(), retryAfter }, clock.unsafeCurrentTimeMillis()),
    broken: (error: unknown) =>
      failure(target.model, status === null ? "connection" : "cut", status, transportDetail(error)),
    late: (timeoutMs: number, what: string) =>
      failure(target.model, "timeout", status, `no ${what} within ${timeoutMs} ms`),
    tooLarge: (what: string) => failure(target.model, "bad_answer", status, `${what} is too large`)
  }
}
export type Received = ReturnType<typeof makeReceived>
