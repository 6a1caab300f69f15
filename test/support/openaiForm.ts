import * as Schema from "effect/Schema"

// OpenAI's published specification of chat answers (openai/openai-openapi, CreateChatCompletionResponse and
// CreateChatCompletionStreamResponse), what it requires and of which kind. It also requires `refusal` and `logprobs`,
// which may be null: every client tried does without, and to add them would touch nearly every answer.

const may = <A, I>(schema: Schema.Schema<A, I>) => Schema.optionalWith(schema, { exact: true })
const open = Schema.Record({ key: Schema.String, value: Schema.Unknown })
const FinishReason = Schema.Literal("stop", "length", "tool_calls", "content_filter", "function_call")
const Role = Schema.Literal("developer", "system", "user", "assistant", "tool")
const ServiceTier = Schema.NullOr(Schema.Literal("auto", "default", "flex", "scale", "priority"))
const Count = Schema.Int.pipe(Schema.nonNegative())

const Usage = Schema.Struct({ prompt_tokens: Count, completion_tokens: Count, total_tokens: Count }, open)

const ToolCall = Schema.Struct(
  {
    id: Schema.NonEmptyString,
    type: Schema.NonEmptyString,
    function: may(Schema.Struct({ name: Schema.String, arguments: Schema.String }, open))
  },
  open
)

const head = {
  id: Schema.NonEmptyString,
  created: Schema.Int,
  model: Schema.String,
  service_tier: may(ServiceTier)
}

export const Completion = Schema.Struct(
  {
    ...head,
    object: Schema.Literal("chat.completion"),
    choices: Schema.Array(
      Schema.Struct(
        {
          index: Schema.Int,
          finish_reason: FinishReason,
          message: Schema.Struct(
            {
              role: Schema.Literal("assistant"),
              content: Schema.NullOr(Schema.String),
              tool_calls: may(Schema.Array(ToolCall))
            },
            open
          )
        },
        open
      )
    ),
    usage: may(Usage)
  },
  open
)

const ToolCallChunk = Schema.Struct(
  {
    index: Schema.Int,
    id: may(Schema.NonEmptyString),
    type: may(Schema.NonEmptyString),
    function: may(Schema.Struct({ name: may(Schema.String), arguments: may(Schema.String) }, open))
  },
  open
)

export const CompletionChunk = Schema.Struct(
  {
    ...head,
    object: Schema.Literal("chat.completion.chunk"),
    choices: Schema.Array(
      Schema.Struct(
        {
          index: Schema.Int,
          finish_reason: Schema.NullOr(FinishReason),
          delta: Schema.Struct(
            {
              role: may(Role),
              content: may(Schema.NullOr(Schema.String)),
              tool_calls: may(Schema.Array(ToolCallChunk))
            },
            open
          )
        },
        open
      )
    ),
    usage: may(Schema.NullOr(Usage))
  },
  open
)
