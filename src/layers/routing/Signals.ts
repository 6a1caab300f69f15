import { hash } from "node:crypto"
import { failedCalls, type Signal, signalOf, signalQuality, type SignalWeights } from "../../domain/learning/Signals.ts"
import type { Decision } from "../../domain/routing/Decision.ts"
import type { Outcome } from "../../domain/routing/Outcome.ts"
import type { ChatBody } from "../../services/models/LanguageModels.ts"
import type { RoutedRequest } from "./RoutedRequest.ts"
import type { Verdicts } from "./Verdicts.ts"

/** So many answers are remembered, for so long: what is asked again later is another question. */
const mostRemembered = 4096
const repeatMillis = 10 * 60_000

type Judged = Pick<Decision, "id" | "owner">

/** The newest so many. */
class Recent<A> {
  readonly #entries = new Map<string, A>()

  set(key: string, value: A): void {
    this.#entries.delete(key)
    this.#entries.set(key, value)
    const [oldest] = this.#entries.size > mostRemembered ? this.#entries.keys() : []
    if (oldest !== undefined) this.#entries.delete(oldest)
  }

  take(key: string): A | undefined {
    const value = this.#entries.get(key)
    this.#entries.delete(key)
    return value
  }
}

/** What answers say of themselves, and the requests that follow of them. Of this process alone: what is forgotten says nothing. */
export class Signals {
  readonly #verdicts: Verdicts
  readonly #weights: () => SignalWeights | undefined
  readonly #seen: (signal: Signal) => void
  /** The answer to a prompt, and that which made a call. */
  readonly #prompts = new Recent<Judged & { readonly atMillis: number }>()
  readonly #calls = new Recent<Judged>()

  constructor(options: {
    readonly verdicts: Verdicts
    /** As it is configured now; undefined where nothing counts. */
    readonly weights: () => SignalWeights | undefined
    readonly seen: (signal: Signal) => void
  }) {
    this.#verdicts = options.verdicts
    this.#weights = options.weights
    this.#seen = options.seen
  }

  /** A request has ended. */
  settled(routed: RoutedRequest, outcome: Outcome, nowMillis: number): void {
    const weights = this.#weights()
    if (weights === undefined || routed.request.operation !== undefined) return
    const { decision, request } = routed
    const { body } = routed.begun
    const signal = signalOf(outcome, request.maxTokens)
    if (signal !== null) this.#say(weights, signal, decision)
    if (weights.tool_errors !== undefined) {
      this.#callsFailed(weights, decision, body)
      if (outcome.ok) {
        for (const id of routed.answerFacts.said?.toolCallIds ?? []) this.#calls.set(keyOf(decision, id), decision)
      }
    }
    if (weights.regeneration !== undefined) this.#asked(weights, routed, outcome, nowMillis)
  }

  #callsFailed(weights: SignalWeights, { owner }: Decision, body: ChatBody): void {
    const made = new Map<Decision["id"], Judged>()
    for (const call of failedCalls(body)) {
      const decision = this.#calls.take(keyOf({ owner }, call))
      if (decision !== undefined) made.set(decision.id, decision)
    }
    for (const decision of made.values()) this.#say(weights, "tool_errors", decision)
  }

  /** The same prompt again, though it was answered. */
  #asked(
    weights: SignalWeights,
    { begun, decision, request }: RoutedRequest,
    outcome: Outcome,
    nowMillis: number
  ): void {
    const { input, messages, prompt } = begun.body
    const key = keyOf(decision, hash("sha256", JSON.stringify(messages ?? input ?? prompt ?? null), "base64url"))
    const before = this.#prompts.take(key)
    if (before !== undefined && !request.isRetry && nowMillis - before.atMillis <= repeatMillis) {
      this.#say(weights, "regeneration", before)
    }
    if (outcome.ok) this.#prompts.set(key, { id: decision.id, owner: decision.owner, atMillis: nowMillis })
  }

  #say(weights: SignalWeights, signal: Signal, decision: Judged): void {
    const weight = weights[signal]
    if (weight === undefined) return
    this.#seen(signal)
    this.#verdicts.say({ decision, source: `implicit:${signal}`, quality: signalQuality[signal], weight })
  }
}

const keyOf = ({ owner }: Pick<Judged, "owner">, name: string): string => `${owner ?? ""}\n${name}`
