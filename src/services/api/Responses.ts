import * as Schema from "effect/Schema"
import { optional } from "./Fields.ts"
import { outcomeKinds } from "../../domain/routing/Outcome.ts"
import { storedStatuses } from "../../domain/learning/Feedback.ts"
import { circuitStates } from "../../domain/routing/CircuitState.ts"

/** The one shape of every error, OpenAI's. */
export const ErrorEnvelope = Schema.Struct({
  error: Schema.Struct({
    message: Schema.String,
    type: Schema.String.annotations({ description: "OpenAI's error type, as invalid_request_error." }),
    code: Schema.String.annotations({ description: "Stable, for programs." }),
    param: Schema.NullOr(Schema.String).annotations({ description: "The path of what is wrong in the request." }),
    request_id: Schema.String,
    details: Schema.optionalWith(Schema.Unknown, { exact: true })
  })
}).annotations({ identifier: "Error" })
export type ErrorEnvelope = typeof ErrorEnvelope.Type

/** What else a model says goes to the client untouched. */
const open = Schema.Record({ key: Schema.String, value: Schema.Unknown })
const ToolCall = Schema.Struct(
  {
    id: Schema.String,
    type: Schema.String,
    function: Schema.Struct({ name: Schema.String, arguments: Schema.String }, open)
  },
  open
).annotations({ identifier: "ToolCall" })
const Tokens = Schema.Struct(
  { prompt_tokens: Schema.Int, completion_tokens: Schema.Int, total_tokens: Schema.Int },
  open
).annotations({ identifier: "Usage" })
const finishReason = Schema.NullOr(Schema.String).annotations({
  description: "`stop`, `length`, `tool_calls`, `content_filter` or `function_call`."
})

/** OpenAI's `chat.completion` as the model sent it; `model` is the id of the model that answered. */
export const ChatCompletion = Schema.Struct(
  {
    id: Schema.String,
    object: Schema.Literal("chat.completion"),
    created: Schema.Int.annotations({ description: "Unix time, seconds." }),
    model: Schema.String.annotations({ description: "The id of the model that answered." }),
    choices: Schema.Array(
      Schema.Struct(
        {
          index: Schema.Int,
          message: Schema.Struct(
            {
              role: Schema.String,
              content: optional(Schema.NullOr(Schema.String)),
              refusal: optional(Schema.NullOr(Schema.String)),
              tool_calls: optional(Schema.NullOr(Schema.Array(ToolCall)))
            },
            open
          ),
          finish_reason: finishReason
        },
        open
      )
    ),
    usage: optional(Schema.NullOr(Tokens))
  },
  open
).annotations({ identifier: "ChatCompletion", description: "OpenAI's." })

/** OpenAI's `chat.completion.chunk`, an event of a stream. */
export const ChatCompletionChunk = Schema.Struct(
  {
    id: Schema.String,
    object: Schema.Literal("chat.completion.chunk"),
    created: Schema.Int,
    model: Schema.String,
    choices: Schema.Array(
      Schema.Struct(
        {
          index: Schema.Int,
          delta: Schema.Struct(
            {
              role: optional(Schema.String),
              content: optional(Schema.NullOr(Schema.String)),
              tool_calls: optional(Schema.NullOr(Schema.Array(Schema.Struct({ index: Schema.Int }, open))))
            },
            open
          ),
          finish_reason: optional(finishReason)
        },
        open
      )
    ),
    usage: optional(Schema.NullOr(Tokens))
  },
  open
).annotations({
  identifier: "ChatCompletionChunk",
  description: "OpenAI's; the last one may have usage and no choice."
})

/** OpenAI's `response`. */
export const ResponseObject = Schema.Struct(
  {
    id: Schema.String.annotations({ description: "`resp_` and the id of the decision: feedback takes either." }),
    object: Schema.Literal("response"),
    created_at: Schema.Int.annotations({ description: "Unix time, seconds." }),
    status: Schema.Literal("completed", "incomplete", "in_progress", "failed"),
    model: Schema.String.annotations({ description: "The id of the model that answered." }),
    output: Schema.Array(Schema.Struct({ type: Schema.String }, open)),
    usage: Schema.NullOr(
      Schema.Struct({ input_tokens: Schema.Int, output_tokens: Schema.Int, total_tokens: Schema.Int }, open)
    )
  },
  open
).annotations({ identifier: "Response", description: "OpenAI's, complete." })

