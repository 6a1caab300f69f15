import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"

/** What a checklist asks of a Redis. */
export interface RedisProbeShape {
  /** Connects and tries the commands as the service does; how long one command took. */
  readonly roundTrip: (
    url: Redacted.Redacted,
    limit: Duration.Duration
  ) => Effect.Effect<Duration.Duration, RedisUnusable>
}

export class RedisProbe extends Context.Tag("conduit/services/RedisProbe")<RedisProbe, RedisProbeShape>() {}

/** It cannot be reached, refuses, or is late; `reason` has no password in it. */
export class RedisUnusable extends Schema.TaggedError<RedisUnusable>()("RedisUnusable", { reason: Schema.String }) {
  override get message() {
    return this.reason
  }
}
