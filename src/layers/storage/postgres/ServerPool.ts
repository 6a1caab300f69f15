import * as Pg from "pg"
import { configOf, type Servers } from "./Servers.ts"

type Connected = (
  error: Error | undefined,
  client: Pg.PoolClient | undefined,
  done: (release?: unknown) => void
) => void

/** A pool whose next connection is to the server that is known to serve; one that fails makes the next one look again. */
export class ServerPool extends Pg.Pool {
  readonly #servers: Servers
  readonly #generations = new WeakMap<Pg.PoolClient, number>()

  constructor(config: Pg.PoolConfig, servers: Servers) {
    super({ ...config, ...(servers.known === null ? {} : configOf(servers.known)) })
    this.#servers = servers
    this.on("connect", (client) => void this.#generations.set(client, servers.generation))
    // One whose query never ended (its time-out is the client's own) would make the next user wait behind it.
    this.on("release", (_error, client) => {
      const isUnfinished = "readyForQuery" in client && client.readyForQuery !== true
      const isOutdated = this.#generations.get(client) !== servers.generation
      if (isUnfinished || isOutdated) void client.end().catch(() => undefined)
    })
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
