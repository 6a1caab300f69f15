import * as Either from "effect/Either"
import { MethodNotAllowed, RouteNotFound } from "./HttpErrors.ts"
import type { Handler } from "./Exchange.ts"

/** One path: `pattern` is what metrics call it. */
export interface Route {
  readonly pattern: string
  /** Whether everybody may ask, without a key. */
  readonly open: boolean
  readonly get?: Handler
  readonly post?: Handler
}

export interface Found {
  readonly route: Route
  /** What stands for `{id}`. */
  readonly id: string
}

export interface Matched extends Found {
  readonly handler: Handler
}

/**
 * Looks a path up: by a map where it is fixed, by its prefix where it ends with an id (which may hold slashes, as model
 * ids do). HttpRouter knows neither 405 nor HEAD as we want them, and copies the context for each request.
 */
export const finder = (routes: ReadonlyArray<Route>): ((url: string) => Found | null) => {
  const fixed = new Map<string, Found>()
  const prefixes: Array<{ readonly prefix: string; readonly route: Route }> = []
  for (const route of routes) {
    if (route.pattern.endsWith("/{id}")) prefixes.push({ prefix: route.pattern.slice(0, -"{id}".length), route })
    else fixed.set(route.pattern, { route, id: "" })
  }
  return (url) => {
    const query = url.indexOf("?")
    const path = query === -1 ? url : url.slice(0, query)
    const found = fixed.get(path)
    if (found !== undefined) return found
    for (const { prefix, route } of prefixes) {
      if (!path.startsWith(prefix) || path.length === prefix.length) continue
      const id = decoded(path.slice(prefix.length))
      if (id !== null) return { route, id }
    }
    return null
  }
}

const decoded = (text: string): string | null =>
  Either.getOrElse(
    Either.try(() => decodeURIComponent(text)),
    () => null
  )

export const allowed = ({ get, post }: Route): string =>
  [...(get === undefined ? [] : ["GET", "HEAD"]), ...(post === undefined ? [] : ["POST"]), "OPTIONS"].join(", ")

/** The handler of a path for a method; HEAD is GET, whose body is left out when the answer is written. */
export const matched = (
  found: Found | null,
  method: string | undefined
): Either.Either<Matched, RouteNotFound | MethodNotAllowed> => {
  if (found === null) return Either.left(new RouteNotFound())
  const { route } = found
  const handler = method === "GET" || method === "HEAD" ? route.get : method === "POST" ? route.post : undefined
  return handler === undefined
    ? Either.left(new MethodNotAllowed({ allow: allowed(route) }))
    : Either.right({ ...found, handler })
}
