import { setTimeout as sleep } from "node:timers/promises"
import { request } from "undici"
import type { Target } from "./load.ts"
import { quantile } from "./measure.ts"

export interface Held {
  readonly streams: number
  /** Frames that came, and that should have. */
  readonly frames: number
  readonly expected: number
  /** Streams that were not begun. */
  readonly refused: number
  readonly firstMs: number
  readonly gapP50: number
  readonly gapP99: number
}

/** They begin within so much, not in one instant, which overload control is right to refuse; all of them are held after it. */
const beginWithinMs = 2000

/** So many streams at once, each of `tokens` events one each `gapMs`: when the first came, and the gaps between them. */
export const hold = async (target: Target, streams: number, tokens: number, gapMs: number): Promise<Held> => {
  const firsts: Array<number> = []
  const gaps: Array<number> = []
  let frames = 0
  let refused = 0
  const body = JSON.stringify({
    model: "auto",
    messages: [{ role: "user", content: "Count." }],
    stream: true,
    mock: { tokens, token_ms: gapMs }
  })
  const one = async (_: unknown, i: number) => {
    await sleep((i * beginWithinMs) / streams)
    const beganMs = performance.now()
    const headers = { "content-type": "application/json", ...target.headers }
    const answer = await request(`${target.url}/v1/chat/completions`, { method: "POST", headers, body })
    if (answer.statusCode !== 200) {
      refused++
      await answer.body.dump()
      return
    }
    let last: number | null = null
    for await (const chunk of answer.body) {
      const now = performance.now()
      const count = String(chunk).split(/"content":"[^"]/).length - 1
      if (count === 0) continue
      frames += count
      if (last === null) firsts.push(now - beganMs)
      else gaps.push(now - last)
      last = now
    }
  }
  await Promise.all(Array.from({ length: streams }, one))
  return {
    streams,
    frames,
    expected: (streams - refused) * tokens,
    refused,
    firstMs: quantile(firsts, 0.5),
    gapP50: quantile(gaps, 0.5),
    gapP99: quantile(gaps, 0.99)
  }
}
