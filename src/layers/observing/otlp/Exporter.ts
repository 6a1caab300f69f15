import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FiberSet from "effect/FiberSet"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import { Agent } from "undici"
import type { DropReport, Signal } from "./DropReport.ts"
import { NotDelivered, post } from "./Post.ts"

/** Batches under way at once: with a collector that hangs they are all there is. */
const maxConcurrentBatches = 2
const firstPauseMs = 500
const longestPauseMs = 5_000
/** A longer Retry-After counts as this. */
const longestRetryAfterMs = 5 * 60_000

/**
 * Sends one signal to the collector in the background, each batch within one time limit. Nobody waits for it, and it never
 * fails: what cannot be delivered is dropped and counted.
 */
export interface Exporter<Item> {
  /** Drops the batch if too many are under way. `count` is how many items `make` returns. */
  readonly send: (count: number, make: () => ReadonlyArray<Item>) => Effect.Effect<void>
  /** Completes when no batch is under way. */
  readonly idle: Effect.Effect<void>
}

/** What the collector left out of a batch that it took. */
export interface PartialSuccess {
  readonly rejected: number
  readonly message: string
}

export interface Format<Item> {
  readonly contentType: string
  readonly serialize: (items: ReadonlyArray<Item>) => Uint8Array
  /** Of the answer to a batch; null if the collector took all of it. */
  readonly partialSuccess: (answer: Uint8Array) => PartialSuccess | null
}

export interface Options<Item> {
  readonly signal: Signal
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly format: Format<Item>
  /** For one batch, all its tries together. */
  readonly timeout: Duration.Duration
  readonly report: DropReport
}

/** When the scope closes, batches under way are dropped. */
export const make = <Item>(options: Options<Item>): Effect.Effect<Exporter<Item>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { format, headers, report, signal, timeout, url } = options
    const dispatcher = yield* Effect.acquireRelease(
      Effect.sync(() => new Agent({ connections: maxConcurrentBatches, headersTimeout: 0, bodyTimeout: 0 })),
      (agent) => Effect.sync(() => void agent.destroy().catch(() => undefined))
    )
    const underWay = yield* FiberSet.make<void>()
    const untilTaken = retrying(post({ url, headers, contentType: format.contentType, dispatcher }))

    /** Metrics count by the export, because nobody misses single ones. */
    const countOf = (items: number) => (signal === "traces" ? items : Math.min(1, items))
    const drop = (items: number, why: string) => report.dropped(signal, countOf(items), why)

    const taken = (items: number, partial: PartialSuccess | null) => {
      if (partial === null) return report.delivered
      const { message, rejected } = partial
      if (rejected === 0) {
        return Effect.zipRight(
          Effect.logDebug(`The collector took the ${signal} and says: ${message}`),
          report.delivered
        )
      }
      const what = signal === "traces" ? `${rejected} of ${items} spans` : `${rejected} points of metrics`
      return drop(Math.min(items, rejected), `the collector rejected ${what}: ${message}`)
    }

    const deliver = (items: ReadonlyArray<Item>, limit: Duration.Duration): Effect.Effect<void> =>
      Effect.gen(function* () {
        let last = `no answer within ${Duration.toMillis(timeout)} ms`
        const body = format.serialize(items)
        const begunMs = yield* Clock.currentTimeMillis
        const answer = yield* untilTaken(body, (detail) => (last = detail)).pipe(
          Effect.timeoutFail({
            duration: limit,
            onTimeout: () => new NotDelivered({ detail: last, kind: "final", retryAfterMs: 0 })
          }),
          Effect.onInterrupt(() => drop(items.length, "the shutdown did not wait for the collector")),
          Effect.either
        )
        if (Either.isRight(answer)) return yield* taken(items.length, format.partialSuccess(answer.right))
        const { detail, kind } = answer.left
        if (kind !== "too large" || items.length < 2) return yield* drop(items.length, detail)
        const middle = Math.ceil(items.length / 2)
        const halves = [items.slice(0, middle), items.slice(middle)]
        const left = Duration.subtract(limit, Duration.millis((yield* Clock.currentTimeMillis) - begunMs))
        yield* Effect.forEach(halves, (half) => deliver(half, left), { concurrency: "unbounded", discard: true })
      })

    return {
      idle: FiberSet.awaitEmpty(underWay),
      send: (count, make) =>
        Effect.gen(function* () {
          if ((yield* FiberSet.size(underWay)) >= maxConcurrentBatches) {
            return yield* drop(count, "the collector is too slow")
          }
          const delivery = Effect.suspend(() => deliver(make(), timeout)).pipe(
            // A bug of the encoding costs the batch, and is logged with its count.
            Effect.catchAllDefect(() => drop(count, "it could not be encoded")),
            // A batch that a finalizer sends can be interrupted all the same.
            Effect.interruptible
          )
          yield* FiberSet.run(underWay, delivery)
        })
    }
  })

type Post = (body: Uint8Array) => Effect.Effect<Uint8Array, NotDelivered>

/** Tries again what is transient, without an end of its own. The pauses that a collector asks for hold for every batch. */
const retrying = (send: Post) => {
  let notBeforeMs = 0
  const attempt = (
    body: Uint8Array,
    pauseMs: number,
    onTransient: (detail: string) => void
  ): Effect.Effect<Uint8Array, NotDelivered> =>
    Effect.gen(function* () {
      yield* Effect.sleep(Math.max(0, notBeforeMs - (yield* Clock.currentTimeMillis)))
      const answer = yield* Effect.either(send(body))
      if (Either.isRight(answer)) return answer.right
      const { detail, kind, retryAfterMs } = answer.left
      if (kind !== "transient") return yield* answer.left
      onTransient(detail)
      const now = yield* Clock.currentTimeMillis
      notBeforeMs = Math.max(notBeforeMs, now + Math.min(longestRetryAfterMs, retryAfterMs))
      yield* Effect.sleep(yield* Random.nextRange(0.5 * pauseMs, 1.5 * pauseMs))
      return yield* attempt(body, Math.min(longestPauseMs, 2 * pauseMs), onTransient)
    })
  return (body: Uint8Array, onTransient: (detail: string) => void) => attempt(body, firstPauseMs, onTransient)
}
