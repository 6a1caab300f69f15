import * as Either from "effect/Either"
import { nearestName } from "../../domain/basics/NearestName.ts"
import {
  foreignPaths,
  prefixAliases,
  type RouteName,
  type RoutePath,
  routePaths,
  type RouteRow,
  routeNames,
  routes
} from "../../services/api/Routes.ts"
import { MethodNotAllowed, RouteNotFound } from "./HttpErrors.ts"

/** The path that a request names. */
export interface Target {
  readonly path: RoutePath
  /** What stands for `{id}`, or the empty string. */
  readonly id: string
  /** The model that the path names, where an alias has it there. */
  readonly model: string | null
}

interface Pattern {
  readonly prefix: string
  readonly suffix: string
  readonly target: (value: string) => Target
}

const fixed = new Map<string, Target>()
const patterns: Array<Pattern> = []

const addFixed = (text: string, path: RoutePath) => fixed.set(text, { path, id: "", model: null })
const addPattern = (text: string, placeholder: string, target: (value: string) => Target) => {
  const [prefix = "", suffix = ""] = text.split(placeholder)
  patterns.push({ prefix, suffix, target })
}
for (const path of routePaths) {
  if (path.path.includes("{model}")) addPattern(path.path, "{model}", (model) => ({ path, id: "", model }))
  else if (path.path.includes("{id}")) addPattern(path.path, "{id}", (id) => ({ path, id, model: null }))
  else addFixed(path.path, path)
}
for (const name of routeNames) {
  const row: RouteRow = routes[name]
  const path = routePaths.find((one) => one.path === row.path)
  if (path === undefined) continue
  for (const alias of row.aliases ?? []) {
    if (alias.includes("{model}")) addPattern(alias, "{model}", (model) => ({ path, id: "", model }))
    else addFixed(alias, path)
  }
}

// What ends in something of its own comes first: an id may have any end.
patterns.sort((a, b) => b.suffix.length - a.suffix.length)

/**
 * Finds a path: by a map where it is fixed, by what stands around its id or model (which may hold slashes) else. Where
 * it is not found as it came, aliases, doubled slashes and a slash at its end are tried.
 */
export const findTarget = (url: string): Target | null => {
  const path = pathOf(url)
  return fixed.get(path) ?? matching(path) ?? afterAliases(path)
}

/** The path of a request's target, which may be a whole URL (RFC 9112, 3.2.2). */
export const pathOf = (url: string): string => {
  const query = url.indexOf("?")
  const text = query === -1 ? url : url.slice(0, query)
  if (text.startsWith("/")) return text
  const absolute = /^https?:\/\/[^/]*(.*)$/i.exec(text)?.[1]
  return absolute === undefined ? text : absolute === "" ? "/" : absolute
}

const matching = (path: string): Target | null => {
  for (const { prefix, suffix, target } of patterns) {
    if (!path.startsWith(prefix) || !path.endsWith(suffix) || path.length <= prefix.length + suffix.length) continue
    const value = decoded(path.slice(prefix.length, path.length - suffix.length))
    if (value !== null) return target(value)
  }
  return null
}

const afterAliases = (path: string): Target | null => {
  const plain = normalised(path)
  const alias = prefixAliases.find(({ prefix }) => plain.startsWith(prefix))
  const meant = alias === undefined ? plain : alias.stands + plain.slice(alias.prefix.length)
  return meant === path ? null : (fixed.get(meant) ?? matching(meant))
}

const normalised = (path: string): string => {
  const single = path.replace(/\/{2,}/g, "/")
  return single.length > 1 && single.endsWith("/") ? single.slice(0, -1) : single
}

const decoded = (text: string): string | null =>
  Either.getOrElse(
    Either.try(() => decodeURIComponent(text)),
    () => null
  )

/** The route of a path for a method. */
export const routeOf = (
  target: Target | null,
  method: string | undefined,
  url: string
): Either.Either<RouteName, RouteNotFound | MethodNotAllowed> => {
  if (target === null) return Either.left(notFound(url))
  const { allow, get, post } = target.path
  const name = method === "GET" || method === "HEAD" ? get : method === "POST" ? post : null
  if (name !== null) return Either.right(name)
  // Gemini's clients post to a method of a model's path; a path without one is nobody else's.
  const foreign = target.id.includes(":") ? foreignTo(url) : null
  return Either.left(foreign === null ? new MethodNotAllowed({ allow }) : new RouteNotFound({ hint: foreign }))
}

const knownPaths = routePaths.map(({ path }) => path)

const notFound = (url: string): RouteNotFound => {
  const nearest = nearestName(normalised(pathOf(url)), knownPaths)
  return new RouteNotFound({ hint: foreignTo(url) ?? (nearest === null ? null : `did you mean ${nearest}?`) })
}

const longestForeignPath = 300
const foreignTo = (url: string): string | null => {
  const path = normalised(pathOf(url).slice(0, longestForeignPath))
  return foreignPaths.find(({ pattern }) => pattern.test(path))?.instead ?? null
}
