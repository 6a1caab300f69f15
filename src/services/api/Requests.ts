import * as Schema from "effect/Schema"
import { type FeedbackKind, feedbackKinds } from "../../domain/learning/Feedback.ts"
import { preferenceNames } from "../../domain/routing/Weights.ts"
import { anObject, described, optional, says, storedText } from "./Fields.ts"

const between = (low: number, high: number) =>
  Schema.JsonNumber.pipe(Schema.between(low, high)).annotations(says(`must be a number from ${low} to ${high}`))

const maxInt = 2_147_483_647
const tokens = (low: 0 | 1) =>
  Schema.Int.pipe(Schema.between(low, maxInt)).annotations(says(`must be a whole number from ${low} to ${maxInt}`))

const positive = Schema.JsonNumber.pipe(Schema.greaterThan(0)).annotations(says("must be a number above 0"))
const nonNegative = Schema.JsonNumber.pipe(Schema.nonNegative()).annotations(says("must be a number of at least 0"))
const flag = Schema.Boolean.annotations(says("must be true or false"))

/** Anything else: it goes to the model untouched. */
const open = Schema.Record({ key: Schema.String, value: Schema.Unknown })

const PreferenceName = Schema.Literal(...preferenceNames).annotations({
  ...says(`must be one of ${preferenceNames.join(", ")}`)
})

export const Constraints = Schema.Struct({
  max_cost_usd: described(nonNegative, "Upper bound on the expected cost of the request in USD."),
  max_latency_ms: described(
    positive,
    "Upper bound on the expected latency; of the first token where the answer is streamed."
  ),
  min_quality: described(between(0, 1), "Lower bound on the predicted quality."),
  allowed_models: described(
    Schema.Array(Schema.String).pipe(Schema.minItems(1, { message: () => "must name at least one model" })),
    "Only these models."
  ),
  provider: described(Schema.String, "Only models of this provider.")
}).annotations({
  ...anObject,
  identifier: "Constraints",
  description: "What the chosen model must satisfy: applied before the choice. If no model does, the answer is 422."
})

// Rules about which members there are go into the JSON Schema by `if` and `not`: an object with `anyOf` or `oneOf` beside its
// properties is a union to generators of clients, of members without names.

export const WeightsInput = Schema.Struct({
  quality: optional(between(0, 1)),
  cost: optional(between(0, 1)),
  latency: optional(between(0, 1))
})
  .annotations(anObject)
  .pipe(
    Schema.filter(
      (w) => (w.quality ?? 0) + (w.cost ?? 0) + (w.latency ?? 0) > 0 || "at least one weight must be above 0",
      {
        jsonSchema: {
          not: {
            properties: Object.fromEntries(["quality", "cost", "latency"].map((name) => [name, { maximum: 0 }]))
          }
        }
      }
    )
  )
  .annotations({
    identifier: "Weights",
    description: "What counts, instead of a preference; a missing weight is 0. Normalised to sum 1."
  })

const optionFields = {
  task: described(storedText(64), "The caller's own name for the kind of request; beats any text feature."),
  preference: described(PreferenceName, "What to weigh: the default is the policy's."),
  weights: optional(WeightsInput),
  constraints: optional(Constraints),
  user_id: described(storedText(256), "Who asks, for the audit."),
  session_id: described(
    storedText(256),
    "Requests of one session keep their model while it works. Without it, the marks that clients send (`x-session-id`, `prompt_cache_key`, ...), the tool call whose result is brought, and the first messages say which conversation goes on."
  ),
  fallback: described(flag, "Whether a model named in `model` may fall back to another one; false by default.")
}

/** The `conduit` object of a request; never sent upstream. */
export const ConduitOptions = Schema.Struct(optionFields).annotations({ ...anObject, identifier: "ConduitOptions" })
export type ConduitOptions = typeof ConduitOptions.Type

const numberText = Schema.NumberFromString.pipe(Schema.finite()).annotations(says("must be a number"))

const numberHeader = (schema: Schema.Schema<number>, range: object) =>
  optional(numberText.pipe(Schema.compose(schema)).annotations({ jsonSchema: { type: "number", ...range } }))

