import * as Schema from "effect/Schema"

// Every field has its definition: a number that nobody can define misleads. A test sees to it.

const number = (description: string) => Schema.Number.annotations({ description })
const text = (description: string) => Schema.String.annotations({ description })
const nullable = <A, I>(schema: Schema.Schema<A, I>, description: string) =>
  Schema.NullOr(schema).annotations({ description })

const percentiles = (description: string) =>
  nullable(
    Schema.Struct({
      p50: number("The median."),
      p90: number("Nine in ten are not above it; between two values it is interpolated."),
      p95: number("As `p90`, for 95 in 100."),
      p99: number("As `p90`, for 99 in 100.")
    }),
    description
  )

const mean = (description: string) =>
  nullable(
    Schema.Struct({
      mean: number("The arithmetic mean."),
      low: nullable(
        Schema.Number,
        "Lower end of the 95 % interval by Student's t, as if decisions were independent; null for fewer than 4."
      ),
      high: nullable(Schema.Number, "Its upper end."),
      sd: nullable(Schema.Number, "The standard deviation of the values; null for fewer than 2."),
      count: number("How many decisions the mean is of.")
    }),
    description
  )

const Figures = {
  requests: number("Decisions, of `/v1/route` too."),
  answered: number("Those that a model answered to the end, or that were reported as such by `/v1/outcomes`."),
  failed: number("Those that no model answered, after all fallbacks."),
  aborted: number("Those that were cut off: the client left, or the service was shutting down."),
  refused: number("Those that the model, or a filter, declined to answer: neither answered nor failed."),
  empty: number("Those whose last model said nothing: no text, no call, no refusal."),
  pending: number("Decisions of `/v1/route` whose outcome nobody reported yet."),
  fallbacks: number("Those whose last called model was not the chosen one."),
  exploration_share: nullable(
    Schema.Number,
    "Share of the requests for which another model than the one with the best expected score was drawn, or the control slice was. Null without requests."
  ),
  input_tokens: number("Sum over the requests that have it; the model's own count."),
  output_tokens: number("Sum over the requests that have it; for a stream without usage an estimate."),
  cost_usd: number("USD, sum over the requests whose cost is known."),
  cost_known: number("For how many requests the cost is known; of those reported by `/v1/outcomes` it is not."),
  latency_ms: percentiles(
    "Of answered requests whose time is known: the whole call of the model that answered. Counted in bins that are 9 % wide, so a percentile is within that of the true one. Null if there is none."
  ),
  first_token_ms: percentiles("The same of answered streams, until the first token. Null if there is none."),
  judged: number("Answered requests with feedback that says something about quality."),
  feedback_coverage: nullable(
    Schema.Struct({
      value: number("`judged` divided by `answered` and `refused` together."),
      low: number("Lower end of its 95 % interval, by Wilson."),
      high: number("Its upper end.")
    }),
    "Share of the answered requests that are judged. Quality is learned from these alone. Null if none was answered."
  ),
  quality: mean(
    "Of judged answers, [0, 1]: all feedback on a decision counts as one. Null if none is judged. Feedback that is parked counts once its decision has joined it."
  ),
  reward: mean(
    "Mean of the `reward` that `GET /v1/decisions` shows, over the decisions that have one: judged answers, by the weights of their request, and failures, which are 0. Costs are measured with the reference of the time of the decision (the usual price of the models then), so that past rewards stay what they were when prices change; `GET /v1/decisions` uses today's. As a failure needs no judge, few judgements make failures weigh more than they happen. Null if no decision has one."
  )
}

const estimate = (description: string) =>
  Schema.Struct({
    value: nullable(Schema.Number, "The estimate; null where the evidence is too little."),
    low: nullable(
      Schema.Number,
      "Lower end of the 95 % interval: a jackknife over 32 groups of requests, a session being in one group. The log is of a policy that learns, which makes such intervals slightly too short."
    ),
    high: nullable(Schema.Number, "Its upper end."),
    reason: nullable(Schema.String, "Why there is no estimate; null if there is one.")
  }).annotations({ description })

