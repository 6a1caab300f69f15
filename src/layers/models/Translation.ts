import * as Either from "effect/Either"
import type * as Clock from "effect/Clock"
import type { About } from "../../domain/models/canonical/Answer.ts"
import {
  type Conversation,
  idPrefixes,
  type ProtocolName,
  type Unfit
} from "../../domain/models/canonical/Conversation.ts"
import { type ShortNamed, withShortNames } from "../../domain/models/canonical/Names.ts"
import type { EventReader, EventWriter } from "../../domain/models/canonical/Event.ts"
import type { Protocol, Spoken, SpokenName } from "../../domain/models/canonical/Protocol.ts"
import { converse } from "../../domain/models/converse/Converse.ts"
import { arrayOf, isObject, parseJson } from "../../domain/models/Json.ts"
import { protocols } from "../../domain/models/Protocols.ts"
import { adjustedText, adjustmentsOf } from "../../domain/routing/Dialect.ts"
import type { Model } from "../../domain/routing/Model.ts"
import {
  type CallLimits,
  type ChatAnswer,
  type ChatBody,
  type ChatStream,
  type LanguageModelsShape,
  ProviderError
} from "../../services/models/LanguageModels.ts"
import { failure } from "./ProviderErrors.ts"

const spokenProtocols: Readonly<Record<SpokenName, Spoken>> = { ...protocols, converse }

/** A call in the upstream's protocol, and how its answer is told in the client's. */
interface Translated {
  readonly body: ChatBody
  readonly limits: CallLimits
  readonly reads: Spoken
  readonly writes: Protocol
  /** Null where the upstream's protocol takes every name. */
  readonly names: ShortNamed | null
  readonly about: About
  readonly adjusted: string | null
}

/**
 * Lets clients of one protocol be answered by models of another. Where both speak the same, the call goes to `inner` as it
 * is: nothing of it is read here.
 */
export const translating = (
  inner: LanguageModelsShape,
  protocolOf: (model: Model) => SpokenName,
  clock: Clock.Clock
): LanguageModelsShape => ({
  complete: (model, body, limits, done) => {
    const { protocol = "chat" } = limits
    const spoken = protocolOf(model)
    if (spoken === protocol || limits.operation !== undefined) return inner.complete(model, body, limits, done)
    const call = translated(model, body, limits, spoken, clock)
    if (call instanceof ProviderError) {
      done(call)
      return nothing
    }
    return inner.complete(model, call.body, call.limits, (told) =>
      done(told instanceof ProviderError ? told : answerIn(call, told))
    )
  },

  stream: (model, body, limits, opened) => {
    const { protocol = "chat" } = limits
    const spoken = protocolOf(model)
    if (spoken === protocol) return inner.stream(model, body, limits, opened)
    const call = translated(model, body, limits, spoken, clock)
    if (call instanceof ProviderError) {
      opened(call)
      return nothing
    }
    return inner.stream(model, call.body, call.limits, (told) =>
      opened(told instanceof ProviderError ? told : new TranslatedStream(call, told))
    )
  }
})

/** The request is at fault, or what upstreams of this protocol lack. */
const unfit = (model: Model, { detail, lacks, param }: Unfit): ProviderError =>
  new ProviderError({
    model: model.id,
    reason: lacks === null ? "rejected" : "unsupported",
    status: 400,
    retryAfterSeconds: null,
    said: { message: detail, type: "invalid_request_error", code: null, param, status: 400 },
    detail: `${param}: ${detail}`,
    lacks
  })