/** The same for clients that cannot extend the body; where both say something, the body wins. */
export const ConduitHeaders = Schema.Struct({
  "x-conduit-task": optionFields.task,
  "x-conduit-preference": optionFields.preference,
  "x-conduit-user-id": optionFields.user_id,
  "x-conduit-session-id": optionFields.session_id,
  "x-conduit-fallback": optional(
    Schema.BooleanFromString.annotations({ ...says("must be true or false"), jsonSchema: { type: "boolean" } })
  ),
  "x-conduit-max-cost-usd": numberHeader(nonNegative, { minimum: 0 }),
  "x-conduit-max-latency-ms": numberHeader(positive, { exclusiveMinimum: 0 }),
  "x-conduit-min-quality": numberHeader(between(0, 1), { minimum: 0, maximum: 1 }),
  "x-conduit-allowed-models": described(Schema.String, "Comma separated."),
  "x-conduit-provider": optional(Schema.String)
})

const TextPart = Schema.Struct({ type: Schema.String }, open)
const Message = Schema.Struct(
  {
    role: Schema.String.annotations(says("must be a string")),
    content: optional(
      Schema.NullOr(Schema.Union(Schema.String, Schema.Array(TextPart))).annotations({
        ...says("must be a string, a list of parts, or null")
      })
    )
  },
  open
).annotations({ identifier: "Message" })

const messages = Schema.Array(Message).pipe(Schema.minItems(1, { message: () => "must not be empty" }))
const model = described(
  Schema.NullOr(Schema.String).annotations(says("must be a string")),
  "`auto` (the default) lets Conduit choose; a model's id pins it."
)
const maxTokens = optional(
  Schema.NullOr(Schema.Union(tokens(1), Schema.Literal(-1))).annotations({
    ...says("must be a whole number above 0, or -1 for no limit"),
    description: "-1 is no limit, and is not sent to the model."
  })
)
const stream = optional(Schema.NullOr(flag).annotations(says("must be true or false")))

export const ChatRequest = Schema.Struct(
  {
    model,
    messages,
    stream,
    max_tokens: maxTokens,
    max_completion_tokens: maxTokens,
    conduit: optional(ConduitOptions)
  },
  open
).annotations({
  identifier: "ChatRequest",
  description: "An OpenAI chat request. Tools, response_format, images and unknown fields go to the model untouched."
})
export type ChatRequest = typeof ChatRequest.Type

export const ResponsesRequest = Schema.Struct(
  {
    model,
    input: optional(
      Schema.NullOr(
        Schema.Union(Schema.String, Schema.Array(Schema.Struct({}, open))).annotations(
          says("must be a string or a list of items")
        )
      ).annotations(says("must be a string or a list of items"))
    ),
    stream,
    max_output_tokens: optional(
      Schema.NullOr(tokens(1)).annotations({ ...says("must be a whole number above 0, or null") })
    ),
    conduit: optional(ConduitOptions)
  },
  open
).annotations({
  identifier: "ResponsesRequest",
  description:
    "OpenAI's, with the whole conversation in `input`. `previous_response_id`, `conversation`, `background` and `prompt` go to a model that is named and whose provider is of `kind: openai-responses`, which keeps them; without one they are refused. A `previous_response_id` goes to the provider that answered it."
})

const TokenId = tokens(0)
export const EmbeddingsRequest = Schema.Struct(
  {
    model: described(
      Schema.NullOr(Schema.String).annotations(says("must be a string")),
      "The id of a model, or the name of a space; `auto` (the default) where there is one space."
    ),
    input: Schema.Union(
      Schema.String,
      Schema.Array(Schema.Union(Schema.String, TokenId, Schema.Array(TokenId))).pipe(Schema.minItems(1))
    ).annotations(says("must be a text, or a list of texts or of token ids, not empty")),
    encoding_format: optional(
      Schema.NullOr(Schema.Literal("float", "base64")).annotations(says("must be float or base64"))
    ),
    conduit: optional(ConduitOptions)
  },
  open
).annotations({
  identifier: "EmbeddingsRequest",
  description: "OpenAI's. `dimensions` and unknown fields go to the model untouched."
})

export const CompletionsRequest = Schema.Struct(
  {
    model,
    prompt: Schema.Union(Schema.String, Schema.Array(Schema.String).pipe(Schema.itemsCount(1))).annotations(
      says("must be one text: send several requests for several")
    ),
    stream,
    max_tokens: maxTokens,
    conduit: optional(ConduitOptions)
  },
  open
).annotations({
  identifier: "CompletionsRequest",
  description: "OpenAI's, with one prompt. `suffix`, `echo`, `logprobs` and `best_of` are refused."
})