/** OpenAI's list of embeddings. */
export const EmbeddingList = Schema.Struct(
  {
    id: Schema.String,
    object: Schema.Literal("list"),
    model: Schema.String.annotations({ description: "The id of the model that answered." }),
    data: Schema.Array(
      Schema.Struct(
        {
          embedding: Schema.Union(Schema.Array(Schema.Number), Schema.String).annotations({
            description: "Numbers, or float32 in little endian as base64, as it was asked for."
          })
        },
        open
      )
    ),
    usage: optional(Schema.NullOr(Schema.Struct({ prompt_tokens: Schema.Int, total_tokens: Schema.Int }, open)))
  },
  open
).annotations({ identifier: "EmbeddingList", description: "OpenAI's." })

/** OpenAI's `text_completion`. */
export const TextCompletion = Schema.Struct(
  {
    id: Schema.String,
    object: Schema.Literal("text_completion"),
    created: Schema.Int.annotations({ description: "Unix time, seconds." }),
    model: Schema.String.annotations({ description: "The id of the model that answered." }),
    choices: Schema.Array(
      Schema.Struct(
        { index: Schema.Int, text: Schema.String, logprobs: Schema.Null, finish_reason: finishReason },
        open
      )
    ),
    usage: optional(Schema.NullOr(Tokens))
  },
  open
).annotations({ identifier: "TextCompletion", description: "OpenAI's." })

export const CompleteAnswer = Schema.Struct({
  id: Schema.String,
  decision_id: Schema.String,
  model: Schema.String,
  content: Schema.NullOr(Schema.String),
  usage: Schema.NullOr(
    Schema.Struct({ prompt_tokens: Schema.Number, completion_tokens: Schema.Number, total_tokens: Schema.Number })
  ),
  cost_usd: Schema.NullOr(Schema.Number),
  latency_ms: Schema.Number
}).annotations({ identifier: "CompleteAnswer" })
export type CompleteAnswer = typeof CompleteAnswer.Type

export const OutcomeAnswer = Schema.Struct({
  decision_id: Schema.String,
  status: Schema.Literal("recorded")
}).annotations({ identifier: "OutcomeAnswer" })
export type OutcomeAnswer = typeof OutcomeAnswer.Type

const feedbackStatus = Schema.Literal(...storedStatuses).annotations({
  description: "All are durable; parked feedback waits for its decision, which another replica is about to store."
})

export const FeedbackAnswer = Schema.Struct({
  id: Schema.String,
  decision_id: Schema.String,
  status: feedbackStatus
}).annotations({ identifier: "FeedbackAnswer" })
export type FeedbackAnswer = typeof FeedbackAnswer.Type

export const SessionFeedbackAnswer = Schema.Struct({
  id: Schema.String.annotations({ description: "Of the newest decision's feedback." }),
  session_id: Schema.String,
  decision_ids: Schema.Array(Schema.String).annotations({ description: "Whom it was credited to, newest first." }),
  status: feedbackStatus
}).annotations({ identifier: "SessionFeedbackAnswer" })
export type SessionFeedbackAnswer = typeof SessionFeedbackAnswer.Type

const nullableNumber = Schema.NullOr(Schema.Number)
const nullableString = Schema.NullOr(Schema.String)

const qualityFields = {
  mean: Schema.Number,
  low: Schema.Number,
  high: Schema.Number,
  observations: Schema.Number.annotations({ description: "Judged answers, by weight." })
}

const ChangeEntry = Schema.Struct({
  direction: Schema.Literal("down", "up", "back"),
  scope: Schema.Literal("model", "task", "unlabelled").annotations({
    description: "All of its answers, those to one task, or those to requests without a task."
  }),
  task: nullableString,
  position: Schema.Number.annotations({ description: "Log position at which every replica noticed it." }),
  since: Schema.Number.annotations({ description: "Log position at which it began." }),
  answers: nullableNumber.annotations({ description: "Judged answers since; null for a return." }),
  before: nullableNumber.annotations({ description: "What they were expected to be on average." }),
  after: nullableNumber.annotations({ description: "What they were on average." }),
  evidence: Schema.Number.annotations({
    description: "One in so many is the chance to see this although nothing changed."
  }),
  verdict: Schema.NullOr(
    Schema.Struct({
      verdict: Schema.Literal("confirm", "dismiss"),
      by: Schema.String,
      position: Schema.Number.annotations({ description: "Log position from which it holds." })
    })
  ).annotations({ description: "What an operator said about it by `conduit models confirm` or `dismiss`." })
}).annotations({ identifier: "ModelChange" })

