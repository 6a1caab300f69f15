import type * as Http from "node:http"
import type { LifecyclePhase } from "../../services/running/Lifecycle.ts"

export interface HealthAnswer {
  readonly status: number
  readonly body?: string
  /** Instead of a body: an error, which gets its envelope where the request's id is known. */
  readonly refused?: Refused
  readonly allow?: string
}

export interface Refused {
  readonly code: string
  readonly message: string
}

interface Health {
  readonly phase: LifecyclePhase
  readonly stopping: boolean
  readonly inFlight: number
}

/** What the health endpoints say; undefined for any other path. */
export const healthOf = (request: Http.IncomingMessage, health: Health): HealthAnswer | undefined => {
  const url = request.url ?? ""
  if (!url.startsWith("/health")) return undefined
  const path = url.split("?", 1)[0] ?? ""
  if (!paths.has(path)) return undefined
  if (request.method === "OPTIONS") return { status: 204, allow }
  if (request.method !== "GET" && request.method !== "HEAD") {
    return { status: 405, refused: { code: "method_not_allowed", message: `this path answers to ${allow}` }, allow }
  }
  const isStarted = health.phase !== "starting"
  switch (path) {
    case "/health": {
      const isHealthy = isStarted && !health.stopping
      return json(isHealthy, { status: isHealthy ? "healthy" : "unhealthy", timestamp: new Date().toISOString() })
    }
    case "/health/live":
      return json(true, { status: "alive" })
    case "/health/startup":
      return json(isStarted, { status: isStarted ? "started" : "starting" })
    case "/health/ready": {
      const reasons = [
        ...(isStarted ? [] : ["the service is starting"]),
        ...(health.stopping ? ["the service is shutting down"] : [])
      ]
      return json(reasons.length === 0, {
        status: reasons.length === 0 ? "ready" : "not_ready",
        phase: health.stopping && health.phase === "running" ? "settle" : health.phase,
        in_flight: health.inFlight,
        reasons
      })
    }
    default:
      return undefined
  }
}

const paths = new Set(["/health", "/health/live", "/health/startup", "/health/ready"])
const allow = "GET, HEAD, OPTIONS"

const json = (isOk: boolean, body: object): HealthAnswer => ({ status: isOk ? 200 : 503, body: JSON.stringify(body) })
