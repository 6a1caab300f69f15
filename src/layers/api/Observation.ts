import type * as Http from "node:http"
import * as Effect from "effect/Effect"
import { monotonicMs } from "../../services/running/MonotonicTime.ts"
import { Telemetry } from "../../services/observing/Telemetry.ts"
import { Tracing } from "../../services/observing/Tracing.ts"
import { Settings } from "../../services/running/Settings.ts"
import type { Exchange, ExchangeObserver } from "./Exchange.ts"
import type { Serving } from "./Serving.ts"

/** What metrics call a path that is nothing's. */
const unknownPath = "unknown"

/** Begins to observe an exchange: its metrics, its span, and at the level DEBUG a line when it ends. */
export const make = (
  serving: Serving
): Effect.Effect<(exchange: Exchange) => void, never, Settings | Telemetry | Tracing> =>
  Effect.gen(function* () {
    const { log } = yield* Settings
    const telemetry = yield* Telemetry
    const tracing = yield* Tracing
    const clock = yield* Effect.clock
    const isDebug = log.level === "DEBUG"

    const ended: ExchangeObserver = (exchange, status, error) => {
      const seconds = (monotonicMs(clock) - exchange.startedMs) / 1000
      const { method = "GET" } = exchange.request
      const route = exchange.target?.path.path ?? unknownPath
      telemetry.requestEnded(route, method, status, seconds)
      endSpan(exchange, status, error)
      if (!isDebug) return
      const facts = { route, method, status, latency_ms: Math.round(seconds * 1e6) / 1e3 }
      serving.log(exchange, Effect.logDebug("request", facts))
    }

    return (exchange) => {
      exchange.span = tracing.begin(spanName(exchange), exchange.request.headers)
      exchange.observer = ended
    }
  })

/** As OpenTelemetry's conventions for HTTP have it: a client cannot make names of its own. */
const methods = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"])
const methodOf = ({ method = "GET" }: Http.IncomingMessage) => (methods.has(method) ? method : "_OTHER")

const spanName = ({ request, target }: Exchange): string => {
  const method = methodOf(request)
  const verb = method === "_OTHER" ? "HTTP" : method
  return target === null ? verb : `${verb} ${target.path.path}`
}

/** `error` is the code that the client sees. That a client is told 4xx is no failure of the service. */
const endSpan = ({ request, requestId, span, target }: Exchange, status: number, error: string | null): void => {
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
