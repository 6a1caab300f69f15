import * as Either from "effect/Either"
import { type RouteName, type RoutePath, routePaths } from "../../services/api/Routes.ts"
import { MethodNotAllowed, RouteNotFound } from "./HttpErrors.ts"

/** The path that a request names. */
export interface Target {
  readonly path: RoutePath
  /** What stands for `{id}`, or the empty string. */
  readonly id: string
}

const idSuffix = "{id}"
const fixed = new Map<string, Target>()
const prefixes: Array<{ readonly prefix: string; readonly path: RoutePath }> = []
for (const path of routePaths) {
  if (path.path.endsWith(`/${idSuffix}`)) prefixes.push({ prefix: path.path.slice(0, -idSuffix.length), path })
  else fixed.set(path.path, { path, id: "" })
}

/** Finds a path: by a map where it is fixed, by its prefix where it ends with an id, which may hold slashes as model ids do. */
export const findTarget = (url: string): Target | null => {
  const query = url.indexOf("?")
  const text = query === -1 ? url : url.slice(0, query)
  const found = fixed.get(text)
  if (found !== undefined) return found
  for (const { prefix, path } of prefixes) {
    if (!text.startsWith(prefix) || text.length === prefix.length) continue
    const id = decoded(text.slice(prefix.length))
    if (id !== null) return { path, id }
  }
  return null
}

const decoded = (text: string): string | null =>
  Either.getOrElse(
    Either.try(() => decodeURIComponent(text)),
    () => null
  )

/** The route of a path for a method. */
export const routeOf = (
  target: Target | null,
  method: string | undefined
): Either.Either<RouteName, RouteNotFound | MethodNotAllowed> => {
  if (target === null) return Either.left(new RouteNotFound())
  const { allow, get, post } = target.path
  const name = method === "GET" || method === "HEAD" ? get : method === "POST" ? post : null
  return name === null ? Either.left(new MethodNotAllowed({ allow })) : Either.right(name)
}
