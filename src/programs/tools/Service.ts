import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"

// How commands talk to a running service.

/** Which one, and by which key. */
export const serviceOptions = {
  url: Options.text("url").pipe(
    Options.withDefault("http://127.0.0.1:8000"),
    Options.withDescription("address of the service")
  ),
  apiKey: Options.redacted("api-key").pipe(
    Options.optional,
    Options.withDescription("key, if the service asks for one")
  )
}

export const baseOf = (url: string): string => url.replace(/\/+$/, "")

export const usd = (cost: number | null): string => (cost === null ? "$?" : `$${Number(cost.toPrecision(3))}`)
export const percent = (share: number): string => `${Math.round(share * 1000) / 10} %`

/** The service cannot be reached, or does not answer as Conduit does. */
export class NoAnswer extends Schema.TaggedError<NoAnswer>()("NoAnswer", {
  url: Schema.String,
  detail: Schema.String
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
      return { ok: false, detail: `HTTP ${response.status}: ${message}` }
    },
    catch: (cause) =>
      new NoAnswer({
        url,
        detail: `nothing answers there (${reasonOf(cause)}): start the service with \`npm start\`, or name another one by --url`
      })
  }).pipe(
    Effect.flatMap((reply) => (reply.ok ? Effect.succeed(reply.text) : new NoAnswer({ url, detail: reply.detail })))
  )

const reasonOf = (cause: unknown): string => {
  if (!(cause instanceof Error)) return String(cause)
  return cause.cause instanceof Error && cause.cause.message !== "" ? cause.cause.message : cause.message
}

/** The answer of a service, as the schema has it. */
export const read = <A, I>(
  schema: Schema.Schema<A, I>,
  base: string,
  path: string,
  apiKey: Option.Option<Redacted.Redacted>
): Effect.Effect<A, NoAnswer> =>
  Effect.flatMap(call(`${base}${path}`, apiKey, null), (text) =>
    Effect.mapError(
      Schema.decodeUnknown(Schema.parseJson(schema))(text),
      () => new NoAnswer({ url: base, detail: "what answers there is not this version of Conduit" })
    )
  )
