import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type { SettingsShape } from "../../services/running/Settings.ts"
import { RedisProbe } from "../../services/storage/RedisProbe.ts"
import { fail, type Findings, found, inMillis, pass, warn } from "./Check.ts"
import { hostOf } from "./Http.ts"

const name = "redis"
const limit = Duration.seconds(2)

/** The Redis that replicas share sessions by, if one is set: connected to and tried as the service does it. */
export const redisFindings = ({ redis }: SettingsShape): Effect.Effect<Findings, never, RedisProbe> =>
  Option.match(redis.url, {
    onNone: () => Effect.succeed(found()),
    onSome: (url) =>
      Effect.gen(function* () {
        const probe = yield* RedisProbe
        const host = hostOf(Redacted.value(url))
        const asked = yield* Effect.either(probe.roundTrip(url, limit))
        if (Either.isLeft(asked)) {
          const detail = `${host}: ${asked.left.reason}; each replica would remember sessions by itself`
          return found(fail(name, detail, "correct REDIS_URL, or take it away: nothing else needs Redis"))
        }
        const tookMs = Duration.toMillis(asked.right)
        const mayTakeMs = Duration.toMillis(redis.timeout) / 2
        const compared = `${host} answers in ${inMillis(tookMs)}, and a command may take ${inMillis(mayTakeMs)}`
        return found(
          tookMs < mayTakeMs
            ? pass(name, compared)
            : warn(
                name,
                compared,
                "raise CONDUIT_REDIS_TIMEOUT, which requests in sessions wait, or use one that is nearer"
              )
        )
      })
  })