const translated = (
  model: Model,
  body: ChatBody,
  limits: CallLimits,
  spoken: SpokenName,
  clock: Clock.Clock
): Translated | ProviderError => {
  const { dialect = {}, protocol = "chat" } = limits
  const [reads, writes] = [spokenProtocols[spoken], protocols[protocol]]
  try {
    const conversation = writes.readRequest(body)
    if (Either.isLeft(conversation)) return unfit(model, conversation.left)
    const names = spoken === "messages" ? null : withShortNames(conversation.right)
    const written = reads.writeRequest(names?.conversation ?? conversation.right, model)
    if (Either.isLeft(written)) return unfit(model, written.left)
    const asked = withCounts(written.right.body, spoken, conversation.right)
    const adjustments = adjustmentsOf(asked, dialect)
    const adjusted = [...written.right.adjusted, adjustedText(asked, adjustments)].filter((one) => one !== null)
    return {
      body: asked,
      // What the client says of its own protocol is not for another one.
      limits: {
        ...limits,
        protocol: spoken === "converse" ? undefined : spoken,
        forwarded: betasFor(asked, spoken),
        adjustments
      },
      reads,
      writes,
      names,
      about: aboutOf(model, conversation.right, limits, protocol, clock),
      adjusted: adjusted.length === 0 ? null : adjusted.join(", ")
    }
  } catch {
    return failure(model.id, "rejected", null, "the request is nested too deeply")
  }
}

/** Anthropic takes instructions between messages from who names this beta, as Claude Code does. */
const midSystem = { "anthropic-beta": "mid-conversation-system-2026-04-07" }

const betasFor = (body: ChatBody, spoken: SpokenName): CallLimits["forwarded"] =>
  spoken === "messages" && arrayOf(body["messages"]).some((one) => isObject(one) && one["role"] === "system")
    ? midSystem
    : undefined

/** A stream of chunks tells its counts only to who asks. */
const withCounts = (body: ChatBody, spoken: SpokenName, { stream }: Conversation): ChatBody =>
  spoken === "chat" && stream ? { ...body, stream_options: { include_usage: true } } : body

const aboutOf = (
  model: Model,
  conversation: Conversation,
  { answerId, inputTokens = 0 }: CallLimits,
  protocol: ProtocolName,
  clock: Clock.Clock
): About => {
  const createdMillis = clock.unsafeCurrentTimeMillis()
  return {
    id: `${idPrefixes[protocol]}${answerId ?? createdMillis}`,
    model: model.id,
    createdSeconds: Math.floor(createdMillis / 1000),
    conversation,
    inputTokens
  }
}

const answerIn = ({ about, adjusted, names, reads, writes }: Translated, told: ChatAnswer): ChatAnswer => {
  const body = parseJson(told.text)
  const read = reads.readAnswer(isObject(body) ? body : {})
  const answer = names === null ? read : { ...read, parts: read.parts.map(names.answered) }
  return { ...told, text: JSON.stringify(writes.writeAnswer(answer, about)), adjusted }
}

/** A stream in the client's protocol of one in the upstream's. */
class TranslatedStream implements ChatStream {
  readonly adjusted: string | null
  readonly #source: ChatStream
  readonly #reader: EventReader
  readonly #writer: EventWriter
  readonly #names: ShortNamed | null
  #hasEnded = false

  constructor({ about, adjusted, names, reads, writes }: Translated, source: ChatStream) {
    this.adjusted = adjusted
    this.#names = names
    this.#source = source
    this.#reader = reads.eventReader()
    this.#writer = writes.eventWriter(about)
  }

  get status(): number {
    return this.#source.status
  }

  get requestId(): string | null {
    return this.#source.requestId
  }

  said(): ReturnType<ChatStream["said"]> {
    return this.#source.said()
  }

  isFinished(): boolean {
    return this.#source.isFinished()
  }

  usageChunk(): string | null {
    return this.#writer.last()
  }

  next(done: (events: ReadonlyArray<string> | ProviderError) => void): void {
    if (this.#hasEnded) return done([])
    this.#source.next((told) => {
      if (told instanceof ProviderError) return done(told)
      const payloads = told.length === 0 ? this.#end() : told.flatMap((payload) => this.#translated(payload))
      // Some events say nothing in the other protocol.
      if (payloads.length === 0 && !this.#hasEnded) this.next(done)
      else done(payloads)
    })
  }

  #translated(payload: string): ReadonlyArray<string> {
    const names = this.#names
    const events = this.#reader.read(payload)
    return (names === null ? events : events.map(names.heard)).flatMap((event) => this.#writer.write(event))
  }

  #end(): ReadonlyArray<string> {
    this.#hasEnded = true
    const counts = this.#source.usageChunk()
    return [...(counts === null ? [] : this.#translated(counts)), ...this.#writer.end()]
  }
}

/** Releases a call that was never made. */
const nothing = () => {}
