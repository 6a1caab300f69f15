import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Http from "node:http"

/**
 * The listening socket, ours from its first connection to its last. It answers the health endpoints itself in every
 * phase, and 503 to everything else until a handler is attached.
 */
export interface HttpSocketShape {
  /** `http://host:port`, with the port that was really taken. */
  readonly url: string
  readonly attach: (handler: (request: Http.IncomingMessage, response: Http.ServerResponse) => void) => void
  /** No new connections; open ones stay. */
  readonly stopListening: Effect.Effect<void>
  /** Destroys every connection that is left. */
  readonly closeConnections: Effect.Effect<void>
}

export class HttpSocket extends Context.Tag("conduit/services/HttpSocket")<HttpSocket, HttpSocketShape>() {}

/** The address cannot be listened on. */
export class ListenFailed extends Schema.TaggedError<ListenFailed>()("ListenFailed", {
  host: Schema.String,
  port: Schema.Number,
  code: Schema.String
}) {
  override get message() {
    const hint =
      this.code === "EADDRINUSE"
        ? "another process uses this port: stop it or set CONDUIT_PORT (0 = any free port)"
        : this.code === "EACCES"
          ? "this port needs more rights: set CONDUIT_PORT above 1023"
          : "check CONDUIT_HOST and CONDUIT_PORT"
    return `cannot listen on ${this.host}:${this.port} (${this.code}): ${hint}`
  }
}
