import { Pool } from "undici"
import { quantile } from "./measure.ts"

export interface Load {
  readonly requests: number
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
}

let sent = 0

/** A request as chat clients send it, 240 bytes; no two are equal. */
const chatBody = (stream: boolean, sessions: number): string =>
  JSON.stringify({
    model: "auto",
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

/**
 * Each connection sends its next request when the answer to its last one is whole; an answer that is not 200 ends the run.
 * The requests take turns in so many sessions, or are in none.
 */
export const load = async (
  origin: string,
  connections: number,
  stream: boolean,
  millis: number,
  sessions = 0
): Promise<Load> => {
  const pool = new Pool(origin, { connections, pipelining: 1 })
  const headers = { "content-type": "application/json" }
  const took: Array<number> = []
  const startedMs = performance.now()
  const untilMs = startedMs + millis
  const client = async () => {
    while (performance.now() < untilMs) {
      const beganMs = performance.now()
      const body = chatBody(stream, sessions)
      const answer = await pool.request({ method: "POST", path: "/v1/chat/completions", headers, body })
      const text = await answer.body.text()
      if (answer.statusCode !== 200) throw new Error(`${answer.statusCode} ${text.slice(0, 300)}`)
      if (stream && !text.endsWith("data: [DONE]\n\n")) throw new Error(`a cut stream: ${text.slice(-100)}`)
      took.push(performance.now() - beganMs)
    }
  }
  await Promise.all(Array.from({ length: connections }, client))
  const seconds = (performance.now() - startedMs) / 1000
  await pool.close()
  return {
    requests: took.length,
    perSecond: took.length / seconds,
    p50: quantile(took, 0.5),
    p99: quantile(took, 0.99)
  }
}