const Ability = Schema.Struct({
  can: Schema.Boolean,
  source: Schema.Literal("configuration", "upstream", "families", "refusal", "protocol").annotations({
    description: "`refusal`: the model refused it lately, and another one answered."
  })
})

const ParamsEntry = Schema.Struct({
  reasoning_effort: optional(Schema.String),
  max_tokens: optional(Schema.Number),
  temperature: optional(Schema.Number),
  verbosity: optional(Schema.String)
}).annotations({ identifier: "ModelParams" })

const LimitSourceName = Schema.NullOr(Schema.Literal("configuration", "upstream", "families", "prices")).annotations({
  description:
    "Who says it: the configuration, the list of its provider, the table of families or the catalogue of prices; null if nobody does."
})

const RetirementEntry = Schema.Struct({
  state: Schema.Literal("deprecated", "retired"),
  at: nullableString.annotations({ description: "Since when, or from when on." }),
  replacement: nullableString.annotations({ description: "What its provider recommends instead." })
}).annotations({ identifier: "Retirement" })

export const ModelEntry = Schema.Struct({
  id: Schema.String,
  object: Schema.Literal("model"),
  created: Schema.Number.annotations({ description: "Unix time in seconds at which this service knew the model." }),
  owned_by: Schema.String,
  context_length: nullableNumber.annotations({ description: "Tokens of prompt and answer; of `auto`, the most." }),
  max_output_tokens: nullableNumber,
  conduit: Schema.Struct({
    provider: Schema.String,
    upstream: nullableString,
    alias_for: Schema.NullOr(Schema.Array(Schema.String)).annotations({
      description: "Of an alias: the model that it stands for, or those among which is chosen. Null for what is none."
    }),
    available: Schema.Boolean,
    reason: nullableString.annotations({ description: "Why it is not available." }),
    simulated: Schema.Boolean,
    input_usd_per_mtok: nullableNumber,
    output_usd_per_mtok: nullableNumber,
    price_source: nullableString,
    context_window: nullableNumber.annotations({ description: "Of `auto`, the largest that can be served." }),
    smallest_context_window: nullableNumber.annotations({ description: "Of `auto` only." }),
    context_window_source: LimitSourceName,
    max_output_tokens_source: LimitSourceName,
    retirement: Schema.NullOr(RetirementEntry).annotations({
      description: "Its end, as its provider announces it. One that is retired is left out unless no other is left."
    }),
    embeddings: Schema.NullOr(Schema.Struct({ space: Schema.String })).annotations({
      description: "Of a model that makes vectors: those of one space can be compared. Null for one that chats."
    }),
    capabilities: Schema.Record({ key: Schema.String, value: Ability }).annotations({
      description: "What the model can do, as far as anybody says; what is not here is not known."
    }),
    dialect: Schema.Record({ key: Schema.String, value: nullableString }).annotations({
      description: "Fields of a request that the model spells differently; null is left out."
    }),
    params: ParamsEntry.annotations({
      description: "What the model is asked where the caller does not say, by OpenAI's names."
    }),
    quality: Schema.NullOr(Schema.Struct(qualityFields)).annotations({
      description: "Of requests without a task, learned from judged answers, with the central 90 % interval."
    }),
    tasks: Schema.Array(
      Schema.Struct({ task: Schema.String, ...qualityFields }).annotations({ identifier: "TaskQuality" })
    ).annotations({ description: "The same for each task label in which answers of this model were judged." }),
    changed: Schema.NullOr(ChangeEntry).annotations({
      description: "The newest change of its answers that was noticed; null if there was none."
    }),
    success_rate: nullableNumber,
    output_tokens: Schema.NullOr(Schema.Struct({ mean: Schema.Number })),
    latency_seconds: Schema.NullOr(Schema.Struct({ mean: Schema.Number })),
    share: nullableNumber.annotations({ description: "Share of the recent decisions." }),
    circuit: Schema.NullOr(Schema.Literal(...circuitStates))
  })
}).annotations({
  identifier: "Model",
  description: "`auto` is an entry too, and so are aliases; what has no meaning for them is null."
})
export type ModelEntry = typeof ModelEntry.Type

