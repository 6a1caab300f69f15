import { Client, Dispatcher, errors } from "undici"
import { ArrayQueue } from "../../domain/basics/ArrayQueue.ts"

/** A connection that is made anew when it is needed, one call at a time. */
interface Connection {
  readonly client: Client
  isFree: boolean
}

/** A call that waits for a connection. */
interface Waiting {
  readonly options: Dispatcher.DispatchOptions
  readonly handler: Dispatcher.DispatchHandler
}

/**
 * Connections to one origin, as the library's `Pool`, which at each call looks through all of them for a free one, and
 * through all of them again for whether one is left: with sixty-four that is a tenth of a request. The one that was freed
 * last is used first, so what is not needed falls silent and is closed. Whole, because these are the moves of one list.
 */
export class Connections extends Dispatcher {
  readonly #make: () => Client
  readonly #most: number
  readonly #all: Array<Connection> = []
  readonly #free: Array<Connection> = []
  readonly #waiting = new ArrayQueue<Waiting>()
  /** When it closes: told when nothing waits any more. */
  #onEmpty: (() => void) | null = null
  #state: "open" | "closing" | "destroyed" = "open"

  /** At most `most`; further calls wait for a free one, first come first served. */
  constructor(origin: string, most: number, options: Client.Options) {
    super()
    this.#make = () => new Client(origin, options)
    this.#most = most
  }

  count(state: "connected" | "running" | "queued"): number {
    if (state === "queued") return this.#waiting.length
    return this.#all.reduce((sum, { client }) => sum + Number(client.stats[state]), 0)
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    if (this.#state !== "open") {
      handler.onError?.(this.#state === "closing" ? new errors.ClientClosedError() : new errors.ClientDestroyedError())
      return false
    }
    const connection = this.#free.pop() ?? this.#grown()
    if (connection === null) this.#waiting.push({ options, handler })
    else this.#call(connection, options, handler)
    return this.#free.length > 0 || this.#all.length < this.#most
  }

  /** Once all calls have ended. */
  override close(): Promise<void>
  override close(callback: () => void): void
  override close(callback?: () => void): Promise<void> | void {
    if (callback !== undefined) return void this.close().then(callback)
    if (this.#state === "open") this.#state = "closing"
    const emptied =
      this.#waiting.length === 0
        ? Promise.resolve()
        : new Promise<void>((resolve) => {
            this.#onEmpty = resolve
          })
    return emptied.then(() => this.#each((client) => client.close()))
  }

  /** Cuts all calls. */
  override destroy(error?: Error | null): Promise<void>
  override destroy(callback: () => void): void
  override destroy(error: Error | null, callback: () => void): void
  override destroy(error: Error | null | (() => void) = null, callback?: () => void): Promise<void> | void {
    if (typeof error === "function") return void this.destroy().then(error)
    if (callback !== undefined) return void this.destroy(error).then(callback)
    this.#state = "destroyed"
    const cause = error ?? new errors.ClientDestroyedError()
    for (let next = this.#next(); next !== undefined; next = this.#next()) next.handler.onError?.(cause)
    return this.#each((client) => client.destroy(cause))
  }

  async #each(end: (client: Client) => Promise<void>): Promise<void> {
    await Promise.all(this.#all.map(({ client }) => (client.destroyed ? undefined : end(client))))
  }

  #grown(): Connection | null {
    if (this.#all.length >= this.#most) return null
    const connection: Connection = { client: this.#make(), isFree: false }
    connection.client.on("drain", () => this.#freed(connection))
    this.#all.push(connection)
    return connection
  }

  #call(connection: Connection, options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void {
    connection.isFree = false
    // It is busy now, unless the call has ended already; then it may say so once more.
    if (connection.client.dispatch(options, handler)) this.#freed(connection)
  }

  #freed(connection: Connection): void {
    if (connection.isFree) return
    const next = this.#next()
    if (next !== undefined) return this.#call(connection, next.options, next.handler)
    connection.isFree = true
    this.#free.push(connection)
  }

  #next(): Waiting | undefined {
    const next = this.#waiting.shift()
    if (next !== undefined && this.#waiting.length === 0) this.#onEmpty?.()
    return next
  }
}
