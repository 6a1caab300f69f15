import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as SettingsEnv from "../../layers/running/SettingsEnv.ts"
import type { NotAnswered } from "../../services/api/StoredAnswers.ts"
import { type InvalidSettings, Settings } from "../../services/running/Settings.ts"
import { Refused } from "./Refused.ts"

// How commands talk to a running service.

/** Which one, and by which key. */
export const serviceOptions = {
  url: Options.text("url").pipe(
    Options.optional,
    Options.withDescription("address of the service; without it the one that this environment would start")
  ),
  apiKey: Options.redacted("api-key").pipe(
    Options.optional,
    Options.withDescription(
      "key, if the service asks for one; better in CONDUIT_API_KEY, where no list of processes shows it"
    )
  )
}

/** Which service is asked, and by which key. */
export interface Asked {
  readonly url: Option.Option<string>
  readonly apiKey: Option.Option<Redacted.Redacted>
}

const trimmed = (url: string): string => url.replace(/\/+$/, "")

/** A service: the one that is named, or that this environment would start. */
export interface Target {
  readonly base: string
  readonly apiKey: Option.Option<Redacted.Redacted>
}

export const targetOf = ({ apiKey, url }: Asked): Effect.Effect<Target, InvalidSettings> =>
  Effect.map(Settings, ({ http: { commandKey, host, port } }) => {
    const reached = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host
    const own = `http://${reached.includes(":") ? `[${reached}]` : reached}:${port}`
    return { base: trimmed(Option.getOrElse(url, () => own)), apiKey: Option.orElse(apiKey, () => commandKey) }
  }).pipe(Effect.provide(SettingsEnv.layer))

export const usd = (cost: number | null): string => (cost === null ? "$?" : `$${Number(cost.toPrecision(3))}`)
export const percent = (share: number): string => `${Math.round(share * 1000) / 10} %`

/** The service cannot be reached, or does not answer as Conduit does. */
export class NoAnswer extends Schema.TaggedError<NoAnswer>()("NoAnswer", {
  url: Schema.String,
  detail: Schema.String,
  /** Nothing listens there. */
  isNobody: Schema.Boolean
}) {
  override get message() {
    return `${this.url}: ${this.detail}`
  }
}

const limitMs = 30_000

type Reply = { readonly ok: true; readonly text: string } | { readonly ok: false; readonly detail: string }

const envelope = Schema.decodeUnknownEither(
  Schema.parseJson(Schema.Struct({ error: Schema.Struct({ message: Schema.String }) }))
)

/** Asks a running service: a GET, or a POST with the body. */
export const call = (url: string, apiKey: Option.Option<Redacted.Redacted>, body: object | null) =>
  Effect.tryPromise({
    try: async (signal): Promise<Reply> => {
      const response = await fetch(url, {
        method: body === null ? "GET" : "POST",
        headers: {
          "content-type": "application/json",
          ...Option.match(apiKey, {
            onNone: () => ({}),
            onSome: (key) => ({ authorization: `Bearer ${Redacted.value(key)}` })
          })
        },
        ...(body === null ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.any([signal, AbortSignal.timeout(limitMs)])
      })
      const text = await response.text()
      if (response.ok) return { ok: true, text }
      const message = Either.match(envelope(text), {
        onLeft: () => "no explanation",
        onRight: ({ error }) => error.message
      })
      const hint = response.status === 401 ? " (commands take it from --api-key or CONDUIT_API_KEY)" : ""
      return { ok: false, detail: `HTTP ${response.status}: ${message}${hint}` }
    },
    catch: (cause) =>
      new NoAnswer({
        url,
        detail: `nothing answers there (${reasonOf(cause)}): start the service with \`conduit serve\`, or name another one by --url`,
        isNobody: codeOf(cause) === "ECONNREFUSED"
      })
  }).pipe(
    Effect.flatMap((reply) =>
      reply.ok ? Effect.succeed(reply.text) : new NoAnswer({ url, detail: reply.detail, isNobody: false })
    )
  )

const codeOf = (cause: unknown): unknown =>
  cause instanceof Error && cause.cause instanceof Error && "code" in cause.cause ? cause.cause.code : null

const reasonOf = (cause: unknown): string => {
  if (!(cause instanceof Error)) return String(cause)
  return cause.cause instanceof Error && cause.cause.message !== "" ? cause.cause.message : cause.message
}

/** Answers of a service, and what they came from, for people. */
export interface Source {
  readonly name: string
  readonly get: (path: string) => Effect.Effect<string, NoAnswer | NotAnswered>
}

/** Uses the running service, or, where none is named and none listens, the database of this environment. */
export const withSource = <A, E>(asked: Asked, use: (source: Source) => Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const { apiKey, base } = yield* targetOf(asked)
    const running: Source = { name: base, get: (path) => call(`${base}${path}`, apiKey, null) }
    if (Option.isSome(asked.url)) return yield* use(running)
    const there = yield* Effect.either(call(`${base}/health/live`, Option.none(), null))
    if (Either.isRight(there) || !there.left.isNobody) return yield* use(running)
    // What opens a database is loaded where it is needed only.
    const { fromDatabase } = yield* Effect.promise(() => import("./StoredSource.ts"))
    return yield* fromDatabase(use).pipe(
      Effect.mapError((error) =>
        error instanceof Refused
          ? new NoAnswer({ url: base, detail: `nothing answers there, and ${error.message}`, isNobody: true })
          : error
      )
    )
  })

/** An answer as the schema has it. */
export const decoded =
  <A, I>(schema: Schema.Schema<A, I>, { name }: Pick<Source, "name">) =>
  (text: string): Effect.Effect<A, NoAnswer> =>
    Effect.mapError(
      Schema.decodeUnknown(Schema.parseJson(schema))(text),
      () => new NoAnswer({ url: name, detail: "what answers there is not this version of Conduit", isNobody: false })
    )
