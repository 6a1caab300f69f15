import * as Pg from "pg"
import { requestCancel, type Session, sessionOf } from "./CancelRequest.ts"
import { configOf, type Servers } from "./Servers.ts"

type Connected = (
  error: Error | undefined,
  client: Pg.PoolClient | undefined,
  done: (release?: unknown) => void
) => void

/** What `@effect/sql-pg` asks a pool when a statement is interrupted. */
const cancelling = /^SELECT pg_cancel_backend\((\d+)\)$/

/**
 * A pool's `query`, which hands on what would cancel a statement: a statement of its own would wait for a free connection,
 * and end what another one does on that session by then.
 */
const withoutCancelling =
  (pool: Pg.Pool, cancel: (processId: number, done: () => void) => void) =>
  (...args: ReadonlyArray<unknown>): unknown => {
    const [text, done] = args
    const processId = typeof text === "string" ? cancelling.exec(text)?.[1] : undefined
    if (processId === undefined) return Reflect.apply(Pg.Pool.prototype.query, pool, args)
    cancel(Number(processId), () => {
      if (typeof done === "function") Reflect.apply(done, undefined, [])
    })
    return undefined
  }

/** A pool whose next connection is to the server that is known to serve; one that fails makes the next one look again. */
export class ServerPool extends Pg.Pool {
  readonly #servers: Servers
  readonly #generations = new WeakMap<Pg.PoolClient, number>()
  readonly #sessions = new Map<number, Session>()
  /** By their process. */
  readonly #cancelled = new Set<number>()

  constructor(config: Pg.PoolConfig, servers: Servers) {
    super({ ...config, ...(servers.known === null ? {} : configOf(servers.known)) })
    this.#servers = servers
    this.#watchConnections(servers)
    Object.defineProperty(this, "query", {
      value: withoutCancelling(this, (processId, done) => this.#cancel(processId, done))
    })
  }

  #watchConnections(servers: Servers): void {
    this.on("connect", (client) => {
      this.#generations.set(client, servers.generation)
      const session = sessionOf(client)
      if (session !== null) this.#sessions.set(session.processId, session)
    })
    this.on("remove", (client) => {
      const session = sessionOf(client)
      if (session === null) return
      this.#sessions.delete(session.processId)
      this.#cancelled.delete(session.processId)
    })
    // One whose query never ended (its time-out is the client's own) would make the next user wait behind it.
    this.on("release", (_error, client) => {
      const isUnfinished = "readyForQuery" in client && client.readyForQuery !== true
      const isOutdated = this.#generations.get(client) !== servers.generation
      const isCancelled = this.#cancelled.has(sessionOf(client)?.processId ?? 0)
      if (isUnfinished || isOutdated || isCancelled) void client.end().catch(() => undefined)
    })
  }

  /** Ends what the session does; it has no other user after this one. */
  #cancel(processId: number, done: () => void): void {
    const session = this.#sessions.get(processId)
    if (session === undefined) return done()
    this.#cancelled.add(processId)
    requestCancel(session, done)
  }

  override connect(): Promise<Pg.PoolClient>
  override connect(callback: Connected): void
  override connect(callback?: Connected): Promise<Pg.PoolClient> | void {
    if (callback === undefined) {
      return new Promise((resolve, reject) =>
        this.connect((error, client) =>
          client === undefined ? reject(error ?? new Error("no connection")) : resolve(client)
        )
      )
    }
    const connected: Connected = (error, client, done) => {
      if (error !== undefined && error !== null) this.#servers.forget()
      callback(error, client, done)
    }
    if (this.#servers.known !== null) return super.connect(connected)
    this.#servers.choose().then(
      (route) => {
        Object.assign(this.options, configOf(route))
        super.connect(connected)
      },
      (error: unknown) =>
        callback(error instanceof Error ? error : new Error(String(error)), undefined, () => undefined)
    )
  }
}
