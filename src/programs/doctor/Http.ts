import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { type Answer, HttpProbe, type Unreachable } from "../../services/running/HttpProbe.ts"

/** One GET. */
export const ask = (url: string, key: Redacted.Redacted | null): Effect.Effect<Answer, Unreachable, HttpProbe> =>
  Effect.flatMap(HttpProbe, ({ exchange }) =>
    exchange(url, {
      accept: "application/json, text/plain",
      ...(key === null ? {} : { authorization: `Bearer ${Redacted.value(key)}` })
    })
  )

/** `host:port` of an address, without user, password and path. */
export const hostOf = (url: string): string => (URL.canParse(url) ? new URL(url).host : "an address that is none")
