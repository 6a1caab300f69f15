import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"

/** A PostgreSQL that answers: somebody's, or the embedded one. */
export interface PostgresServerShape {
  readonly url: Redacted.Redacted
  /** Connections the pool may hold. */
  readonly poolSize: number
  /** All connections are one session: there is no other user, and no notification arrives. */
  readonly isSingleSession: boolean
  /** None = it is somebody's, and runs on. Otherwise it is ended after the pool: within the limit, or else at once. */
  readonly end: Option.Option<(limit: Duration.Duration) => Effect.Effect<void>>
}

export class PostgresServer extends Context.Tag("conduit/services/PostgresServer")<
  PostgresServer,
  PostgresServerShape
>() {}

/** The embedded PostgreSQL could not start: its directory is in use by a living process, damaged, or not writable. */
export class EmbeddedPostgresError extends Schema.TaggedError<EmbeddedPostgresError>()("EmbeddedPostgresError", {
  directory: Schema.String,
  reason: Schema.Literal("in_use", "failed"),
  detail: Schema.String
}) {
  override get message() {
    return this.reason === "in_use"
      ? `the embedded database in ${this.directory} is in use by ${this.detail}: stop it, set CONDUIT_DATA_DIRECTORY to another folder, or set DATABASE_URL`
      : `the embedded database in ${this.directory} did not start: ${this.detail}`
  }
}
