import type * as Http from "node:http"
import { saneRequestId } from "../../domain/basics/Ids.ts"
import type { IdsShape } from "../../services/running/Ids.ts"
import type { InFlightRequest } from "../../services/running/InFlight.ts"

// What the socket's side and the application know of one request; gone with the request itself.
const inFlight = new WeakMap<Http.IncomingMessage, InFlightRequest>()
const requestIds = new WeakMap<Http.IncomingMessage, string>()

export const attach = (request: Http.IncomingMessage, entry: InFlightRequest): void => {
  inFlight.set(request, entry)
}

export const inFlightOf = (request: Http.IncomingMessage): InFlightRequest | undefined => inFlight.get(request)

/** The client's own `x-request-id` if it is sane, else a fresh one; the same at every call for one request. */
export const requestIdOf = (request: Http.IncomingMessage, ids: IdsShape): string => {
  const known = requestIds.get(request)
  if (known !== undefined) return known
  const id = saneRequestId(request.headers["x-request-id"]) ?? ids.uuidV7(Date.now())
  requestIds.set(request, id)
  return id
}
