import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** What the service would answer from stored rows alone, where none runs: to who sees all keys. */
export interface StoredAnswersShape {
  /** To `GET` of `/v1/stats` (without savings), `/v1/decisions` or one of those, as JSON. */
  readonly get: (address: string) => Effect.Effect<string, NotAnswered>
}

export class StoredAnswers extends Context.Tag("conduit/services/StoredAnswers")<StoredAnswers, StoredAnswersShape>() {}

/** The detail says what is wrong with the question, or why the database does not answer it. */
export class NotAnswered extends Schema.TaggedError<NotAnswered>()("NotAnswered", { detail: Schema.String }) {
  override get message() {
    return this.detail
  }
}
