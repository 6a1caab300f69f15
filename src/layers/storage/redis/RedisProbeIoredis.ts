import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { RedisProbe, type RedisProbeShape, RedisUnusable } from "../../../services/storage/RedisProbe.ts"
import { open, probe } from "./Connection.ts"

const roundTrip: RedisProbeShape["roundTrip"] = (url, limit) =>
  Effect.gen(function* () {
    const limitMs = Duration.toMillis(limit)
    const { ask } = yield* open(url, limitMs)
    const before = yield* Clock.currentTimeNanos
    yield* ask((client) => client.get(probe))
    return Duration.nanos((yield* Clock.currentTimeNanos) - before)
  }).pipe(
    Effect.scoped,
    Effect.mapError(
      (error) =>
        new RedisUnusable({
          reason: error._tag === "ConnectionLost" ? error.reason : `no answer within ${Duration.toMillis(limit)} ms`
        })
    )
  )

export const layer: Layer.Layer<RedisProbe> = Layer.succeed(RedisProbe, { roundTrip })