export const ModelList = Schema.Struct({
  object: Schema.Literal("list"),
  data: Schema.Array(ModelEntry)
}).annotations({ identifier: "ModelList" })
export type ModelList = typeof ModelList.Type

const CandidateEntry = Schema.Struct({
  model: Schema.String,
  params: optional(
    ParamsEntry.annotations({ description: "What its entry asks of it today, where it asks something." })
  ),
  eligible: Schema.Boolean,
  excluded_by: nullableString,
  quality: Schema.Number,
  quality_sd: Schema.Number,
  cost_usd: nullableNumber,
  conversation_cost_usd: Schema.optionalWith(
    nullableNumber.annotations({
      description:
        "Where turns of a session are weighed (`policy.sessions`): what a turn is expected to cost on average over this one, as it will be charged with what is cached, and those to come, if this model goes on."
    }),
    { exact: true }
  ),
  latency_seconds: Schema.Number,
  score: Schema.Number.annotations({ description: "As it was drawn: what was expected, and chance." }),
  parts: Schema.Struct({ quality: Schema.Number, cost: Schema.Number, latency: Schema.Number }).annotations({
    description:
      "What quality, cost and latency were expected to add to the score: each by its weight, the cost measured with today's reference."
  }),
  propensity: Schema.Number
})

const OutcomeEntry = Schema.Struct({
  kind: Schema.Literal(...outcomeKinds).annotations({
    description:
      "`refused`: the model, or a filter, declined to answer, which is neither success nor failure. `empty`: the last model said nothing."
  }),
  ok: Schema.Boolean,
  aborted: Schema.Boolean,
  finish_reason: nullableString,
  input_tokens: nullableNumber.annotations({
    description: "Null if the model did not say; see `usage_estimated`."
  }),
  output_tokens: nullableNumber,
  cost_usd: nullableNumber,
  latency_ms: nullableNumber.annotations({ description: "Null if `/v1/outcomes` did not say." }),
  first_token_ms: nullableNumber,
  error: nullableString,
  usage_estimated: Schema.Boolean.annotations({
    description: "Nobody counted: `output_tokens` and `cost_usd` are estimates, and `input_tokens` is null."
  }),
  cached_tokens: nullableNumber.annotations({ description: "Of `input_tokens`, read from the provider's cache." }),
  written_tokens: nullableNumber.annotations({ description: "Of `input_tokens`, written to it." }),
  reasoning_tokens: nullableNumber.annotations({ description: "Of `output_tokens`." }),
  price_source: nullableString.annotations({ description: "Where the price stood; null is the configuration." }),
  cache_price_assumed: Schema.Boolean.annotations({
    description: "Cached tokens cost what fresh ones do, because nobody stated their price."
  }),
  service_tier: nullableString.annotations({
    description: "In which its provider served it (`flex`, `priority`), where that is not the standard one."
  }),
  service_tier_price_assumed: Schema.Boolean.annotations({
    description: "It costs what the standard tier does, because nobody stated the price of its own."
  }),
  served_model: nullableString.annotations({
    description: "The model that answered, as its provider calls it, where that is another than the one asked."
  }),
  upstream_request_id: nullableString.annotations({ description: "By which the provider knows the call." }),
  params: ParamsEntry.annotations({
    description: "What the model's entry asked of it, where the caller had left it open."
  })
})

const FeedbackEntry = Schema.Struct({
  id: Schema.String,
  kind: Schema.String,
  value: Schema.Union(Schema.Number, Schema.Boolean, Schema.String),
  confidence: Schema.Number,
  comment: nullableString,
  source: Schema.String,
  created_at: Schema.String,
  superseded_by: nullableString
})

