import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** A command that ended by itself with another exit code than 0; it has said why. */
export class EndedWith extends Schema.TaggedError<EndedWith>()("EndedWith", { code: Schema.Number }) {}

/** A command whose program answers its exit code. */
export const ending = <E>(program: Effect.Effect<number, E>): Effect.Effect<void, E | EndedWith> =>
  Effect.flatMap(program, (code) => (code === 0 ? Effect.void : new EndedWith({ code })))
