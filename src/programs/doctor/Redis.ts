import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { open, probe } from "../../layers/storage/redis/Connection.ts"
import type { SettingsShape } from "../../services/running/Settings.ts"
import { fail, type Findings, found, inMillis, pass, warn } from "./Check.ts"
import { hostOf } from "./Http.ts"

const name = "redis"
const limitMs = 2_000

/** The Redis that replicas share sessions by, if one is set: connected to and tried as the service does it. */
export const redisFindings = ({ redis }: SettingsShape): Effect.Effect<Findings> =>
  Option.match(redis.url, {
    onNone: () => Effect.succeed(found()),
    onSome: (url) => {
      const host = hostOf(Redacted.value(url))
      const mayTakeMs = Duration.toMillis(redis.timeout) / 2
      return Effect.gen(function* () {
        const { ask } = yield* open(url, limitMs)
        const before = yield* Clock.currentTimeNanos
        yield* ask((client) => client.get(probe))
        return Number((yield* Clock.currentTimeNanos) - before) / 1e6
      }).pipe(
        Effect.scoped,
        Effect.either,
        Effect.map((asked) => {
          if (Either.isLeft(asked)) {
            const reason = asked.left._tag === "ConnectionLost" ? asked.left.reason : `no answer within ${limitMs} ms`
            const detail = `${host}: ${reason}; each replica would remember sessions by itself`
            return found(fail(name, detail, "correct REDIS_URL, or take it away: nothing else needs Redis"))
          }
          const tookMs = asked.right
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
      )
    }
  })
