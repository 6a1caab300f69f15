import { randomUUID } from "node:crypto"
import * as Http from "node:http"
import { type Answered, chat, request } from "./conduit.ts"

/** What callers saw: answers by status, and what they were told is stored. */
export interface Seen {
  readonly requests: number
  /** Every 5xx, but those of a service that says it is starting or being stopped. */
  readonly failures: ReadonlyArray<string>
  /** Connections that were refused or cut, and the 503 of a start or a stop. */
  readonly turnedAway: number
  /** Acknowledged feedback: its decision by its id. */
  readonly acknowledged: ReadonlyMap<string, string>
}

interface Caller {
  readonly agent: Http.Agent
  readonly headers: Record<string, string>
}

export const callerKeys = (count: number): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, number) => `caller-${number}-of-many`)

/**
 * Callers that each ask one thing after another: a chat, feedback on it, the list of decisions, the statistics. `urlOf`
 * is asked before each; while there is none they wait. A service with keys (`callerKeys`) knows each of them for itself.
 */
export const startCallers = (count: number, urlOf: () => string | null, hasKeys = false) => {
  const failures: Array<string> = []
  const acknowledged = new Map<string, string>()
  let requests = 0
  let turnedAway = 0
  let isStopped = false

  const call = async ({ agent, headers }: Caller, path: string, options: Parameters<typeof request>[1] = {}) => {
    let url = urlOf()
    while (url === null && !isStopped) {
      await new Promise((resolve) => setTimeout(resolve, 20))
      url = urlOf()
    }
    if (url === null) return null
    const asked = { ...options, agent, headers: { ...headers, ...options.headers } }
    const answer = await request(`${url}${path}`, asked).catch(() => null)
    if (answer !== null) requests++
    const code = answer?.json?.error?.code
    if (answer === null || code === "shutting_down" || code === "starting") {
      turnedAway++
      await new Promise((resolve) => setTimeout(resolve, 20))
      return null
    }
    if (answer.status >= 500) failures.push(`${path}: ${answer.status} ${answer.text.slice(0, 200)}`)
    return answer
  }

  const judge = async (caller: Caller, { headers }: Answered) => {
    const decision = String(headers["x-conduit-decision-id"])
    const answer = await call(caller, "/v1/feedback", {
      body: { decision_id: decision, kind: "score", value: 0.5 },
      headers: { "idempotency-key": randomUUID() }
    })
    if (answer?.status === 200) acknowledged.set(answer.json.id, decision)
  }

  const run = async (number: number) => {
    const caller = {
      agent: new Http.Agent({ keepAlive: true, maxSockets: 1 }),
      headers: hasKeys ? { authorization: `Bearer ${callerKeys(count)[number]}` } : {}
    }
    for (let step = 0; !isStopped; step++) {
      const answer = await call(caller, "/v1/chat/completions", { body: chat(`question ${step} of ${number}`) })
      if (answer?.status === 200) await judge(caller, answer)
      await call(caller, "/v1/decisions?limit=20")
      await call(caller, "/v1/stats?window=1h")
    }
    caller.agent.destroy()
  }

  const callers = Array.from({ length: count }, (_, number) => run(number))
  const seen = (): Seen => ({ requests, failures, turnedAway, acknowledged })
  return {
    seen,
    stop: async (): Promise<Seen> => {
      isStopped = true
      await Promise.all(callers)
      return seen()
    }
  }
}