export const DecisionEntry = Schema.Struct({
  id: Schema.String,
  created_at: Schema.String,
  router_id: Schema.String,
  policy: Schema.Struct({ algorithm: Schema.String, version: Schema.String, position: Schema.Number }),
  pacing: optional(
    Schema.Struct({
      multiplier: Schema.Number.annotations({ description: "What a cost of `budget_usd` took off a score." }),
      budget_usd: Schema.Number.annotations({ description: "What a request may cost on average for now." })
    }).annotations({
      description: "Where a budget of the key or of the router is paced; it is in the candidates' `parts.cost`."
    })
  ),
  request: Schema.Struct({
    task: nullableString,
    preference: Schema.String,
    weights: Schema.Struct({ quality: Schema.Number, cost: Schema.Number, latency: Schema.Number }),
    constraints: Schema.Record({ key: Schema.String, value: Schema.Unknown }),
    asked_model: nullableString.annotations({ description: "The name that was asked for, where it is an alias." }),
    user_id: nullableString,
    session_id: nullableString,
    stream: Schema.Boolean,
    input_tokens: Schema.Number,
    max_tokens: nullableNumber,
    features_version: Schema.String
  }),
  candidates: Schema.Array(CandidateEntry),
  chosen: Schema.String.annotations({ description: "The model that answered; `attempts` keeps the first choice." }),
  propensity: Schema.Number.annotations({ description: "Probability of the first choice." }),
  reason: Schema.String,
  exploration: Schema.Boolean,
  seed: Schema.String,
  attempts: Schema.Array(
    Schema.Struct({
      model: Schema.String,
      ok: Schema.Boolean,
      status: nullableNumber,
      latency_ms: Schema.Number,
      error: nullableString
    })
  ),
  outcome: Schema.NullOr(OutcomeEntry),
  feedback: Schema.Array(FeedbackEntry),
  reward: nullableNumber,
  prompt: Schema.optionalWith(Schema.String, { exact: true }).annotations({
    description: "Only where prompts are stored, and until they are forgotten."
  })
}).annotations({ identifier: "Decision", description: "One routing choice, complete enough to replay it." })
export type DecisionEntry = typeof DecisionEntry.Type

export const DecisionList = Schema.Struct({
  object: Schema.Literal("list"),
  data: Schema.Array(DecisionEntry),
  next_cursor: nullableString.annotations({ description: "Opaque: `cursor` of the next page; null on the last one." })
}).annotations({ identifier: "DecisionList" })
export type DecisionList = typeof DecisionList.Type

/** Anthropic's, as its model or a translation made it; events of a stream are not described. */
export const AnthropicMessage = Schema.Struct(
  {
    id: Schema.String.annotations({ description: "Feedback may name it instead of the decision." }),
    type: Schema.Literal("message"),
    role: Schema.Literal("assistant"),
    model: Schema.String.annotations({ description: "The model that answered." }),
    content: Schema.Array(Schema.Struct({ type: Schema.String }, open)),
    stop_reason: Schema.NullOr(Schema.String),
    usage: Schema.Struct({ input_tokens: Schema.Number, output_tokens: Schema.Number }, open)
  },
  open
).annotations({ identifier: "AnthropicMessageAnswer" })

/** Google's, as its model or a translation made it; a stream has pieces of the same form. */
export const GenerateContentAnswer = Schema.Struct(
  {
    candidates: Schema.optional(Schema.Array(Schema.Struct({ finishReason: Schema.optional(Schema.String) }, open))),
    usageMetadata: Schema.optional(
      Schema.Struct({ promptTokenCount: Schema.Number, totalTokenCount: Schema.Number }, open)
    ),
    modelVersion: Schema.String.annotations({ description: "The model that answered." }),
    responseId: Schema.String.annotations({ description: "Feedback may name it instead of the decision." })
  },
  open
).annotations({ identifier: "GenerateContentAnswer" })

export const ContentTokens = Schema.Struct({ totalTokens: Schema.Number }).annotations({ identifier: "ContentTokens" })

const GoogleModelEntry = Schema.Struct(
  { name: Schema.String, inputTokenLimit: Schema.optional(Schema.Number), conduit: Schema.Struct({}, open) },
  open
).annotations({ identifier: "GoogleModel" })
export const GoogleModel = GoogleModelEntry
export const GoogleModels = Schema.Struct({ models: Schema.Array(GoogleModelEntry) }).annotations({
  identifier: "GoogleModels"
})

/** What Google's clients read of an error; our own code is the reason among its details. */
export const GoogleError = Schema.Struct({
  error: Schema.Struct(
    { code: Schema.Number, message: Schema.String, status: Schema.String, details: Schema.Array(open) },
    open
  )
}).annotations({ identifier: "GoogleError" })

export const TokenCount = Schema.Struct({ input_tokens: Schema.Number }).annotations({ identifier: "TokenCount" })

/** What Anthropic's clients read of an error; what it has besides says the same as `ErrorEnvelope`. */
export const AnthropicError = Schema.Struct({
  type: Schema.Literal("error"),
  error: Schema.Struct({ type: Schema.String, message: Schema.String, code: Schema.String }, open),
  request_id: Schema.String
}).annotations({ identifier: "AnthropicError" })
