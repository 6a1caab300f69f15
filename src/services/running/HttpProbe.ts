import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** Nobody answers there; `detail` has neither the address nor what was sent. */
export class Unreachable extends Schema.TaggedError<Unreachable>()("Unreachable", { detail: Schema.String }) {
  override get message() {
    return this.detail
  }
}

export interface Answer {
  readonly status: number
  readonly text: string
  /** The `Date` header, Unix milliseconds; null if there is none. */
  readonly dateMs: number | null
  readonly sentMs: number
  readonly answeredMs: number
}

/** One request of a checklist, over the client that calls the models. Ends within five seconds. */
export interface HttpProbeShape {
  /** A GET, or with a body a POST; redirects are not followed. */
  readonly exchange: (
    url: string,
    headers: Readonly<Record<string, string>>,
    body?: string
  ) => Effect.Effect<Answer, Unreachable>
}

export class HttpProbe extends Context.Tag("conduit/services/HttpProbe")<HttpProbe, HttpProbeShape>() {}
