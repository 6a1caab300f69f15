import type * as Http from "node:http"
import type { IdsShape } from "../../services/running/Ids.ts"
import type { Interrupted } from "../../services/routing/Router.ts"
import type { Overloaded } from "./HttpErrors.ts"
import { discardLimits, failure, write } from "./Reply.ts"
import { requestIdOf } from "./RequestContext.ts"

/** Answers a request that is not begun at all, without a fiber. */
export const refuse = (
  request: Http.IncomingMessage,
  response: Http.ServerResponse,
  error: Interrupted | Overloaded,
  ids: IdsShape
): void => {
  const requestId = requestIdOf(request, ids)
  const reply = failure(error, requestId)
  const headers = { ...reply.headers, "x-request-id": requestId }
  write(request, response, { ...reply, headers }, discardLimits, () => {})
}
