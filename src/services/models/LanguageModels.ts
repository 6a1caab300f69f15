import * as Context from "effect/Context"
import * as Schema from "effect/Schema"
import type { ProtocolName } from "../../domain/models/canonical/Conversation.ts"
import type { ErrorSaid } from "../../domain/models/ErrorSaid.ts"
import type { Said } from "../../domain/models/Said.ts"
import { capabilities } from "../../domain/routing/Capability.ts"
import type { Adjustment, Dialect } from "../../domain/routing/Dialect.ts"
import { faultReasons } from "../../domain/routing/Fault.ts"
import type { Operation } from "../../domain/routing/Decision.ts"
import type { Model } from "../../domain/routing/Model.ts"

/** A request as it came, in the protocol of its client, unknown fields included; `model` and `conduit` are dealt with here. */
export type ChatBody = Readonly<Record<string, unknown>>

/**
 * Calls models. The body goes through untouched but for `model`, `conduit` and, on streams, `stream_options.include_usage`,
 * which is always on. Plain functions, because every request passes here: each calls back once, perhaps before it
 * returns, and answers what ends the call: it is aborted if it is under way, and then nothing is called back any more.
 */
export interface LanguageModelsShape {
  readonly complete: (
    model: Model,
    body: ChatBody,
    limits: CallLimits,
    done: (answer: ChatAnswer | ProviderError) => void
  ) => () => void

  /**
   * Calls back when the first text, call or refusal has arrived: until then another model can be tried. What it answers
   * has to be called at the end of the stream too.
   */
  readonly stream: (
    model: Model,
    body: ChatBody,
    limits: CallLimits,
    opened: (stream: ChatStream | ProviderError) => void
  ) => () => void
}

export class LanguageModels extends Context.Tag("conduit/services/LanguageModels")<
  LanguageModels,
  LanguageModelsShape
>() {}

export interface CallLimits {
  /** For the whole call, or for the first event of a stream and between two events. Milliseconds. */
  readonly timeoutMs: number
  /** Sent with the call besides the provider's own. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** What this model spells differently of the body. */
  readonly adjustments?: ReadonlyArray<Adjustment> | undefined
  /** How this model spells a request: what a translated one is adjusted by. */
  readonly dialect?: Dialect | undefined
  /** That the body is in, and the answer shall be: OpenAI's chat if it does not say. */
  readonly protocol?: ProtocolName | undefined
  /** What is asked of the model; a chat where it is not there. Vectors are in OpenAI's form only. */
  readonly operation?: Operation | undefined
  /** Header fields of the client that go on to an upstream of its own protocol, such as `anthropic-beta`. */
  readonly forwarded?: Readonly<Record<string, string>> | undefined
  /** Estimated: what a stream tells of its input until the upstream has counted. */
  readonly inputTokens?: number | undefined
  /** False where the provider does not take `stream_options`. */
  readonly streamUsage?: boolean | undefined
  /** Names an answer that the upstream gave no id. */
  readonly answerId?: string | undefined
}

/** A whole answer. */
export interface ChatAnswer {
  readonly status: number
  /** In the client's protocol: as the model sent it, mended where it was not in its form, or translated; `model` is ours. */
  readonly text: string
  readonly said: Said
  /** By which the upstream knows the call; null if it said none. */
  readonly requestId: string | null
  /** What a translation left out of the request or said in another way; not there where nothing was translated. */
  readonly adjusted?: string | null
}

export interface ChatStream {
  readonly status: number
  readonly requestId: string | null
  /** As of a whole answer. */
  readonly adjusted?: string | null
  /**
   * Calls back with the data of the next events, in order, at least one; an empty array after the last. Each is a chunk as
   * the model sent it, mended where it was not in OpenAI's form; `model` is ours, and counts are left to `usageChunk`. A
   * stream that ends before its answer is whole fails with reason `cut`. Nothing is read while nobody waits.
   */
  readonly next: (done: (events: ReadonlyArray<string> | ProviderError) => void) => void
  /** What the answer has said of itself so far. */
  readonly said: () => Said
  /** Every choice has finished: what may still come are counts and the end. */
  readonly isFinished: () => boolean
  /** After the last event: the payload with the counts, ahead of the protocol's own end; null for a caller who did not ask, and where nobody counted. */
  readonly usageChunk: () => string | null
}

/** Why a model did not answer; what follows from each stands in `faults`. */
export const ProviderErrorReason = Schema.Literal(...faultReasons)

/** Null where the constructor is not told. */
const unlessSaid = <A, I>(schema: Schema.Schema<A | null, I>) =>
  schema.pipe(
    Schema.propertySignature,
    Schema.withConstructorDefault((): A | null => null)
  )

/** What the upstream said of an error, in its own words. */
const ErrorSaidSchema = Schema.Struct({
  message: Schema.NullOr(Schema.String),
  type: Schema.NullOr(Schema.String),
  code: Schema.NullOr(Schema.String),
  param: Schema.NullOr(Schema.String),
  status: Schema.NullOr(Schema.Number)
}) satisfies Schema.Schema<ErrorSaid, ErrorSaid>

export class ProviderError extends Schema.TaggedError<ProviderError>()("ProviderError", {
  model: Schema.String,
  reason: ProviderErrorReason,
  /** HTTP status of the upstream; null if none arrived. */
  status: Schema.NullOr(Schema.Number),
  /** Seconds, if the upstream said so. */
  retryAfterSeconds: Schema.NullOr(Schema.Number),
  /** As far as a client may read it; null if the upstream said nothing. */
  said: unlessSaid(Schema.NullOr(ErrorSaidSchema)),
  /** For people; of the upstream's own error message at most 500 characters, never the request. */
  detail: Schema.String,
  /** What the model cannot do, as far as its refusal says. */
  lacks: unlessSaid(Schema.NullOr(Schema.Literal(...capabilities))),
  /** Top-level field of the request that the model does not take. */
  parameter: unlessSaid(Schema.NullOr(Schema.String))
}) {
  override get message() {
    return `${this.model}: ${this.reason}${this.status === null ? "" : ` (HTTP ${this.status})`}: ${this.detail}`
  }
}
