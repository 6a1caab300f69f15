import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Redis, RedisOptions } from "ioredis"
import { RedisAway } from "../../../services/storage/Redis.ts"

/** There was a connection, or there should have been one. */
export class ConnectionLost extends Schema.TaggedError<ConnectionLost>()("ConnectionLost", { reason: Schema.String }) {}

/** One connection. The first command that fails or is late loses it, whatever the reason. */
export interface Connection {
  /** Commands that are sent together. Nothing is sent once the connection is lost. */
  readonly ask: <A>(commands: (client: Redis) => Promise<A>) => Effect.Effect<A, RedisAway>
  /** Waits for that. */
  readonly lost: Effect.Effect<never, ConnectionLost>
}

/** From the first packet until commands have worked; the last one has to be as quick as those of requests. */
const connectLimitMs = 1_000
const quitLimitMs = 200

/** One for all: making an error takes longer than not asking. */
export const away = Effect.fail(new RedisAway())

/** The driver may neither queue, repeat nor reconnect: what is late is of no use to anybody. */
const driverOptions: RedisOptions = {
  lazyConnect: true,
  connectTimeout: connectLimitMs,
  connectionName: "conduit",
  disableClientInfo: true,
  enableReadyCheck: false,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  retryStrategy: () => null
}

export const open = (url: Redacted.Redacted, limitMs: number): Effect.Effect<Connection, ConnectionLost, Scope.Scope> =>
  Effect.gen(function* () {
    // Only who has a Redis loads the driver. A CommonJS module has its names in `default`, also when it is bundled.
    const { Redis } = (yield* Effect.promise(() => import("ioredis"))).default
    const losing = new Losing()
    const client = yield* Effect.acquireRelease(
      Effect.sync(() => new Redis(Redacted.value(url), driverOptions)),
      (client) =>
        Effect.zipRight(
          Effect.ignore(askWithin(client, losing, quitLimitMs)(() => client.quit())),
          Effect.sync(() => {
            client.disconnect()
            // A server that does not answer would not close its end either.
            client.stream?.destroy()
          })
        )
    )
    client.on("error", (error) => losing.lose(reasonOf(error)))
    client.on("end", () => losing.lose("the connection was closed"))

    yield* askWithin(
      client,
      losing,
      connectLimitMs
    )(async () => {
      await client.connect()
      await client.set(probe, "1", "EX", 1)
      await client.getex(probe, "EX", 1)
    }).pipe(
      // One that is always late would be lost by the first request that asks it, each second again.
      Effect.zipRight(askWithin(client, losing, limitMs)(() => client.get(probe))),
      Effect.catchAll(() => losing.lost)
    )
    return { ask: askWithin(client, losing, limitMs), lost: losing.lost }
  })

/** Whether a connection is lost, and by what first. */
class Losing {
  isLost = false
  readonly #lost = Deferred.unsafeMake<never, ConnectionLost>(FiberId.none)

  lose(reason: string): void {
    this.isLost = true
    Deferred.unsafeDone(this.#lost, Effect.fail(new ConnectionLost({ reason })))
  }

  get lost(): Effect.Effect<never, ConnectionLost> {
    return Deferred.await(this.#lost)
  }
}

/** Commands that fail or are late lose the connection. */
const askWithin =
  (client: Redis, losing: Losing, millis: number): Connection["ask"] =>
  <A>(commands: (client: Redis) => Promise<A>) =>
    Effect.async<A, RedisAway>((resume) => {
      if (losing.isLost) return resume(away)
      let isOpen = true
      const end = (result: Effect.Effect<A, RedisAway>) => {
        if (!isOpen) return
        isOpen = false
        clearTimeout(timer)
        resume(result)
      }
      const fail = (reason: string) => {
        if (!isOpen) return
        losing.lose(reason)
        end(away)
      }
      // An answer that came while this process was busy is read before its time is up.
      const timer = setTimeout(() => setImmediate(() => fail(`no answer within ${millis} ms`)), millis)
      commands(client).then(
        (value) => end(Effect.succeed(value)),
        (error) => fail(reasonOf(error))
      )
      return Effect.sync(() => {
        isOpen = false
        clearTimeout(timer)
      })
    })

/** A key of nobody. A Redis that is up but refuses to use it (read-only, full, without the right) is of no use. */
export const probe = "conduit:probe"

/** In one line. What Redis says of a command that it does not know has the arguments in it, and a password may be one. */
const reasonOf = (error: unknown): string => {
  const one = error instanceof AggregateError ? (error.errors[0] ?? error) : error
  const text = one instanceof Error ? one.message : String(one)
  return (text.split(/, with args beginning|\n/)[0] ?? "").slice(0, 200)
}
