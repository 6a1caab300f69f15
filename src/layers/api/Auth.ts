import * as Either from "effect/Either"
import { createHash, timingSafeEqual } from "node:crypto"
import type * as Http from "node:http"
import type { Caller } from "../../services/routing/Router.ts"
import { Unauthorized } from "./HttpErrors.ts"

export type Authenticate = (request: Http.IncomingMessage) => Either.Either<Caller, Unauthorized>

const anybody = Either.right({ owner: null })
export const everybody: Authenticate = () => anybody

/** Who asks, by the SHA-256 of the key; without configured keys everybody may, whatever key they send. */
export const authenticator = (keyHashes: ReadonlyArray<string>, needed: Unauthorized["needed"]): Authenticate => {
  const accepted = keyHashes.map((hash) => Buffer.from(hash, "hex"))
  if (accepted.length === 0) return everybody
  return (request) => {
    const key = presentedKey(request)
    if (key === null) return Either.left(new Unauthorized({ needed, presented: false }))
    const hash = createHash("sha256").update(key, "utf8").digest()
    // No early exit: the time must not tell which key matched.
    let known = false
    for (const one of accepted) known = (one.length === hash.length && timingSafeEqual(one, hash)) || known
    return known
      ? Either.right({ owner: hash.toString("hex").slice(0, 16) })
      : Either.left(new Unauthorized({ needed, presented: true }))
  }
}

const presentedKey = ({ headers }: Http.IncomingMessage): string | null => {
  const bearer = /^Bearer +(\S+) *$/i.exec(headers.authorization ?? "")?.[1]
  if (bearer !== undefined) return bearer
  const own = headers["x-api-key"]
  return typeof own === "string" && own !== "" ? own : null
}
