import type * as Http from "node:http"
import type { Exchange } from "./Exchange.ts"

/** As OpenTelemetry's conventions for HTTP have it: a client cannot make names of its own. */
const methods = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"])
const methodOf = ({ method = "GET" }: Http.IncomingMessage) => (methods.has(method) ? method : "_OTHER")

export const spanName = ({ request, target }: Exchange): string => {
  const method = methodOf(request)
  const verb = method === "_OTHER" ? "HTTP" : method
  return target === null ? verb : `${verb} ${target.path.path}`
}

/** `error` is the code that the client sees. That a client is told 4xx is no failure of the service. */
export const endSpan = ({ request, requestId, span, target }: Exchange, status: number, error: string | null): void => {
  const isOurs = status < 400 || status >= 500
  span?.end(
    {
      "http.request.method": methodOf(request),
      "http.route": target?.path.path,
      "http.response.status_code": status,
      "conduit.request_id": requestId,
      "error.type": error
    },
    isOurs ? error : null
  )
}
