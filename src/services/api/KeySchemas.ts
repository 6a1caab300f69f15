import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { isKeyName, keyNameRule, longestKeyName, scopes, usualScopes } from "../../domain/access/ApiKey.ts"
import type { NewProfile } from "./Keys.ts"
import { auditActions } from "../storage/KeyStore.ts"
import { anObject, described, says, storedText, TimeText } from "./Fields.ts"

// What `/v1/keys` and `/v1/audit` take and answer.

const KeyName = Schema.String.pipe(
  Schema.filter(isKeyName, {
    jsonSchema: { pattern: "^(?![0-9a-f]{16}$)[A-Za-z][A-Za-z0-9._-]*$", minLength: 1, maxLength: longestKeyName }
  })
).annotations(says(`must be ${keyNameRule}`))

const Scope = Schema.Literal(...scopes).annotations(says(`must be one of ${scopes.join(", ")}`))
const maxInt = 2_147_483_647
const Whole = Schema.Int.pipe(Schema.between(1, maxInt)).annotations(says(`must be a whole number from 1 to ${maxInt}`))
const mostUsd = 1_000_000_000
const Usd = Schema.JsonNumber.pipe(Schema.greaterThan(0), Schema.lessThanOrEqualTo(mostUsd)).annotations(
  says(`must be a number above 0 and up to ${mostUsd}`)
)
const mostNamed = 100
const mostLabels = 32
const nullable = <A, I>(schema: Schema.Schema<A, I>, description: string) =>
  described(Schema.NullOr(schema), description)

const Limits = Schema.Struct({
  requests_per_minute: nullable(Whole, "Of the routes that ask models."),
  tokens_per_minute: nullable(Whole, "Input and output; what is counted afterwards is charged afterwards."),
  concurrent_requests: nullable(Whole, "Of the routes that ask models, at once, on one replica."),
  usd_per_day: nullable(Usd, "Of a UTC day."),
  usd_per_month: nullable(Usd, "Of a UTC month."),
  paced: nullable(
    Schema.Boolean.annotations(says("must be true or false")),
    "Lets cost weigh more in choices while a budget is spent faster than its time passes; false by default."
  )
}).annotations({ ...anObject, identifier: "KeyLimits", description: "What is not given or null has no limit." })

export const NewKeyRequest = Schema.Struct({
  name: KeyName.annotations({ description: "Who owns what is done with it." }),
  scopes: described(
    Schema.Array(Scope).pipe(Schema.minItems(1, { message: () => "must name at least one scope" })),
    "`route`, `feedback` and `read` by default."
  ),
  expires_at: described(TimeText, "From then on it opens nothing."),
  allowed_models: described(
    Schema.Array(storedText(128)).pipe(
      Schema.minItems(1, { message: () => "must name at least one model" }),
      Schema.maxItems(mostNamed, { message: () => `must name at most ${mostNamed} models` })
    ),
    "Only these may answer."
  ),
  labels: described(
    Schema.Record({ key: Schema.String, value: storedText(256) }).pipe(
      Schema.filter(
        (labels) =>
          Object.keys(labels).every((name) => /^[A-Za-z0-9._/-]{1,64}$/.test(name)) &&
          Object.keys(labels).length <= mostLabels,
        {
          jsonSchema: { propertyNames: { pattern: "^[A-Za-z0-9._/-]{1,64}$" }, maxProperties: mostLabels },
          ...says(`must be up to ${mostLabels} labels, each a name of 1 to 64 of A-Z a-z 0-9 . _ / -`)
        }
      )
    ),
    "For people."
  ),
  limits: described(Limits, "What it may use."),
  sha256: described(
    Schema.String.pipe(Schema.pattern(/^[0-9a-f]{64}$/)).annotations(says("must be 64 lower case hex digits")),
    "Of a key that clients have already: then none is made."
  )
}).annotations({ ...anObject, identifier: "NewKey" })
export type NewKeyRequest = typeof NewKeyRequest.Type

export const profileOf = (given: NewKeyRequest): NewProfile => ({
  scopes: given.scopes ?? usualScopes,
  expiresAtMillis: given.expires_at ?? null,
  allowedModels: given.allowed_models ?? null,
  labels: given.labels ?? {},
  limits: {
    requestsPerMinute: given.limits?.requests_per_minute ?? null,
    tokensPerMinute: given.limits?.tokens_per_minute ?? null,
    concurrentRequests: given.limits?.concurrent_requests ?? null,
    usdPerDay: given.limits?.usd_per_day ?? null,
    usdPerMonth: given.limits?.usd_per_month ?? null,
    paced: given.limits?.paced ?? false
  },
  sha256: given.sha256 ?? null
})

