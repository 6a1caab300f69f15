import { randomBytes, randomUUID } from "node:crypto"
import * as Http from "node:http"
import { uuidV7From } from "../../src/domain/basics/Ids.ts"
import { uniform } from "../../src/domain/basics/Rng.ts"
import { type Answered, chat, request } from "./conduit.ts"
import { eventually, paced } from "./traffic.ts"

/** A feedback by its idempotency key, and what it was answered in the end. */
export interface Sent {
  readonly decisionId: string
  readonly value: number
  status: "recorded" | "superseded" | "parked" | null
  id: string | null
  isOnItsWay: boolean
}

/**
 * A client as it should be: it asks, judges the answers, and says again under the same key what was not acknowledged.
 * About three in four feedbacks judge a fresh answer; the others revise, repeat, or name a decision that nobody made.
 */
export interface FeedbackClient {
  /** So many feedbacks a second, to any of the replicas, until stopped; then nothing is under way any more. */
  readonly start: (
    urls: ReadonlyArray<string>,
    perSecond: number
  ) => {
    readonly stop: () => Promise<void>
    readonly use: (urls: ReadonlyArray<string>) => void
  }
  /** Says what is left until everything is acknowledged. */
  readonly finish: (url: string) => Promise<void>
  readonly keys: ReadonlyMap<string, Sent>
  /** Answered decisions: when, and after how many calls of `start` they were asked for. */
  readonly decisions: ReadonlyMap<string, { readonly answeredAtMs: number; readonly run: number }>
  /** What no client may ever see. */
  readonly violations: ReadonlyArray<string>
  readonly count: (status: Sent["status"]) => number
  /** Since the last call of `start`: the longest that a feedback waited for its answer, or waits now. */
  readonly longestWaitMs: () => number
  readonly resent: () => number
  readonly close: () => void
}

export const makeFeedbackClient = (seed: string): FeedbackClient => {
  const agent = new Http.Agent({ keepAlive: true })
  const keys = new Map<string, Sent>()
  const decisions = new Map<string, { readonly answeredAtMs: number; readonly run: number }>()
  const recorded: Array<string> = []
  const violations: Array<string> = []
  const waiting = new Set<number>()
  let longestWaitMs = 0
  let runs = 0
  let steps = 0
  let resent = 0

  const say = async (url: string, key: string, sent: Sent) => {
    sent.isOnItsWay = true
    const sentAtMs = performance.now()
    waiting.add(sentAtMs)
    const answer = await request(`${url}/v1/feedback`, {
      body: { decision_id: sent.decisionId, kind: "score", value: sent.value },
      headers: { "idempotency-key": key },
      agent
    }).catch(() => null)
    sent.isOnItsWay = false
    waiting.delete(sentAtMs)
    longestWaitMs = Math.max(longestWaitMs, performance.now() - sentAtMs)
    if (answer === null || answer.status === 503) return
    if (answer.status !== 200) return void violations.push(`feedback ${key}: ${answer.status} ${answer.text}`)
    acknowledged(key, sent, answer)
  }
  const acknowledged = (key: string, sent: Sent, { json }: Answered) => {
    if (sent.status === null) {
      sent.status = json.status
      sent.id = json.id
      if (json.status === "recorded") recorded.push(sent.decisionId)
    } else if (sent.status !== json.status || sent.id !== json.id) {
      violations.push(`feedback ${key}: ${sent.status} ${sent.id}, and then ${json.status} ${json.id}`)
    }
  }
  const ask = async (url: string, step: number): Promise<string | null> => {
    const run = runs
    const answer = await request(`${url}/v1/chat/completions`, { body: chat(`question ${step}`), agent }).catch(
      () => null
    )
    // Who is being stopped says so, and did not serve it.
    if (answer === null || (answer.status === 503 && answer.json?.error?.code === "shutting_down")) return null
    if (answer.status !== 200) {
      violations.push(`chat ${step}: ${answer.status} ${answer.text.slice(0, 200)}`)
      return null
    }
    const id = String(answer.headers["x-conduit-decision-id"])
    decisions.set(id, { answeredAtMs: Date.now(), run })
    return id
  }
  const judge = (url: string, decisionId: string, draw: (what: string) => number) => {
    const sent: Sent = { decisionId, value: draw("value"), status: null, id: null, isOnItsWay: false }
    const key = randomUUID()
    keys.set(key, sent)
    return say(url, key, sent)
  }
  const pick = <A>(all: ReadonlyArray<A>, at: number): A | undefined => all[Math.floor(at * all.length)]

  const unacknowledged = () => Array.from(keys).filter(([, sent]) => sent.status === null && !sent.isOnItsWay)

  const step = async (urls: ReadonlyArray<string>) => {
    const number = steps++
    const draw = (what: string) => uniform(`${seed}|${number}|${what}`)
    const anyOf = (what: string) => pick(urls, draw(what))
    const url = anyOf("url")
    const other = anyOf("other")
    if (url === undefined || other === undefined) return
    const kind = draw("kind")
    if (kind < 0.05) return judge(url, uuidV7From(Date.now(), randomBytes(10)), draw)
    const decisionId = await ask(url, number)
    if (kind < 0.8) return decisionId === null ? undefined : judge(other, decisionId, draw)
    if (kind < 0.9) {
      const revised = pick(recorded, draw("which"))
      return revised === undefined ? undefined : judge(other, revised, draw)
    }
    const repeated = pick(Array.from(keys), draw("which"))
    return repeated === undefined || repeated[1].isOnItsWay ? undefined : say(other, repeated[0], repeated[1])
  }

  return {
    start: (first, perSecond) => {
      let urls = first
      runs++
      longestWaitMs = 0
      const traffic = paced(perSecond, (number) => {
        const [left] = number % 2 === 0 ? unacknowledged() : []
        const url = pick(urls, uniform(`${seed}|${steps}|again`))
        if (left === undefined || url === undefined) return step(urls)
        resent++
        return say(url, left[0], left[1])
      })
      return {
        stop: traffic.stop,
        use: (next) => {
          urls = next
        }
      }
    },
    finish: (url) =>
      eventually("everything is acknowledged", 30_000, async () => {
        const left = unacknowledged()
        resent += left.length
        for (const [key, sent] of left) await say(url, key, sent)
        return left.length === 0 ? true : undefined
      }).then(() => undefined),
    keys,
    decisions,
    violations,
    count: (status) => Array.from(keys.values()).filter((sent) => sent.status === status).length,
    longestWaitMs: () => Math.max(longestWaitMs, ...Array.from(waiting, (sentAtMs) => performance.now() - sentAtMs)),
    resent: () => resent,
    close: () => agent.destroy()
  }
}
