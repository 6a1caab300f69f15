import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { parseDocument } from "yaml"
import {
  isKeyName,
  keyNameRule,
  type KeyRecord,
  type KeySecret,
  parseKey,
  scopes,
  usualScopes
} from "../../../domain/access/ApiKey.ts"
import { must, mustSecretly, problemsOf } from "../../../domain/basics/SchemaProblems.ts"
import { hashOf } from "./Secret.ts"

const secret = "keys of this name, each plain (without a colon) or sha256: followed by 64 hex digits"
const time = "an RFC 3339 time such as 2027-01-31T00:00:00Z"
const positive = "a number above 0"
const whole = "a whole number above 0"

const Positive = Schema.Number.annotations(must(positive)).pipe(
  Schema.finite(must(positive)),
  Schema.positive(must(positive))
)
const Whole = Schema.Number.annotations(must(whole)).pipe(Schema.int(must(whole)), Schema.positive(must(whole)))
const optional = <A, I>(schema: Schema.Schema<A, I>) => Schema.optionalWith(schema, { exact: true })

const Entry = Schema.Struct({
  name: Schema.String.annotations(must(keyNameRule)).pipe(Schema.filter(isKeyName, must(keyNameRule))),
  keys: Schema.Array(Schema.String.annotations(mustSecretly(secret)))
    .annotations(mustSecretly(secret))
    .pipe(Schema.minItems(1, mustSecretly(secret))),
  scopes: optional(Schema.Array(Schema.Literal(...scopes).annotations(must(`one of ${scopes.join(", ")}`)))),
  expiresAt: optional(
    Schema.String.annotations(must(time)).pipe(Schema.filter((text) => !Number.isNaN(Date.parse(text)), must(time)))
  ),
  allowedModels: optional(Schema.Array(Schema.String).pipe(Schema.minItems(1, must("ids of models, at least one")))),
  labels: optional(Schema.Record({ key: Schema.String, value: Schema.String })),
  requestsPerMinute: optional(Whole),
  tokensPerMinute: optional(Whole),
  concurrentRequests: optional(Whole),
  usdPerDay: optional(Positive),
  usdPerMonth: optional(Positive),
  paced: optional(Schema.Boolean.annotations(must("true or false")))
})
const File = Schema.Struct({ keys: Schema.Array(Entry) })
const decode = Schema.decodeUnknownEither(File, { errors: "all", onExcessProperty: "error" })

/** The keys of a file, or all its problems, a line each; no line has a key. */
export const parseKeysFile = (text: string): Either.Either<ReadonlyArray<KeyRecord>, ReadonlyArray<string>> => {
  const document = parseDocument(text)
  const [broken] = document.errors
  // What the parser says may quote the line.
  if (broken !== undefined) return Either.left([`line ${broken.linePos?.[0].line ?? "?"}: this is no YAML`])
  return Either.try({
    try: (): unknown => document.toJS() ?? {},
    catch: () => ["the file has too many aliases"]
  }).pipe(
    Either.flatMap((content) => Either.mapLeft(decode(content), problemsOf)),
    Either.flatMap(({ keys }) => Either.all(keys.map(recordOf)))
  )
}

const recordOf = (entry: typeof Entry.Type, index: number): Either.Either<KeyRecord, ReadonlyArray<string>> => {
  const secrets: Array<KeySecret> = []
  for (const [i, text] of entry.keys.entries()) {
    const parsed = parseKey(text, hashOf)
    if (parsed === null || parsed.name !== null) {
      return Either.left([`keys[${index}].keys[${i}]: its value (not shown) is not right: ${secret}`])
    }
    secrets.push(...parsed.secrets)
  }
  return Either.right({
    name: entry.name,
    secrets,
    scopes: entry.scopes ?? usualScopes,
    expiresAtMillis: entry.expiresAt === undefined ? null : Date.parse(entry.expiresAt),
    allowedModels: entry.allowedModels ?? null,
    labels: entry.labels ?? {},
    limits: {
      requestsPerMinute: entry.requestsPerMinute ?? null,
      tokensPerMinute: entry.tokensPerMinute ?? null,
      concurrentRequests: entry.concurrentRequests ?? null,
      usdPerDay: entry.usdPerDay ?? null,
      usdPerMonth: entry.usdPerMonth ?? null,
      paced: entry.paced ?? false
    }
  })
}
