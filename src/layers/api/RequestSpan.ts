import type * as Http from "node:http"
import type { Begun } from "../../services/observing/Tracing.ts"
import type { Found } from "./Routes.ts"

/** As OpenTelemetry's conventions for HTTP have it: a client cannot make names of its own. */
const methods = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"])
const methodOf = ({ method = "GET" }: Http.IncomingMessage) => (methods.has(method) ? method : "_OTHER")

export const spanName = (request: Http.IncomingMessage, found: Found | null): string => {
  const method = methodOf(request)
  const verb = method === "_OTHER" ? "HTTP" : method
  return found === null ? verb : `${verb} ${found.route.pattern}`
}

/** `error` is the code that the client sees. That a client is told 4xx is no failure of the service. */
export const endSpan = (
  begun: Begun,
  request: Http.IncomingMessage,
  answer: {
    readonly found: Found | null
    readonly requestId: string
    readonly status: number
    readonly error: string | null
  }
): void => {
  const { error, found, requestId, status } = answer
  const isOurs = status < 400 || status >= 500
  begun.end(
    {
      "http.request.method": methodOf(request),
      "http.route": found?.route.pattern,
      "http.response.status_code": status,
      "conduit.request_id": requestId,
      "error.type": error
    },
    isOurs ? error : null
  )
}
