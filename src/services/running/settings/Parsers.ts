import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { durationFromText, durationText } from "../../../domain/basics/DurationText.ts"
import { type KeyRecord, parseKey, type Scope, usualProfile, usualScopes } from "../../../domain/access/ApiKey.ts"
import { RouterId } from "../../../domain/basics/Ids.ts"
import { parsePostgresUrl } from "../../../domain/basics/PostgresUrl.ts"

/** Text to value, or what would be right. */
export type Parse<A> = (text: string) => Either.Either<A, string>

export const text: Parse<string> = Either.right

/** For a setting that may be absent. */
export const optional =
  <A>(parse: Parse<A>): Parse<Option.Option<A>> =>
  (value) =>
    Either.map(parse(value), Option.some)

export const choice =
  <A>(choices: Readonly<Record<string, A>>, right: string): Parse<A> =>
  (value) => {
    const found = Object.entries(choices).find(([name]) => name.toLowerCase() === value.toLowerCase())
    return found === undefined ? Either.left(right) : Either.right(found[1])
  }

export const flag: Parse<boolean> = choice(
  { true: true, false: false, "1": true, "0": false, yes: true, no: false, on: true, off: false },
  "true or false"
)

export const integer =
  (minimum: number, maximum: number): Parse<number> =>
  (value) => {
    const number = Number(value)
    return /^\d+$/.test(value) && number >= minimum && number <= maximum
      ? Either.right(number)
      : Either.left(`a whole number from ${minimum} to ${maximum}`)
  }

/** A whole number, or a word for one. */
export const integerOr =
  (word: string, meant: number, minimum: number, maximum: number): Parse<number> =>
  (value) =>
    value.toLowerCase() === word
      ? Either.right(Math.min(maximum, Math.max(minimum, meant)))
      : Either.mapLeft(integer(minimum, maximum)(value), (right) => `${right}, or ${word}`)

/** An amount of money above 0. */
export const usd: Parse<number> = (value) => {
  const number = Number(value)
  return /^\d+(?:\.\d+)?$/.test(value) && number > 0 && number <= 1e9
    ? Either.right(number)
    : Either.left("an amount of USD above 0 and up to 1000000000")
}

/** The longest wait that a timer of the platform can hold is 2^31 - 1 ms, a little below 25 days. */
export const longestTimer = Duration.days(24)

/** For settings that are ages, not timers. */
export const tenYears = Duration.days(3650)

export const duration =
  (options?: { readonly zero?: boolean; readonly maximum?: Duration.Duration }): Parse<Duration.Duration> =>
  (value) => {
    const maximum = options?.maximum ?? longestTimer
    const right = `a duration such as "30 seconds", "5m" or plain seconds${options?.zero === true ? "" : ", above 0"}, at most ${durationText(maximum)}`
    return durationFromText(value).pipe(
      Option.filter(
        (d) =>
          Duration.lessThanOrEqualTo(d, maximum) && (options?.zero === true || Duration.greaterThan(d, Duration.zero))
      ),
      Either.fromOption(() => right)
    )
  }

export const routerId: Parse<string> = (value) =>
  RouterId.is(value) ? Either.right(value) : Either.left("1 to 64 characters of A-Z a-z 0-9 . _ : -")

export const secretText: Parse<Redacted.Redacted> = (value) => Either.right(Redacted.make(value))

export const databaseUrl: Parse<Redacted.Redacted> = (value) =>
  Either.map(parsePostgresUrl(value), () => Redacted.make(value))

/** With what it needs to connect, and nothing that would have to be guessed: a database is a number. */
export const redisUrl: Parse<Redacted.Redacted> = (value) => {
  const parsed = /^rediss?:\/\/[^#]*$/.test(value) && URL.canParse(value) ? new URL(value) : null
  return parsed !== null &&
    parsed.hostname !== "" &&
    /^(\/\d{0,4})?$/.test(parsed.pathname) &&
    Either.isRight(Either.try(() => decodeURIComponent(parsed.username + parsed.password)))
    ? Either.right(Redacted.make(value))
    : Either.left(
        "a Redis address, redis://USER:PASSWORD@HOST:6379/0, or rediss:// for TLS, with % escapes in the password"
      )
}

/** `user:password@` goes to the proxy as basic authentication. */
export const proxyUrl: Parse<Redacted.Redacted> = (value) => {
  const url = URL.canParse(value) ? new URL(value) : null
  return url !== null && /^https?:$/.test(url.protocol) && url.pathname === "/" && url.search === ""
    ? Either.right(Redacted.make(url.href))
    : Either.left("an http:// or https:// address of a proxy, without a path")
}

export const pageNames = ["metrics", "docs", "index"] as const
export type PageName = (typeof pageNames)[number]

export const pages: Parse<ReadonlyArray<PageName>> = (value) => {
  const names = value.split(",").map((name) => name.trim().toLowerCase())
  const found = pageNames.filter((page) => names.includes(page))
  return found.length === new Set(names).size || (names.length === 1 && names[0] === "none")
    ? Either.right(found)
    : Either.left(`some of ${pageNames.join(", ")}, separated by commas, or none`)
}

/** Keys, plain or as `sha256:` and 64 hex digits, with or without a name before it; only the hashes are kept. */
export const keys =
  (sha256: (text: string) => string, scopes: ReadonlyArray<Scope> = usualScopes): Parse<ReadonlyArray<KeyRecord>> =>
  (value) => {
    const texts = value.split(",").map((key) => key.trim())
    const found = texts.flatMap((text) => parseKey(text, sha256) ?? [])
    return found.length === texts.length
      ? Either.right(found.map((key) => ({ ...usualProfile, ...key, scopes })))
      : Either.left(
          "keys separated by commas, none empty, each plain or sha256: followed by 64 hex digits, and NAME: before it where it has a name"
        )
  }

/** Keys that are nobody's: only the hashes. */
export const keyHashes =
  (sha256: (text: string) => string): Parse<ReadonlyArray<string>> =>
  (value) =>
    Either.map(keys(sha256)(value), (all) => all.flatMap(({ secrets }) => secrets.map(({ hash }) => hash)))

/** Origins as browsers send them (RFC 6454, 6.2), or `*`. */
export const origins: Parse<ReadonlyArray<string>> = (value) => {
  const all = value.split(",").map((origin) => origin.trim().toLowerCase())
  const isOrigin = (origin: string) => origin === "*" || /^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@]+$/.test(origin)
  return all.every(isOrigin)
    ? Either.right(all)
    : Either.left("origins separated by commas, each such as https://app.example.com without a path, or *")
}
