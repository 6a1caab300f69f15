import type * as Either from "effect/Either"
import type { JsonObject } from "../Json.ts"
import type { About, Answer } from "./Answer.ts"
import type { Conversation, ProtocolName, Toward, Unfit, Written } from "./Conversation.ts"
import type { EventReader, EventWriter } from "./Event.ts"

/**
 * A protocol as what translates needs it: three small modules, of the request, the whole answer and the stream, each both
 * ways. A client whose model speaks the same protocol never comes here: its bytes pass.
 */
export interface Protocol extends Spoken {
  readonly name: ProtocolName
  readonly readRequest: (body: JsonObject) => Either.Either<Conversation, Unfit>
  readonly writeAnswer: (answer: Answer, about: About) => JsonObject
  readonly eventWriter: (about: About) => EventWriter
}

/** What upstreams speak: the protocols of clients, and Amazon's. */
export type SpokenName = ProtocolName | "converse"

/** The half of a protocol that an upstream needs: the request to it, its answer, its stream. */
export interface Spoken {
  /** Without the model's name, which whoever calls it writes. */
  readonly writeRequest: (conversation: Conversation, toward: Toward) => Either.Either<Written, Unfit>
  readonly readAnswer: (body: JsonObject) => Answer
  readonly eventReader: () => EventReader
}
