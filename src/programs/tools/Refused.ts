import * as Schema from "effect/Schema"

/** A command that cannot do what it was asked; the message says what to do instead. */
export class Refused extends Schema.TaggedError<Refused>()("Refused", { detail: Schema.String }) {
  override get message() {
    return this.detail
  }
}
