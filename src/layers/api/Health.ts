import type { RoutesOf } from "../../services/api/Routes.ts"
import type { LifecyclePhase, LifecycleShape } from "../../services/running/Lifecycle.ts"
import type { Reply } from "./Reply.ts"

export interface Health {
  readonly phase: LifecyclePhase
  readonly stopping: boolean
  readonly inFlight: number
}

/** What the health endpoints answer. They touch nothing but these facts. */
export const healthReplies: {
  readonly [Name in RoutesOf<"socket">]: (health: Health) => Reply
} = {
  health: (health) => {
    const isHealthy = isStarted(health) && !health.stopping
    return reply(isHealthy, { status: isHealthy ? "healthy" : "unhealthy", timestamp: new Date().toISOString() })
  },
  live: () => reply(true, { status: "alive" }),
  startup: (health) => reply(isStarted(health), { status: isStarted(health) ? "started" : "starting" }),
  ready: (health) => {
    const reasons = [
      ...(isStarted(health) ? [] : ["the service is starting"]),
      ...(health.stopping ? ["the service is shutting down"] : [])
    ]
    return reply(reasons.length === 0, {
      status: reasons.length === 0 ? "ready" : "not_ready",
      phase: phaseOf({ phase: () => health.phase, stopping: () => health.stopping }),
      in_flight: health.inFlight,
      reasons
    })
  }
}

/** From the moment a shutdown is requested the first of its phases has begun. */
export const phaseOf = ({ phase, stopping }: Pick<LifecycleShape, "phase" | "stopping">): LifecyclePhase =>
  stopping() && phase() === "running" ? "settle" : phase()

const isStarted = ({ phase }: Health): boolean => phase !== "starting"

const retryAfterSeconds = 5

const reply = (isOk: boolean, body: object): Reply => ({
  status: isOk ? 200 : 503,
  headers: {
    "content-type": "application/json",
    "cache-control": "no-store",
    ...(isOk ? {} : { "retry-after": String(retryAfterSeconds) })
  },
  body: JSON.stringify(body)
})
