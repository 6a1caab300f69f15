import * as Either from "effect/Either"
import { createHash, timingSafeEqual } from "node:crypto"
import type * as Http from "node:http"
import { allows, type KeyHolder, type Scope } from "../../domain/access/ApiKey.ts"
import type { PageName } from "../../services/running/settings/Parsers.ts"
import type { RouteRow } from "../../services/api/Routes.ts"
import type { KeysShape } from "../../services/api/Keys.ts"
import type { Caller } from "../../services/routing/Router.ts"
import { Forbidden, Unauthorized } from "./HttpErrors.ts"

/** Who asks, and may. `key` is null where nobody needs one. */
export interface Admitted {
  readonly caller: Caller
  readonly key: KeyHolder | null
}

/** Whose the keys are that a request shows. */
export interface Identity {
  /** Of the first that is valid; null where none is. */
  readonly holder: KeyHolder | null
  readonly isExpired: boolean
  readonly isPresented: boolean
}

/** A request, and what was found out of its keys. */
interface Asking {
  readonly request: Http.IncomingMessage
  identity: Identity | null
}

/** Looks once. */
export const identityOf = (keys: Pick<KeysShape, "find">, asking: Asking): Identity =>
  (asking.identity ??= identify(keys, presentedKeys(asking.request)))

const identify = (keys: Pick<KeysShape, "find">, presented: ReadonlyArray<string>): Identity => {
  let isExpired = false
  for (const key of presented) {
    const found = keys.find(key)
    if (found !== null && !found.isExpired) return { holder: found.holder, isExpired: false, isPresented: true }
    if (found !== null) isExpired = true
  }
  return { holder: null, isExpired, isPresented: presented.length > 0 }
}

export type Authenticate = (asking: Asking) => Either.Either<Admitted, Unauthorized | Forbidden>

const anybody = Either.right<Admitted>({ caller: { owner: null }, key: null })

/** How each kind of access is checked. */
export const authenticators = (options: {
  readonly keys: Pick<KeysShape, "find" | "isOpen">
  /** Of keys that read the metrics and nothing else: SHA-256 in hex. */
  readonly metricsKeyHashes: ReadonlyArray<string>
  /** What everybody may read. */
  readonly publicPages: ReadonlyArray<PageName>
}): { readonly [Access in RouteRow["access"]]: Authenticate } => {
  const { keys, metricsKeyHashes, publicPages } = options
  const metricsKeys = metricsKeyHashes.map((hash) => Buffer.from(hash, "hex"))
  const admitted = new WeakMap<KeyHolder, Either.Either<Admitted, never>>()
  const admit = (holder: KeyHolder) => {
    const known = admitted.get(holder)
    if (known !== undefined) return known
    const made = Either.right({ caller: callerOf(holder), key: holder })
    admitted.set(holder, made)
    return made
  }
  const withScope =
    (scope: Scope | null, needed: Unauthorized["needed"] = "API"): Authenticate =>
    (asking) => {
      if (keys.isOpen()) return scope === "admin" ? Either.left(new Forbidden({ scope })) : anybody
      const { holder, isExpired, isPresented } = identityOf(keys, asking)
      if (holder === null) return Either.left(new Unauthorized({ needed, presented: isPresented, isExpired }))
      return scope === null || allows(holder, scope) ? admit(holder) : Either.left(new Forbidden({ scope }))
    }
  return {
    open: () => anybody,
    key: withScope(null),
    route: withScope("route"),
    feedback: withScope("feedback"),
    read: withScope("read"),
    admin: withScope("admin"),
    docs: publicPages.includes("docs") ? () => anybody : withScope("read", "page"),
    index: publicPages.includes("index") ? () => anybody : withScope("read", "page"),
    metrics: (asking) => {
      if (metricsKeyHashes.length === 0 && (publicPages.includes("metrics") || keys.isOpen())) return anybody
      if (isAccepted(metricsKeys, presentedKeys(asking.request))) return anybody
      const { holder, isPresented } = identityOf(keys, asking)
      return holder !== null && allows(holder, "read:all")
        ? admit(holder)
        : Either.left(new Unauthorized({ needed: "metrics", presented: isPresented, isExpired: false }))
    }
  }
}

const isAccepted = (accepted: ReadonlyArray<Buffer>, presented: ReadonlyArray<string>): boolean => {
  for (const key of presented) {
    const hash = createHash("sha256").update(key, "utf8").digest()
    // No early exit among ours: the time must not tell which one matched.
    let known = false
    for (const one of accepted) known = (one.length === hash.length && timingSafeEqual(one, hash)) || known
    if (known) return true
  }
  return false
}

const callerOf = (holder: KeyHolder): Caller => ({
  owner: holder.owner,
  ...(holder.formerOwners === undefined ? {} : { formerOwners: holder.formerOwners }),
  ...(allows(holder, "read:all") ? { readsAll: true } : {}),
  ...(holder.allowedModels === null ? {} : { allowedModels: holder.allowedModels })
})

/** The headers in which OpenAI's, Azure's, Anthropic's and Google's clients send a key. */
const keyHeaders = ["x-api-key", "api-key", "x-goog-api-key"] as const

/** Google's clients may send it as `?key=`. No line and no span has the query of a request. */
const keyIn = (url: string): string | null => {
  const query = url.indexOf("?")
  if (query === -1 || !/^\/v1(?:beta)?\/models/.test(url)) return null
  const key = new URLSearchParams(url.slice(query + 1)).get("key")
  return key === "" ? null : key
}

/** A client that was given several keys for several services may send more than one. */
const presentedKeys = ({ headers, method, url }: Http.IncomingMessage): ReadonlyArray<string> => {
  const keys: Array<string> = []
  const basic = /^Basic +(\S+) *$/i.exec(headers.authorization ?? "")?.[1]
  // A browser sends it by itself, whoever made it ask: to read is harmless, as no other origin sees the answer.
  if (basic !== undefined && (method === "GET" || method === "HEAD")) {
    const text = Buffer.from(basic, "base64").toString("utf8")
    keys.push(text.slice(text.indexOf(":") + 1))
  }
  const authorization = /^(?:Bearer +)?(\S+) *$/i.exec(headers.authorization ?? "")?.[1]
  if (authorization !== undefined) keys.push(authorization)
  for (const name of keyHeaders) {
    const value = headers[name]
    if (typeof value === "string" && value !== "") keys.push(value)
  }
  const asked = keyIn(url ?? "")
  if (asked !== null) keys.push(asked)
  return keys
}
