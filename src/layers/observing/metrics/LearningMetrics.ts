import { storedStatuses } from "../../../domain/learning/Feedback.ts"
import type { ModelId } from "../../../domain/basics/Ids.ts"
import type { Change } from "../../../domain/learning/bandit/Hierarchical.ts"
import type { Signal } from "../../../domain/learning/Signals.ts"
import type { FeedbackAnswer, JudgeResult } from "../../../services/observing/Telemetry.ts"
import { byLabel, counter, gauge, lazily } from "./Series.ts"

const feedbackAnswers: ReadonlyArray<FeedbackAnswer> = [...storedStatuses, "conflict", "not_found", "refused"]

export const make = () => ({ ...makeLog(), ...makeFeedback(), ...makeOwnVerdicts(), ...makeRewards() })

/** Of the log and its fold. */
const makeLog = () => {
  const eventsFolded = counter(
    "conduit_learning_events_folded_total",
    "Events of the learning log folded into the state"
  )
  const recordsDropped = counter(
    "conduit_learning_records_dropped_total",
    "Outcomes dropped because the queue to the database was full"
  )
  const commitsLost = counter(
    "conduit_learning_lost_commits_total",
    "Commits that were folded and that the learning log does not have any more: the database went back"
  )
  const staticFallbacks = counter(
    "conduit_static_fallback_total",
    "Decisions made in the order of the configuration because learning failed"
  )
  const changes = byLabel((series: string) => {
    const [scope = "", direction = "", model = ""] = series.split(" ", 3)
    return counter("conduit_model_changes_total", "Changes of a model's answers that were noticed", {
      model,
      scope,
      direction
    })
  })
  const ofSources = byLabel((series: string) => {
    const [direction = "", source = ""] = series.split(" ", 2)
    return counter("conduit_feedback_source_changes_total", "Changes of who judges, which are none of the models", {
      source,
      direction
    })
  })
  return {
    modelChanged: ({ direction, model, scope, source }: Change) =>
      source === undefined
        ? changes(`${scope} ${direction} ${model}`).update(1)
        : ofSources(`${direction} ${source}`).update(1),
    folded: (events: number) => eventsFolded.update(events),
    dropped: (records: number) => recordsDropped.update(records),
    logRewound: (commits: number) => commitsLost.update(commits),
    fallbackToStatic: () => staticFallbacks.update(1)
  }
}

/** What the service itself says of answers. */
const makeOwnVerdicts = () => {
  const signals = byLabel((signal: Signal) =>
    counter("conduit_signals_total", "What was seen of answers and counts as a judgement", { signal })
  )
  const dropped = counter(
    "conduit_signals_dropped_total",
    "Judgements of the service itself that could not be stored, or had no room"
  )
  const judged = byLabel((result: JudgeResult) =>
    counter("conduit_judge_answers_total", "Answers that the judge was to judge, by what came of it", { result })
  )
  const costUsd = counter("conduit_judge_cost_usd_total", "What judging has cost")
  return {
    signalled: (signal: Signal) => signals(signal).update(1),
    verdictDropped: () => dropped.update(1),
    judgeTold: (result: JudgeResult, cost: number) => {
      judged(result).update(1)
      if (cost > 0) costUsd.update(cost)
    }
  }
}

const makeFeedback = () => {
  const answers = byLabel((status: FeedbackAnswer) =>
    counter("conduit_feedback_total", "Feedback by what it was answered", { status })
  )
  feedbackAnswers.forEach(answers)
  const expired = counter(
    "conduit_feedback_expired_total",
    "Parked feedback that was deleted, as its decision has never appeared: it was never learned"
  )
  const joined = counter("conduit_feedback_joined_total", "Parked feedback that has found its decision")
  let stored = 0
  let found = 0
  const joinRatio = lazily(() =>
    gauge("conduit_feedback_join_ratio", "Share of the feedback stored since the start that has found its decision")
  )
  const shareFound = () => joinRatio().update(Math.min(1, found / Math.max(1, stored)))
  return {
    feedbackAnswered: (answer: FeedbackAnswer) => answers(answer).update(1),
    feedbackStored: (isParked: boolean) => {
      stored++
      if (!isParked) found++
      shareFound()
    },
    feedbackExpired: (count: number) => expired.update(count),
    feedbackJoined: (count: number) => {
      joined.update(count)
      found += count
      shareFound()
    }
  }
}

/** What decisions expected of the models that they chose, and what came of it. */
const makeRewards = () => {
  const judgements = byLabel((model: ModelId) =>
    counter("conduit_reward_judgements_total", "Decisions that were judged, by the model that answered", { model })
  )
  const predicted = byLabel((model: ModelId) =>
    counter("conduit_reward_predicted_sum_total", "Sum of the rewards that judged decisions expected", { model })
  )
  const realised = byLabel((model: ModelId) =>
    counter("conduit_reward_realised_sum_total", "Sum of the rewards of judged decisions", { model })
  )
  return {
    judged: (model: ModelId, expected: number, worth: number) => {
      judgements(model).update(1)
      predicted(model).update(expected)
      realised(model).update(worth)
    }
  }
}
