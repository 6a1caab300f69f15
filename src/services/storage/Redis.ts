import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/**
 * The Redis that replicas may share. Nothing may depend on it: a command ends within half of `CONDUIT_REDIS_TIMEOUT`, and when Redis
 * is away none is sent, so whoever asks goes on without it. Every key lives for a time, which begins anew with each use, but for counters.
 */
export interface RedisShape {
  readonly get: (key: string, ttl: Duration.Duration) => Effect.Effect<string | null, RedisAway>
  /** Stores the value unless there is one; answers with the one that is there then. */
  readonly claim: (key: string, value: string, ttl: Duration.Duration) => Effect.Effect<string, RedisAway>
  /** Adds to a counter whose window begins with its first use; answers what it has then, and when it ends. */
  readonly count: (key: string, amount: number, windowSeconds: number) => Effect.Effect<WindowCount, RedisAway>
  readonly set: (key: string, value: string, ttl: Duration.Duration) => Effect.Effect<void, RedisAway>
}

export class Redis extends Context.Tag("conduit/services/Redis")<Redis, RedisShape>() {}

export interface WindowCount {
  readonly count: number
  readonly endsInMillis: number
}

/** There is none, or it did not answer, or not in time. Why is said once, when it goes away. */
export class RedisAway extends Schema.TaggedError<RedisAway>()("RedisAway", {}) {
  override get message() {
    return "Redis is away"
  }
}
