import * as Either from "effect/Either"
import type * as Http from "node:http"
import { InvalidRequest } from "./HttpErrors.ts"

/** The query of a request as an object. No key has two values here: which of them is meant nobody can say. */
export const query = ({
  url = ""
}: Pick<Http.IncomingMessage, "url">): Either.Either<Record<string, string>, InvalidRequest> => {
  const start = url.indexOf("?")
  const pairs = Array.from(new URLSearchParams(start === -1 ? "" : url.slice(start + 1)))
  const values = new Map<string, string>()
  for (const [key, value] of pairs) {
    if (values.has(key)) {
      return Either.left(new InvalidRequest({ param: key.slice(0, 200), detail: "is given more than once" }))
    }
    values.set(key, value)
  }
  return Either.right(Object.fromEntries(values))
}
