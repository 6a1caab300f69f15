import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Exchange } from "./Exchange.ts"

/** The socket as the application sees it. */
export interface HttpListenerShape {
  /** From now on every exchange is handed to `serve`, but for those that the socket answers itself. */
  readonly attach: (serve: (exchange: Exchange) => void) => void
  /** How many connections have been accepted so far. */
  readonly accepted: () => number
  /**
   * Completes when the connections that wait to be accepted are, and have said what they want, or half a second later: a
   * listener that closes resets those that wait, which no client can tell from a crash.
   */
  readonly queueTaken: Effect.Effect<void>
  /** No new connections; open ones stay. */
  readonly stopListening: Effect.Effect<void>
  /** Destroys every connection that is left. */
  readonly closeConnections: Effect.Effect<void>
}

export class HttpListener extends Context.Tag("conduit/layers/api/HttpListener")<HttpListener, HttpListenerShape>() {}
