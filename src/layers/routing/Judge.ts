import {
  DayBudget,
  isSampled,
  type JudgeSettings,
  verdictBody,
  verdictIn,
  verdictTokens
} from "../../domain/learning/Judging.ts"
import { answerText, StreamedText } from "../../domain/models/AnswerText.ts"
import { parametrised } from "../../domain/models/ModelParams.ts"
import { costOf } from "../../domain/routing/Cost.ts"
import type { Decision } from "../../domain/routing/Decision.ts"
import type { Model } from "../../domain/routing/Model.ts"
import type { Outcome } from "../../domain/routing/Outcome.ts"
import { textTokens } from "../../domain/routing/Tokens.ts"
import { plainUsage } from "../../domain/routing/Usage.ts"
import { type ChatAnswer, type LanguageModelsShape, ProviderError } from "../../services/models/LanguageModels.ts"
import type { ModelCatalogShape } from "../../services/models/ModelCatalog.ts"
import type { JudgeResult } from "../../services/observing/Telemetry.ts"
import type { Accounting } from "./Accounting.ts"
import type { Experience } from "./Experience.ts"
import type { RoutedRequest } from "./RoutedRequest.ts"
import type { Verdicts } from "./Verdicts.ts"

/** So many answers wait at most; one that comes beyond is not judged. */
const mostWaiting = 100
const callMs = 60_000

interface Parts {
  readonly accounting: Pick<Accounting, "of">
  readonly catalog: Pick<ModelCatalogShape, "current">
  readonly experience: Pick<Experience, "limits">
  readonly models: Pick<LanguageModelsShape, "complete">
  readonly verdicts: Verdicts
  /** The router's. */
  readonly seed: string
  readonly nowMillis: () => number
  readonly told: (result: JudgeResult, costUsd: number) => void
}

/** An answer that waits for its verdict. */
interface Waiting {
  readonly decision: Pick<Decision, "id" | "owner">
  readonly question: string
  readonly answer: string
}

/**
 * A model that judges a share of the answers while nobody waits for it: a bounded queue, so many calls at once, a budget that is
 * put aside before each. It ends with the drain. Whole, because these are the moves of one machine.
 */
export class Judge {
  readonly #parts: Parts
  readonly #budget = new DayBudget()
  readonly #waiting: Array<Waiting> = []
  readonly #underWay = new Set<() => void>()
  #isStopped = false

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** Takes the answer of a request that is judged, as its client gets it; null for one that is not. */
  listener({ begun: { protocol = "chat" }, decision, request }: RoutedRequest): StreamedText | null {
    return request.operation === undefined && this.#settingsFor(decision) !== null ? new StreamedText(protocol) : null
  }

  /** The same of a whole answer. */
  textOf({ begun: { protocol = "chat" }, decision, request }: RoutedRequest, json: string): string | null {
    const isJudged = request.operation === undefined && this.#settingsFor(decision) !== null
    return isJudged ? answerText(json, protocol) : null
  }

  /** A request has been answered with this text. */
  answered({ decision, request }: RoutedRequest, outcome: Outcome, answer: string): void {
    const settings = this.#settingsFor(decision)
    if (settings === null || !outcome.ok || answer === "" || outcome.model === settings.model) return
    if (this.#waiting.length >= mostWaiting) return this.#parts.told("queue_full", 0)
    this.#waiting.push({ decision, question: request.text, answer })
    this.#next()
  }

  /** Nothing is judged any more: what waits is left, and calls under way are ended. */
  stop(): void {
    this.#isStopped = true
    for (let i = 0; i < this.#waiting.length + this.#underWay.size; i++) this.#parts.told("stopped", 0)
    this.#waiting.length = 0
    for (const abort of this.#underWay) abort()
    this.#underWay.clear()
  }

  #settingsFor({ id }: Pick<Decision, "id">): JudgeSettings | null {
    const settings = this.#parts.catalog.current().policy.judge
    if (settings === undefined || this.#isStopped) return null
    return isSampled(this.#parts.seed, id, settings.share) ? settings : null
  }

  #next(): void {
    const settings = this.#parts.catalog.current().policy.judge
    if (settings === undefined || this.#isStopped) return
    while (this.#underWay.size < settings.concurrency) {
      const next = this.#waiting.shift()
      if (next === undefined) return
      this.#judge(settings, next)
    }
  }

  #judge(settings: JudgeSettings, { answer, decision, question }: Waiting): void {
    const { catalog, experience, models, nowMillis, told, verdicts } = this.#parts
    const model = catalog.current().byId.get(settings.model)
    if (model === undefined || model.unavailable !== null) return told("failed", 0)
    const { body } = parametrised(verdictBody(question, answer), "chat", model.params ?? {}, model)
    const inputTokens = textTokens(JSON.stringify(body["messages"]))
    const most = mostCost(model, inputTokens)
    if (most === null) return told("unpriced", 0)
    if (!this.#budget.promise(most, settings.budgetUsdPerDay, nowMillis())) return told("budget", 0)
    let isOver = false
    const end = (result: JudgeResult, costUsd: number) => {
      isOver = true
      this.#underWay.delete(abort)
      this.#budget.settle(most, costUsd)
      told(result, costUsd)
      this.#next()
    }
    const limits = { ...experience.limits(model, body), timeoutMs: callMs, answerId: decision.id, inputTokens }
    const release = models.complete(model, body, limits, (answered) => {
      // What was aborted may have been charged: what was put aside for it stays spent.
      if (answered instanceof ProviderError) return end("failed", answered.status === null ? most : 0)
      const costUsd = this.#costOf(model, inputTokens, answered) ?? most
      const verdict = verdictIn(answerText(answered.text, "chat"))
      if (verdict === null) return end("unreadable", costUsd)
      const { quality, reason } = verdict
      const comment = reason === null ? {} : { comment: reason }
      verdicts.say({ decision, source: `judge:${model.id}`, quality, weight: settings.weight, ...comment })
      end("judged", costUsd)
    })
    const abort = () => release()
    if (!isOver) this.#underWay.add(abort)
  }

  #costOf(model: Model, inputTokens: number, { requestId, said }: ChatAnswer): number | null {
    return this.#parts.accounting.of(model, { inputTokens }, said, requestId).costUsd
  }
}

/** What a verdict may cost at most; null where nobody states a price. The estimate of what is sent may be short by a half. */
const mostCost = (model: Model, inputTokens: number): number | null =>
  costOf(model, plainUsage(Math.ceil(1.5 * inputTokens), verdictTokens))
