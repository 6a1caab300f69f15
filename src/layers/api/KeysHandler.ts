import * as Effect from "effect/Effect"
import { type KeyLimits, secretId } from "../../domain/access/ApiKey.ts"
import {
  type AuditList,
  AuditQuery,
  type KeyList,
  type MadeKey,
  NewKeyRequest,
  profileOf,
  type Revoked,
  RevokeRequest,
  RotateRequest,
  usualValidSeconds
} from "../../services/api/KeySchemas.ts"
import type { KeyAdministrationShape, MadeSecret } from "../../services/api/Keys.ts"
import type { StoredKey } from "../../services/storage/KeyStore.ts"
import { decoder } from "./Body.ts"
import type { Exchange } from "./Exchange.ts"
import type { Handler, ReadBody } from "./Handler.ts"
import { query } from "./Query.ts"
import { json } from "./Reply.ts"

const decodeNew = decoder(NewKeyRequest)
const decodeRotate = decoder(RotateRequest)
const decodeRevoke = decoder(RevokeRequest)
const decodeAudit = decoder(AuditQuery)
const usualAudited = 50

/** What an admin does with keys; nobody keeps an answer that has a secret. */
export const make = ({ keys, readBody }: { readonly keys: KeyAdministrationShape; readonly readBody: ReadBody }) => {
  const list: Handler = () =>
    Effect.map(keys.list, (all) => {
      const shown: KeyList = { object: "list", data: all.map(entryOf) }
      return json(shown)
    })
  const createKey: Handler = (exchange) =>
    Effect.gen(function* () {
      const given = yield* readBody(exchange, decodeNew)
      return made(given.name, yield* keys.create(given.name, profileOf(given), actorOf(exchange)))
    })
  const rotateKey: Handler = (exchange) =>
    Effect.gen(function* () {
      const { name, others_valid_seconds: seconds = usualValidSeconds } = yield* readBody(exchange, decodeRotate)
      return made(name, yield* keys.rotate(name, seconds * 1000, actorOf(exchange)))
    })
  const revokeKey: Handler = (exchange) =>
    Effect.gen(function* () {
      const { name, secret_id: id = null } = yield* readBody(exchange, decodeRevoke)
      yield* keys.revoke(name, id, actorOf(exchange))
      const shown: Revoked = { name, secret_id: id, status: "revoked" }
      return json(shown)
    })
  const audit: Handler = ({ request }) =>
    Effect.gen(function* () {
      const { cursor = null, limit = usualAudited } = yield* decodeAudit(yield* query(request))
      const found = yield* keys.audit({ before: cursor, limit: limit + 1 })
      const page = found.slice(0, limit)
      const shown: AuditList = {
        object: "list",
        data: page.map(({ action, actor, atMillis, details, id, subject }) => ({
          id,
          at: timeText(atMillis),
          actor,
          action,
          subject,
          details
        })),
        next_cursor: found.length > limit ? (page.at(-1)?.id ?? null) : null
      }
      return json(shown)
    })
  return { keys: list, createKey, rotateKey, revokeKey, audit }
}

const made = (name: string, { secret, secretId }: MadeSecret) => {
  const shown: MadeKey = { name, secret, secret_id: secretId }
  return json(shown, { "cache-control": "no-store" })
}

/** Nobody reaches these without a key. */
const actorOf = ({ key }: Exchange): string => key?.label ?? "nobody"

const timeText = (millis: number) => new Date(millis).toISOString()
const timeOrNull = (millis: number | null) => (millis === null ? null : timeText(millis))

/** As the API shows limits. */
const limitsOf = (limits: KeyLimits) => ({
  requests_per_minute: limits.requestsPerMinute,
  tokens_per_minute: limits.tokensPerMinute,
  concurrent_requests: limits.concurrentRequests,
  usd_per_day: limits.usdPerDay,
  usd_per_month: limits.usdPerMonth,
  paced: limits.paced
})

const entryOf = (key: StoredKey): KeyList["data"][number] => ({
  name: key.name,
  scopes: key.scopes,
  expires_at: timeOrNull(key.expiresAtMillis),
  allowed_models: key.allowedModels,
  labels: key.labels,
  limits: limitsOf(key.limits),
  created_at: timeText(key.createdAtMillis),
  created_by: key.createdBy,
  revoked_at: timeOrNull(key.revokedAtMillis),
  secrets: key.secrets.map(({ createdAtMillis, hash, validUntilMillis }) => ({
    id: secretId(hash),
    created_at: timeText(createdAtMillis),
    valid_until: timeOrNull(validUntilMillis)
  }))
})
