import * as Context from "effect/Context"
import * as Schema from "effect/Schema"

/**
 * The listening socket, ours from its first connection to its last. It answers the health endpoints itself in every
 * phase, and 503 to everything else until the application is attached.
 */
export interface HttpSocketShape {
  /** `http://host:port`, with the port that was really taken. */
  readonly url: string
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
