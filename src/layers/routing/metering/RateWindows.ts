import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { RateLimiterMemory } from "rate-limiter-flexible"
import type { Counted } from "../../../services/routing/Metering.ts"
import type { RedisShape, WindowCount } from "../../../services/storage/Redis.ts"

const windowSeconds = 60

export interface Count extends WindowCount {
  readonly counted: Counted
}

/** Loaded by who has limits. It only counts: what is too much its caller decides. */
const inMemory = async (): Promise<RateLimiterMemory> => {
  const { RateLimiterMemory } = (await import("rate-limiter-flexible")).default
  return new RateLimiterMemory({ keyPrefix: "", points: 1, duration: windowSeconds })
}

/**
 * Counters of windows of a minute, which begin with their first use. All replicas share those of a Redis; without one, and
 * while it is away, each replica counts by itself.
 */
export class RateWindows {
  readonly #redis: RedisShape | null
  readonly #run: (effect: Effect.Effect<void>) => void
  #memory: Promise<RateLimiterMemory> | null = null

  constructor(redis: RedisShape | null, run: (effect: Effect.Effect<void>) => void) {
    this.#redis = redis
    this.#run = run
  }

  /** Adds to a window; calls back once. */
  add(name: string, amount: number, added: (count: Count) => void): void {
    const whole = Math.ceil(amount)
    if (this.#redis === null) return this.#addHere(name, whole, added)
    this.#run(
      Effect.map(
        Effect.either(this.#redis.count(`conduit:limit:${name}`, whole, windowSeconds)),
        Either.match({
          onLeft: () => this.#addHere(name, whole, added),
          onRight: (count) => added({ ...count, counted: "shared" })
        })
      )
    )
  }

  #addHere(name: string, amount: number, added: (count: Count) => void): void {
    this.#memory ??= inMemory()
    void this.#memory
      .then((memory) => memory.penalty(name, amount))
      .then(({ consumedPoints, msBeforeNext }) =>
        added({ count: consumedPoints, endsInMillis: msBeforeNext, counted: "replica" })
      )
  }
}