const mostValidSeconds = 90 * 86_400
export const usualValidSeconds = 86_400

export const RotateRequest = Schema.Struct({
  name: KeyName,
  others_valid_seconds: described(
    Schema.Int.pipe(Schema.between(0, mostValidSeconds)).annotations(
      says(`must be a whole number from 0 to ${mostValidSeconds}`)
    ),
    "How long the secrets before stay valid, a day by default; 0 drops them at once."
  )
}).annotations({ ...anObject, identifier: "KeyRotation" })

export const RevokeRequest = Schema.Struct({
  name: KeyName,
  secret_id: described(
    Schema.String.pipe(Schema.pattern(/^[0-9a-f]{16}$/)).annotations(says("must be the id of a secret: 16 hex digits")),
    "Only this secret; without it the whole key."
  )
}).annotations({ ...anObject, identifier: "KeyRevocation" })

const time = Schema.String.annotations({ jsonSchema: { type: "string", format: "date-time" } })
const timeOrNull = Schema.NullOr(time)
const numberOrNull = Schema.NullOr(Schema.Number)

const KeyEntry = Schema.Struct({
  name: Schema.String,
  scopes: Schema.Array(Schema.Literal(...scopes)),
  expires_at: timeOrNull,
  allowed_models: Schema.NullOr(Schema.Array(Schema.String)),
  labels: Schema.Record({ key: Schema.String, value: Schema.String }),
  limits: Schema.Struct({
    requests_per_minute: numberOrNull,
    tokens_per_minute: numberOrNull,
    concurrent_requests: numberOrNull,
    usd_per_day: numberOrNull,
    usd_per_month: numberOrNull,
    paced: Schema.Boolean
  }),
  created_at: time,
  created_by: Schema.String,
  revoked_at: timeOrNull,
  secrets: Schema.Array(Schema.Struct({ id: Schema.String, created_at: time, valid_until: timeOrNull }))
}).annotations({ identifier: "Key", description: "No secret, and nothing that could be sent instead of one." })
export const KeyList = Schema.Struct({ object: Schema.Literal("list"), data: Schema.Array(KeyEntry) }).annotations({
  identifier: "KeyList"
})
export type KeyList = typeof KeyList.Type

export const MadeKey = Schema.Struct({
  name: Schema.String,
  secret: Schema.NullOr(Schema.String).annotations({
    description: "Shown this once; null where the request brought the hash of one."
  }),
  secret_id: Schema.String
}).annotations({ identifier: "MadeKey" })
export type MadeKey = typeof MadeKey.Type

export const Revoked = Schema.Struct({
  name: Schema.String,
  secret_id: Schema.NullOr(Schema.String),
  status: Schema.Literal("revoked")
}).annotations({ identifier: "RevokedKey" })
export type Revoked = typeof Revoked.Type

const wholeText = (most: number) =>
  Schema.transformOrFail(Schema.String, Schema.Number, {
    strict: true,
    decode: (text, _, ast) =>
      /^[1-9]\d{0,14}$/.test(text) && Number(text) <= most
        ? ParseResult.succeed(Number(text))
        : ParseResult.fail(new ParseResult.Type(ast, text)),
    encode: (number) => ParseResult.succeed(String(number))
  }).annotations({
    ...says(`must be a whole number from 1 to ${most}`),
    jsonSchema: { type: "integer", minimum: 1, maximum: most }
  })

export const mostAudited = 200
export const AuditQuery = Schema.Struct({
  limit: described(wholeText(mostAudited), "How many at most; 50 by default."),
  cursor: described(wholeText(999_999_999_999_999), "`next_cursor` of the page before.")
})

export const AuditList = Schema.Struct({
  object: Schema.Literal("list"),
  data: Schema.Array(
    Schema.Struct({
      id: Schema.Number,
      at: time,
      actor: Schema.String,
      action: Schema.Literal(...auditActions),
      subject: Schema.String,
      details: Schema.Record({ key: Schema.String, value: Schema.Unknown })
    }).annotations({ identifier: "AuditEntry" })
  ),
  next_cursor: numberOrNull
}).annotations({ identifier: "AuditList" })
export type AuditList = typeof AuditList.Type
