import type * as Http from "node:http"

type Headers = Readonly<Record<string, string>>

/** Browsers take `*` for all header fields of requests without cookies, which these are; older ones need the names. */
const exposed =
  "*, x-request-id, retry-after, x-conduit-decision-id, x-conduit-model, x-conduit-reason, x-conduit-propensity, x-conduit-overhead-ms, x-conduit-cost-usd, x-conduit-simulated"
const preflightSeconds = 600

/**
 * The header fields by which a browser lets a page of another origin read an answer (Fetch standard, CORS protocol).
 * Null for every request where no origin is allowed.
 */
export const corsOf = (origins: ReadonlyArray<string>): ((request: Http.IncomingMessage) => Headers | null) => {
  if (origins.length === 0) return () => null
  const allowed = new Set(origins)
  const varies = { vary: "Origin" }
  return ({ headers: { origin } }) =>
    origin !== undefined && (allowed.has("*") || allowed.has(origin.toLowerCase()))
      ? { ...varies, "access-control-allow-origin": origin, "access-control-expose-headers": exposed }
      : varies
}

/** What a preflight gets beside them: the methods of the path, and whatever header fields the page wants to send. */
export const preflightHeaders = ({ headers }: Http.IncomingMessage, cors: Headers | null, allow: string): Headers => {
  if (cors?.["access-control-allow-origin"] === undefined) return {}
  if (headers["access-control-request-method"] === undefined) return {}
  const wanted = headers["access-control-request-headers"]
  return {
    "access-control-allow-methods": allow,
    "access-control-max-age": String(preflightSeconds),
    ...(wanted === undefined ? {} : { "access-control-allow-headers": wanted })
  }
}
