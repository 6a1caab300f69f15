import * as Schema from "effect/Schema"

/** What only HTTP knows: a request that never reached the router. */
export type HttpError =
  | BodyTooLarge
  | BodyTimeout
  | UnsupportedMediaType
  | UnsupportedCoding
  | MalformedBody
  | InvalidRequest
  | Unauthorized
  | Forbidden
  | RouteNotFound
  | MethodNotAllowed
  | MalformedHttp
  | HeadersTooLarge
  | RequestTimeout
  | Starting
  | Overloaded
  | InternalError

export class BodyTooLarge extends Schema.TaggedError<BodyTooLarge>()("BodyTooLarge", {
  limit: Schema.Number,
  unit: Schema.Literal("bytes", "JSON values")
}) {
  override get message() {
    return `the body has more than ${this.limit} ${this.unit}`
  }
}

export class BodyTimeout extends Schema.TaggedError<BodyTimeout>()("BodyTimeout", { limitMs: Schema.Number }) {
  override get message() {
    return `the body did not arrive within ${this.limitMs} ms`
  }
}

export class UnsupportedMediaType extends Schema.TaggedError<UnsupportedMediaType>()("UnsupportedMediaType", {}) {
  override get message() {
    return "the body must be JSON, sent as content-type: application/json"
  }
}

export class UnsupportedCoding extends Schema.TaggedError<UnsupportedCoding>()("UnsupportedCoding", {
  accepted: Schema.String
}) {
  override get message() {
    return `the body's content-encoding is not one of ${this.accepted}`
  }
}

export class MalformedBody extends Schema.TaggedError<MalformedBody>()("MalformedBody", { detail: Schema.String }) {
  override get message() {
    return this.detail
  }
}

export class InvalidRequest extends Schema.TaggedError<InvalidRequest>()("InvalidRequest", {
  param: Schema.NullOr(Schema.String),
  detail: Schema.String
}) {
  override get message() {
    return this.param === null ? this.detail : `${this.param}: ${this.detail}`
  }
}

export class Unauthorized extends Schema.TaggedError<Unauthorized>()("Unauthorized", {
  needed: Schema.Literal("API", "metrics", "page"),
  presented: Schema.Boolean,
  isExpired: Schema.Boolean
}) {
  override get message() {
    if (this.needed === "page") {
      return "a key with the scope read is needed: send it as Authorization: Bearer <key>, or as the password that a browser asks for; CONDUIT_PUBLIC_PAGES lets everybody read this"
    }
    if (this.isExpired) return "the API key has expired, or was revoked"
    return this.presented
      ? `the ${this.needed} key is not one of this service's`
      : `${this.needed === "API" ? "an" : "a"} ${this.needed} key is needed: send it as Authorization: Bearer <key>, x-api-key or api-key`
  }
}

/** The key is one of ours, and may do other things. */
export class Forbidden extends Schema.TaggedError<Forbidden>()("Forbidden", { scope: Schema.String }) {
  override get message() {
    return `this needs a key with the scope ${this.scope}`
  }
}

export class RouteNotFound extends Schema.TaggedError<RouteNotFound>()("RouteNotFound", {
  /** What was probably meant. */
  hint: Schema.NullOr(Schema.String)
}) {
  override get message() {
    const meant = this.hint === null ? "" : `${this.hint}; `
    return `there is nothing at this path: ${meant}GET /openapi.json lists what there is`
  }
}

export class MethodNotAllowed extends Schema.TaggedError<MethodNotAllowed>()("MethodNotAllowed", {
  allow: Schema.String
}) {
  override get message() {
    return `this path answers to ${this.allow}`
  }
}

/** The connection carries no request that HTTP knows. */
export class MalformedHttp extends Schema.TaggedError<MalformedHttp>()("MalformedHttp", {}) {
  override get message() {
    return "this is not a well-formed HTTP request"
  }
}

/** The head of the request has more header fields than the service reads. */
export class HeadersTooLarge extends Schema.TaggedError<HeadersTooLarge>()("HeadersTooLarge", {
  limitBytes: Schema.Number
}) {
  override get message() {
    return `the request's header fields are larger than ${this.limitBytes} bytes`
  }
}

/** The head of the request did not arrive in time. */
export class RequestTimeout extends Schema.TaggedError<RequestTimeout>()("RequestTimeout", {}) {
  override get message() {
    return "the request did not arrive in time"
  }
}

/** The socket listens, and what it serves is not there yet. */
export class Starting extends Schema.TaggedError<Starting>()("Starting", {}) {
  override get message() {
    return "the service is starting, try again in a moment"
  }
}

/** More is asked at once than can be served in time. */
export class Overloaded extends Schema.TaggedError<Overloaded>()("Overloaded", {
  detail: Schema.String,
  /** An estimate, 1 to 60. */
  retryAfterSeconds: Schema.Number
}) {
  override get message() {
    return this.detail
  }
}

/** A bug; the log has its cause. */
export class InternalError extends Schema.TaggedError<InternalError>()("InternalError", {}) {
  override get message() {
    return "something went wrong inside; the log has more under this request id"
  }
}