const comparison = (description: string) =>
  Schema.Struct({
    model: nullable(Schema.String, "The model that is compared with; null if there is none."),
    requests: number(
      "How many requests were compared: routed, not pinned, answered or failed, and the model was eligible. Estimated where only a sample was looked at."
    ),
    saved_usd: estimate(
      "USD that the compared requests would have cost more with this model for all of them; below 0 it would have been cheaper. Of answered requests with a known cost. A request that the model answered counts at its real cost, any other one at the cost that was predicted when it was decided, times the ratio of real to predicted cost of the answers for which the model was drawn; these are weighted by the odds of another draw, which makes them stand for what others answered. Needs 30 such answers that are worth 10 of equal weight."
    ),
    saved_share: estimate("The same as a share of what this model would have cost."),
    predicted_saved_usd: nullable(
      Schema.Number,
      "USD saved if the costs that were predicted when deciding are right: a guess, without interval, and from the first request on. `saved_usd` corrects it by what came. Null where no cost is known."
    ),
    quality_gain: estimate(
      "Mean quality of what was answered, minus the mean quality with this model for all compared requests; a failure is 0. Above 0 routing is better. The model's is estimated off-policy, doubly robust: the quality that was predicted for it, corrected by what came where it was drawn first, weighted by one over the propensity, normalised. Unjudged answers are taken to be like judged ones of the same model, and the later requests of a session, which are not drawn, like its first. Needs 30 such judged draws that are worth 100 of equal weight, and that no more than 5 % of the compared requests were answered by models of which no answer is judged."
    ),
    reward_gain: estimate("The same for the reward, whose weights are each request's own.")
  }).annotations({ description })

/** Whole, because it is a table: one row a member. */
export const StatsAnswer = Schema.Struct({
  object: Schema.Literal("stats").annotations({ description: "What this is." }),
  window: Schema.Struct({
    from: text("Decisions made at this time or later."),
    until: text("Decisions made before this time."),
    step_seconds: number("How long a step of `over_time` is.")
  }).annotations({ description: "Which decisions are added up: the asking key's, of all replicas, as far as stored." }),
  totals: Schema.Struct(Figures).annotations({ description: "All of them." }),
  by_model: Schema.Array(
    Schema.Struct({
      model: text("The model that answered, or was called last; the chosen one while no outcome is known."),
      ...Figures
    })
  ).annotations({ description: "By model, most requests first, at most 50." }),
  by_task: Schema.Array(
    Schema.Struct({ task: nullable(Schema.String, "As the requests said; null if they did not."), ...Figures })
  ).annotations({ description: "By task, most requests first, at most 50." }),
  other_tasks: nullable(
    Schema.Struct({ tasks: number("How many tasks."), requests: number("How many requests they had together.") }),
    "The tasks that `by_task` has no room for; null if it has all."
  ),
  over_time: Schema.Array(
    Schema.Struct({
      from: text("When the step begins; the first one begins with the window."),
      ...Figures
    })
  ).annotations({
    description:
      "By time, in steps of `interval`, or else at most 100 of a round length, in UTC; steps without requests are left out."
  }),
  groups: nullable(
    Schema.Array(
      Schema.Struct({
        from: Schema.optionalWith(text("When the step begins; only by `step`, `hour` or `day`."), { exact: true }),
        model: Schema.optionalWith(text("The model that answered, as in `by_model`; only by `model`."), {
          exact: true
        }),
        task: Schema.optionalWith(
          nullable(Schema.String, "The task, null for requests that named none; only by `task`."),
          { exact: true }
        ),
        ...Figures
      })
    ),
    "One for each combination that `group_by` asks for and that has requests: the oldest step first, in it most requests first, at most 1,000. Null without `group_by`."
  ),
  other_groups: number("How many more combinations there are than `groups` has room for."),
  errors: Schema.Array(
    Schema.Struct({
      model: text("The model that was called last."),
      reason: nullable(Schema.String, "Its typed reason, or what `/v1/outcomes` reported; null if that said nothing."),
      count: number("How many requests.")
    })
  ).annotations({ description: "Why requests failed, most frequent first, at most 50 kinds." }),
  savings: nullable(
    Schema.Struct({
      sampled: number(
        "Share of the requests that the savings are estimated from, (0, 1]: of many requests a random part. Intervals allow for it."
      ),
      against_best: comparison(
        "Against always the best model: the highest estimated quality among models that were eligible for at least half of the requests and whose quality is known, as `quality_gain` says. Where only one of several is known, it is the model whose quality was predicted to be the highest: then `unknown` names others, and `quality_gain` has no value but the reason. The best of several estimates tends to be a lucky one."
      ),
      against_dearest: comparison(
        "Against always the dearest model: the highest expected cost among models that were eligible for at least half of the requests."
      ),
      unknown: Schema.Array(Schema.String).annotations({
        description: "Models whose quality is not known, so that one of them may be better than the best."
      })
    }),
    "What routing saved. Null when `model` is given, as what one model answered says nothing about the choice, and with `savings=false`."
  )
}).annotations({
  identifier: "Stats",
  description: "Decisions added up. Everything comes from stored rows, so all replicas answer alike."
})
export type StatsAnswer = typeof StatsAnswer.Type