const AnthropicBlock = Schema.Struct({ type: Schema.String }, open)
const AnthropicContent = Schema.Union(Schema.String, Schema.Array(AnthropicBlock)).annotations({
  ...says("must be a string or a list of blocks")
})
const AnthropicMessage = Schema.Struct(
  {
    role: Schema.Literal("user", "assistant", "system").annotations(says("must be user, assistant or system")),
    content: AnthropicContent
  },
  open
).annotations({ identifier: "AnthropicMessage" })

const anthropicFields = {
  model,
  messages: Schema.Array(AnthropicMessage).pipe(Schema.minItems(1, { message: () => "must not be empty" })),
  system: optional(Schema.NullOr(AnthropicContent))
}

export const MessagesRequest = Schema.Struct(
  {
    ...anthropicFields,
    max_tokens: tokens(1),
    stream,
    conduit: optional(ConduitOptions)
  },
  open
).annotations({
  identifier: "MessagesRequest",
  description:
    "Anthropic's request, of any version. To a model of its protocol it goes untouched, to others as it is said there; what has no words there is named in `x-conduit-adjusted`."
})

export const CountTokensRequest = Schema.Struct(anthropicFields, open).annotations({
  identifier: "CountTokensRequest",
  description: "As of `/v1/messages`, without `max_tokens`."
})

const Contents = Schema.Union(
  Schema.Struct({}, open),
  Schema.Array(Schema.Struct({}, open)).pipe(Schema.minItems(1))
).annotations(says("must be a list of contents, not empty"))

export const GenerateContentRequest = Schema.Struct(
  { contents: Contents, conduit: optional(ConduitOptions) },
  open
).annotations({
  identifier: "GenerateContentRequest",
  description:
    "Google's request, in either spelling of its members. To a model of its protocol it goes untouched, to others as it is said there; what has no words there is named in `x-conduit-adjusted`."
})

export const ContentTokensRequest = Schema.Struct(
  { contents: optional(Contents), generateContentRequest: optional(Schema.Struct({ contents: Contents }, open)) },
  open
)
  .pipe(
    Schema.filter(
      ({ contents, generateContentRequest }) =>
        contents !== undefined || generateContentRequest !== undefined
          ? undefined
          : { path: ["contents"], message: "is missing" },
      { jsonSchema: { if: { not: { required: ["contents"] } }, then: { required: ["generateContentRequest"] } } }
    )
  )
  .annotations({
    identifier: "ContentTokensRequest",
    description: "`contents`, or a whole request in `generateContentRequest`."
  })

export const CompleteRequest = Schema.Struct(
  {
    prompt: Schema.String.pipe(Schema.minLength(1)).annotations(says("must be text, not empty")),
    context: described(
      Schema.Union(Schema.String, open).annotations(says("must be a string or an object")),
      "What the model should know; sent as a system message."
    ),
    model,
    max_tokens: maxTokens,
    conduit: optional(ConduitOptions),
    ...optionFields
  },
  open
).annotations({
  identifier: "CompleteRequest",
  description: "Unknown fields (temperature, ...) go to the model untouched."
})
export type CompleteRequest = typeof CompleteRequest.Type

export const RouteRequest = Schema.Struct(
  {
    messages: optional(messages),
    prompt: optional(Schema.String.pipe(Schema.minLength(1)).annotations(says("must be text, not empty"))),
    model,
    stream,
    max_tokens: maxTokens,
    max_completion_tokens: maxTokens,
    conduit: optional(ConduitOptions),
    ...optionFields
  },
  open
)
  .pipe(
    Schema.filter(
      ({ messages, prompt }) =>
        messages !== undefined || prompt !== undefined
          ? undefined
          : { path: ["messages"], message: "is missing: messages or prompt is needed" },
      { jsonSchema: { if: { not: { required: ["messages"] } }, then: { required: ["prompt"] } } }
    )
  )
  .annotations({
    identifier: "RouteRequest",
    description:
      "`messages` or `prompt`. The options stand at the top, or in `conduit` so that a chat request can be sent as it is."
  })
