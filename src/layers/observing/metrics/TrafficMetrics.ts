import { type RefusalReason, refusalReasons } from "../../../services/observing/Telemetry.ts"
import { byLabel, counter, edges, histogram } from "./Series.ts"

/** Methods that become label values; anything else is `other`, so that no client can make new series. */
const methods = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])

/** Seconds; up to the default deadline of a request. */
const requestEdges = edges([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600])

/** What is refused before its route is looked up. */
const refusedRoute = "refused"
const refusedStatus = 503

export const make = () => {
  const total = byLabel((route: string) =>
    byLabel((method: string) =>
      byLabel((status: string) =>
        counter("conduit_requests_total", "Requests answered, by route pattern, method and status", {
          route,
          method,
          status
        })
      )
    )
  )
  const duration = byLabel((route: string) =>
    histogram(
      "conduit_request_duration_seconds",
      "Whole requests, from their head to the end of the answer",
      requestEdges,
      {
        route
      }
    )
  )
  const count = (route: string, method: string, status: number) =>
    total(route)(methods.has(method) ? method : "other")(String(status)).update(1)

  const refused = byLabel((reason: RefusalReason) =>
    counter("conduit_refused_requests_total", "Requests that were answered 503 without being served, by why", {
      reason
    })
  )
  for (const reason of refusalReasons) refused(reason)

  return {
    requestEnded: (route: string, method: string, status: number, seconds: number) => {
      count(route, method, status)
      duration(route).update(seconds)
    },
    requestRefused: (method: string, reason: RefusalReason) => {
      count(refusedRoute, method, refusedStatus)
      refused(reason).update(1)
    }
  }
}
