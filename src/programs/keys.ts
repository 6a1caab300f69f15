import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { durationFromText } from "../domain/basics/DurationText.ts"
import { problemsOf } from "../domain/basics/SchemaProblems.ts"
import { secretId } from "../domain/access/ApiKey.ts"
import * as KeysShared from "../layers/api/KeysShared.ts"
import { NewKeyRequest, profileOf } from "../services/api/KeySchemas.ts"
import { KeyAdministration, type KeyAdministrationShape, type MadeSecret } from "../services/api/Keys.ts"
import { Database } from "../services/storage/Database.ts"
import type { StoredKey } from "../services/storage/KeyStore.ts"
import { columns } from "./tools/Columns.ts"
import { withRouter } from "./tools/OpenRouter.ts"
import { Refused } from "./tools/Refused.ts"
import { operator } from "./tools/Operator.ts"
import { json, told } from "./tools/Told.ts"

// Every running replica sees what these change within a second: nothing is restarted.

/** There may be keys before the service has run once. */
const withKeys = <A, E>(use: (keys: KeyAdministrationShape) => Effect.Effect<A, E>) =>
  withRouter(
    ({ database }) =>
      Effect.flatMap(KeyAdministration, use).pipe(
        Effect.provide(Layer.provide(KeysShared.administration, Layer.succeed(Database, database)))
      ),
    { mayBeNew: true }
  )

const name = Args.text({ name: "NAME" }).pipe(Args.withDescription("the key's name, which owns what is done with it"))
const whole = (option: string, what: string) =>
  Options.integer(option).pipe(Options.withDescription(what), Options.optional)
const usd = (option: string, what: string) =>
  Options.float(option).pipe(Options.withDescription(what), Options.optional)
const text = (option: string, what: string) =>
  Options.text(option).pipe(Options.withDescription(what), Options.optional)
const listed = (option: string, what: string) =>
  Options.text(option).pipe(Options.withDescription(what), Options.repeated)

const shownOnce = (name: string, { secret, secretId }: MadeSecret, json: boolean) =>
  json
    ? Console.log(JSON.stringify({ name, secret, secret_id: secretId }))
    : Effect.zipRight(
        Console.error(
          secret === null
            ? `the key ${name} is made, with the secret that clients have`
            : `the secret ${secretId} of key ${name}, shown this once:`
        ),
        secret === null ? Effect.void : Console.log(secret)
      )

const options = {
  name,
  scopes: listed(
    "scope",
    "route, feedback, read, read:all or admin; may be repeated; the first three if none is given"
  ),
  expires: text("expires", "an RFC 3339 time from which on it opens nothing"),
  models: listed("model", "id of a model that may answer; may be repeated; all if none is given"),
  labels: Options.keyValueMap("label").pipe(
    Options.withDescription("name=text, for people; may be repeated"),
    Options.optional
  ),
  requests: whole("requests-per-minute", "requests that ask models"),
  tokens: whole("tokens-per-minute", "tokens, input and output"),
  concurrent: whole("concurrent-requests", "requests that ask models, at once"),
  day: usd("usd-per-day", "budget of a UTC day, USD"),
  month: usd("usd-per-month", "budget of a UTC month, USD"),
  paced: Options.boolean("paced").pipe(
    Options.withDescription("let cost weigh more while a budget is spent faster than its time passes")
  ),
  sha256: text("sha256", "SHA-256, in hex, of a secret that clients have already; without it one is made"),
  json
}

const decodeNew = Schema.decodeUnknownEither(NewKeyRequest, { errors: "all", onExcessProperty: "error" })