export type RouteRequest = typeof RouteRequest.Type

const decisionId = Schema.String.annotations({
  ...says("must be a string"),
  description:
    "`x-conduit-decision-id` of the answer, or the id of the answer (`chatcmpl-...`, `resp_...`, `msg_...`), which has it in its own."
})

export const OutcomeRequest = Schema.Struct(
  {
    decision_id: decisionId,
    ok: flag.annotations({ description: "Whether the model answered." }),
    input_tokens: optional(Schema.NullOr(tokens(0))),
    output_tokens: optional(Schema.NullOr(tokens(0))),
    latency_ms: optional(Schema.NullOr(between(0, maxInt))),
    error: described(Schema.NullOr(storedText(500)), "A short reason; never text of a prompt or an answer.")
  },
  open
).annotations({ identifier: "OutcomeRequest" })

const feedbackFields = {
  decision_id: optional(decisionId),
  session_id: described(
    storedText(256),
    "Instead of `decision_id`, exactly one of the two: judges the answered decisions of the session, the newest with the whole confidence, each older one with half as much as the one before it, at most 8. A comment goes to the newest only."
  ),
  confidence: described(
    Schema.JsonNumber.pipe(Schema.greaterThan(0), Schema.lessThanOrEqualTo(1)).annotations({
      ...says("must be a number above 0, at most 1")
    }),
    "How sure the source is; 1 by default."
  ),
  comment: optional(storedText(4000)),
  source: described(
    storedText(64),
    "Who says so: `api` by default, and stored as `session` or `session:<source>` for a session. Newer feedback of one kind and source supersedes the older."
  )
}
const feedbackOf = <K extends FeedbackKind, A extends number | boolean | string>(kind: K, value: Schema.Schema<A>) =>
  Schema.Struct({ ...feedbackFields, kind: Schema.Literal(kind), value }, open)
    .pipe(
      Schema.filter(({ decision_id, session_id }) => aboutOne(decision_id, session_id), {
        jsonSchema: {
          if: { required: ["decision_id"] },
          then: { not: { required: ["session_id"] } },
          else: { required: ["session_id"] }
        }
      })
    )
    .annotations({ identifier: `Feedback${kind.replace(/(?:^|_)(.)/g, (_, first: string) => first.toUpperCase())}` })

/** What is wrong with it unless it is about exactly one of the two. */
const aboutOne = (decisionId: string | undefined, sessionId: string | undefined) => {
  if ((decisionId === undefined) !== (sessionId === undefined)) return undefined
  const message =
    decisionId === undefined ? "is missing: decision_id or session_id is needed" : "excludes session_id: send one"
  return { path: ["decision_id"], message }
}

/** Feedback by its kind, which says what `value` may be. */
export const feedbackByKind = {
  score: feedbackOf("score", between(0, 1)),
  thumbs: feedbackOf("thumbs", Schema.Literal("up", "down").annotations(says('must be "up" or "down"'))),
  rating: feedbackOf("rating", between(1, 5)),
  task_success: feedbackOf("task_success", flag),
  regeneration: feedbackOf("regeneration", flag),
  comment: feedbackOf("comment", storedText(4000))
} as const satisfies { readonly [K in FeedbackKind]: Schema.Schema.AnyNoContext }

/** What says which of the kinds a feedback is. */
export const FeedbackKindOf = Schema.Struct(
  { kind: Schema.Literal(...feedbackKinds).annotations(says(`must be one of ${feedbackKinds.join(", ")}`)) },
  open
)

export const FeedbackRequest = Schema.Union(
  feedbackByKind.score,
  feedbackByKind.thumbs,
  feedbackByKind.rating,
  feedbackByKind.task_success,
  feedbackByKind.regeneration,
  feedbackByKind.comment
).annotations({ identifier: "FeedbackRequest" })

export type FeedbackRequest = typeof FeedbackRequest.Type

export const FeedbackHeaders = Schema.Struct({
  "idempotency-key": described(
    Schema.String.pipe(Schema.pattern(/^[\x21-\x7e]{1,255}$/)).annotations({
      ...says("must be 1 to 255 visible ASCII characters")
    }),
    "Repeating a key with the same content is the same answer; with other content, 409."
  )
})
export type FeedbackHeaders = typeof FeedbackHeaders.Type
