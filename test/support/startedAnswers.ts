import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { subscribe, unsubscribe } from "node:diagnostics_channel"
import type { ServerResponse } from "node:http"

const channel = "http.server.request.start"

/** The answers that servers of this process begin, until the scope closes: what a test cannot see from outside. */
export const startedAnswers: Effect.Effect<ReadonlyArray<ServerResponse>, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => {
      const answers: Array<ServerResponse> = []
      const note = (message: unknown) => {
        answers.push((message as { readonly response: ServerResponse }).response)
      }
      subscribe(channel, note)
      return { answers, note }
    }),
    ({ note }) => Effect.sync(() => unsubscribe(channel, note))
  ),
  ({ answers }) => answers
)
