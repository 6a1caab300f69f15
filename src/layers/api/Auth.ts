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
    const keys = presentedKeys(request)
    if (keys.length === 0) return Either.left(new Unauthorized({ needed, presented: false }))
    for (const key of keys) {
      const hash = createHash("sha256").update(key, "utf8").digest()
      // No early exit among ours: the time must not tell which one matched.
      let known = false
      for (const one of accepted) known = (one.length === hash.length && timingSafeEqual(one, hash)) || known
      if (known) return Either.right({ owner: hash.toString("hex").slice(0, 16) })
    }
    return Either.left(new Unauthorized({ needed, presented: true }))
  }
}

/** The headers in which OpenAI's, Azure's, Anthropic's and Google's clients send a key. */
const keyHeaders = ["x-api-key", "api-key", "x-goog-api-key"] as const

/** A client that was given several keys for several services may send more than one. */
const presentedKeys = ({ headers }: Http.IncomingMessage): ReadonlyArray<string> => {
  const keys: Array<string> = []
  const authorization = /^(?:Bearer +)?(\S+) *$/i.exec(headers.authorization ?? "")?.[1]
  if (authorization !== undefined) keys.push(authorization)
  for (const name of keyHeaders) {
    const value = headers[name]
    if (typeof value === "string" && value !== "") keys.push(value)
  }
  return keys
}