const create = Command.make("create", options, (given) =>
  Effect.gen(function* () {
    const limits = {
      requests_per_minute: Option.getOrNull(given.requests),
      tokens_per_minute: Option.getOrNull(given.tokens),
      concurrent_requests: Option.getOrNull(given.concurrent),
      usd_per_day: Option.getOrNull(given.day),
      usd_per_month: Option.getOrNull(given.month),
      paced: given.paced
    }
    const asked = decodeNew({
      name: given.name,
      ...(given.scopes.length === 0 ? {} : { scopes: given.scopes }),
      ...(given.models.length === 0 ? {} : { allowed_models: given.models }),
      ...(Option.isNone(given.expires) ? {} : { expires_at: given.expires.value }),
      ...(Option.isNone(given.labels) ? {} : { labels: Object.fromEntries(given.labels.value) }),
      ...(Option.isNone(given.sha256) ? {} : { sha256: given.sha256.value }),
      limits
    })
    if (Either.isLeft(asked)) return yield* new Refused({ detail: problemsOf(asked.left).join("; ") })
    const made = yield* withKeys((keys) => keys.create(asked.right.name, profileOf(asked.right), operator()))
    yield* shownOnce(given.name, made, given.json)
  })
).pipe(Command.withDescription("Make a key; its secret is shown this once"))

const list = Command.make("list", { json }, ({ json }) =>
  withKeys((administration) =>
    Effect.gen(function* () {
      const keys = yield* administration.list
      if (json) return yield* Console.log(JSON.stringify({ keys: keys.map(shownKey) }))
      if (keys.length === 0) return yield* Console.log("the database has no keys")
      yield* Console.log(columns([["name", "scopes", "state", "secrets", "limits"], ...keys.map(rowOf)]))
    })
  )
).pipe(Command.withDescription("The keys of the database; none of their secrets"))

const rotate = Command.make(
  "rotate",
  {
    name,
    others: Options.text("others-valid").pipe(
      Options.withDescription('how long the secrets before stay valid, such as "1 hour"; 0 drops them at once'),
      Options.withDefault("1 day")
    ),
    json
  },
  ({ json, name, others }) =>
    Effect.gen(function* () {
      const millis = Option.map(durationFromText(others), Duration.toMillis)
      if (Option.isNone(millis) || !Number.isFinite(millis.value)) {
        return yield* new Refused({ detail: `--others-valid: ${others} is no duration such as "1 hour"` })
      }
      const made = yield* withKeys((keys) => keys.rotate(name, millis.value, operator()))
      yield* shownOnce(name, made, json)
    })
).pipe(Command.withDescription("Make another secret of a key, and let those before it end"))

const revoke = Command.make(
  "revoke",
  { name, secret: text("secret", "id of one secret, as `conduit keys list` shows it; without it the whole key"), json },
  ({ json, name, secret }) =>
    Effect.gen(function* () {
      yield* withKeys((keys) => keys.revoke(name, Option.getOrNull(secret), operator()))
      yield* told(
        json,
        { name, secret_id: Option.getOrNull(secret), status: "revoked" },
        Option.isSome(secret)
          ? `the secret ${secret.value} of key ${name} is revoked`
          : `the key ${name} is revoked; what was done with it stays its own`
      )
    })
).pipe(Command.withDescription("Revoke a key, or one of its secrets, on every replica within a second"))

export const keys = Command.make("keys").pipe(
  Command.withDescription("Make, list, rotate and revoke the keys that the database has"),
  Command.withSubcommands([create, list, rotate, revoke])
)

const timeText = (millis: number | null) => (millis === null ? null : new Date(millis).toISOString())

const shownKey = ({ secrets, ...key }: StoredKey) => ({
  ...key,
  secrets: secrets.map(({ createdAtMillis, hash, validUntilMillis }) => ({
    id: secretId(hash),
    created_at: timeText(createdAtMillis),
    valid_until: timeText(validUntilMillis)
  }))
})

const rowOf = (key: StoredKey): ReadonlyArray<string> => [
  key.name,
  key.scopes.join(","),
  key.revokedAtMillis !== null
    ? `revoked ${timeText(key.revokedAtMillis)}`
    : key.expiresAtMillis === null
      ? "valid"
      : `until ${timeText(key.expiresAtMillis)}`,
  key.secrets
    .map(
      ({ hash, validUntilMillis }) =>
        secretId(hash) + (validUntilMillis === null ? "" : ` until ${timeText(validUntilMillis)}`)
    )
    .join(", "),
  Object.entries(key.limits)
    .flatMap(([limit, value]) =>
      value === null || value === false ? [] : [value === true ? limit : `${limit} ${value}`]
    )
    .join(", ") || "none"
]
