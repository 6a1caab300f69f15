import type { Candidate, Decision } from "../../../domain/routing/Decision.ts"
import type { ModelId } from "../../../domain/basics/Ids.ts"
import type { Outcome } from "../../../domain/routing/Outcome.ts"
import type { CallResult, ModelListResult } from "../../../services/observing/Telemetry.ts"
import { byLabel, counter, edges, gauge, histogram, lazily } from "./Series.ts"

/** Seconds; from 50 microseconds, because a decision takes about a tenth of a millisecond. */
const routingEdges = edges([
  0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1
])
/** Seconds, as models take them. */
const callEdges = edges([0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 120, 300, 600])

/** The choice was drawn; other reasons leave none. */
const drawn: ReadonlySet<string> = new Set(["best", "explore", "probe", "control"])
/** The moving mean of the entropy reaches back over about so many decisions. */
const recentDecisions = 100

/** What is measured of choices. */
const choosing = () => {
  const latency = histogram(
    "conduit_routing_latency_seconds",
    "Time from the parsed request to the choice of a model",
    routingEdges
  )
  const selection = byLabel((model: string) =>
    byLabel((algorithm: string) =>
      counter("conduit_model_selection", "Decisions by chosen model and algorithm", { model, algorithm })
    )
  )
  const decisions = byLabel((reason: string) =>
    counter("conduit_decisions_total", "Decisions by the reason for their choice", { reason })
  )
  const entropy = movingMean()
  return (decision: Decision, seconds: number): void => {
    latency.update(seconds)
    selection(decision.chosen)(decision.policy.algorithm).update(1)
    decisions(decision.reason).update(1)
    if (drawn.has(decision.reason)) entropy(normalisedEntropy(decision.candidates))
  }
}

/** What is measured of answers. */
const answering = () => {
  const firstToken = byLabel((model: ModelId) =>
    histogram("conduit_provider_first_token_seconds", "Time to the first event of a stream", callEdges, { model })
  )
  const fallbacks = byLabel((model: ModelId) =>
    counter("conduit_fallbacks_total", "Requests that another model answered than the chosen one, by the chosen one", {
      model
    })
  )
  const servedByOthers = byLabel((model: ModelId) =>
    counter("conduit_served_by_other_total", "Answers of another model than the one that was asked, by the asked one", {
      model
    })
  )
  const tokens = (direction: "input" | "output") =>
    byLabel((model: ModelId) =>
      counter("conduit_tokens_total", "Tokens of the calls that Conduit made", { model, direction })
    )
  const tokensIn = tokens("input")
  const tokensOut = tokens("output")
  const cost = byLabel((model: ModelId) =>
    counter("conduit_cost_usd_total", "Cost of the calls that Conduit made, USD", { model })
  )
  return ({ chosen }: Decision, { costUsd, details, firstTokenMs, inputTokens, model, ok, outputTokens }: Outcome) => {
    if (details?.servedModel !== undefined) servedByOthers(model).update(1)
    if (ok && model !== chosen) fallbacks(chosen).update(1)
    if (firstTokenMs !== null) firstToken(model).update(firstTokenMs / 1000)
    if (inputTokens !== null) tokensIn(model).update(inputTokens)
    if (outputTokens !== null) tokensOut(model).update(outputTokens)
    if (costUsd !== null) cost(model).update(costUsd)
  }
}

export const make = () => {
  const attempts = byLabel((model: ModelId) =>
    byLabel((outcome: CallResult) =>
      counter("conduit_provider_attempts_total", "Calls to models, by how they ended", { model, outcome })
    )
  )
  const callDuration = byLabel((model: ModelId) =>
    histogram("conduit_provider_latency_seconds", "Whole calls to models that succeeded", callEdges, { model })
  )
  const modelLists = byLabel((provider: string) =>
    byLabel((result: ModelListResult) =>
      counter("conduit_model_list_reads_total", "Lists of models that providers were asked for", { provider, result })
    )
  )
  return {
    decided: choosing(),
    settled: answering(),
    modelListRead: (provider: string, result: ModelListResult) => void modelLists(provider)(result).update(1),
    called: (model: ModelId, result: CallResult, seconds: number) => {
      attempts(model)(result).update(1)
      if (result === "ok") callDuration(model).update(seconds)
    }
  }
}

/** Of the draw's probabilities: 1 if every eligible model is as likely, 0 if one is certain. */
const normalisedEntropy = (candidates: ReadonlyArray<Candidate>): number => {
  let eligible = 0
  let entropy = 0
  for (const { eligible: isEligible, propensity } of candidates) {
    if (isEligible) eligible++
    if (propensity > 0) entropy -= propensity * Math.log(propensity)
  }
  return eligible < 2 ? 0 : entropy / Math.log(eligible)
}

/** In the registry from the first value on: before that there is nothing to tell. */
const movingMean = () => {
  const shown = lazily(() =>
    gauge(
      "conduit_policy_entropy",
      "Entropy of the propensities, 0 (one model is certain) to 1 (all as likely), mean of the last hundred or so draws"
    )
  )
  let seen = 0
  let mean = 0
  return (value: number) => {
    seen = Math.min(seen + 1, recentDecisions)
    mean += (value - mean) / seen
    shown().update(mean)
  }
}
