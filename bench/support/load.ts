import { Pool } from "undici"
import { quantile } from "./measure.ts"

export interface Load {
  readonly requests: number
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
}

/** Whom to ask, with what a gateway wants to know besides. */
export interface Target {
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  /** The model that is asked for; `auto` by default. */
  readonly model?: string
  /** The requests take turns with them. */
  readonly keys?: ReadonlyArray<string>
}

let sent = 0

/** A request as chat clients send it, 240 bytes; no two are equal. */
const chatBody = (model: string, stream: boolean, sessions: number): string =>
  JSON.stringify({
    model,
    messages: [
      { role: "system", content: "You are a helpful assistant that answers briefly." },
      {
        role: "user",
        content: `Question ${sent++}: explain in two sentences why the sky is blue at noon and red at dusk.`
      }
    ],
    temperature: 0.2,
    ...(sessions > 0 ? { conduit: { session_id: `session-${sent % sessions}` } } : {}),
    ...(stream ? { stream: true } : {})
  })

const ask = async (pool: Pool, target: Target, stream: boolean, sessions: number): Promise<void> => {
  const key = target.keys?.[sent % target.keys.length]
  const shown = key === undefined ? {} : { authorization: `Bearer ${key}` }
  const headers = { "content-type": "application/json", ...shown, ...target.headers }
  const body = chatBody(target.model ?? "auto", stream, sessions)
  const answer = await pool.request({ method: "POST", path: "/v1/chat/completions", headers, body })
  const text = await answer.body.text()
  if (answer.statusCode !== 200) throw new Error(`${answer.statusCode} ${text.slice(0, 300)}`)
  if (stream && !text.endsWith("data: [DONE]\n\n")) throw new Error(`a cut stream: ${text.slice(-100)}`)
}

const loadOf = (took: ReadonlyArray<number>, startedMs: number): Load => ({
  requests: took.length,
  perSecond: (took.length * 1000) / (performance.now() - startedMs),
  p50: quantile(took, 0.5),
  p99: quantile(took, 0.99)
})

/** For so long, or so many requests in all. */
export type Amount = { readonly millis: number } | { readonly requests: number }

/**
 * Each connection sends its next request when the answer to its last one is whole; an answer that is not 200 ends the run.
 * The requests take turns in so many sessions, or are in none.
 */
export const load = async (
  target: Target,
  connections: number,
  stream: boolean,
  amount: Amount,
  sessions = 0
): Promise<Load> => {
  const pool = new Pool(target.url, { connections, pipelining: 1 })
  const took: Array<number> = []
  const startedMs = performance.now()
  let left = "requests" in amount ? amount.requests : Infinity
  const untilMs = "millis" in amount ? startedMs + amount.millis : Infinity
  const client = async () => {
    while (performance.now() < untilMs && left-- > 0) {
      const beganMs = performance.now()
      await ask(pool, target, stream, sessions)
      took.push(performance.now() - beganMs)
    }
  }
  await Promise.all(Array.from({ length: connections }, client))
  const result = loadOf(took, startedMs)
  await pool.close()
  return result
}

/** So many requests a second, whether or not the answers come: how long each took counts from when it was due. */
export const openLoad = async (target: Target, rate: number, stream: boolean, millis: number): Promise<Load> => {
  const pool = new Pool(target.url, { connections: 1024, pipelining: 1 })
  const took: Array<number> = []
  const startedMs = performance.now()
  const asked: Array<Promise<void>> = []
  for (let n = 0; (n * 1000) / rate < millis; n++) {
    const dueMs = startedMs + (n * 1000) / rate
    const waitMs = dueMs - performance.now()
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs))
    asked.push(ask(pool, target, stream, 0).then(() => void took.push(performance.now() - dueMs)))
  }
  await Promise.all(asked)
  const result = loadOf(took, startedMs)
  await pool.close()
  return result
}
