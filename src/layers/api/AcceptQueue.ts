import * as Effect from "effect/Effect"
import type * as Http from "node:http"
import type { Socket } from "node:net"

/** The queue is taken to be empty after so many turns of the event loop without a new connection: node takes few a turn. */
const quietTurns = 2
/** What a client has after its connection is accepted to send the head of a request. */
const headMillis = 100
const limitMillis = 500

/** The connections on which nothing has been asked yet. */
export class AcceptQueue {
  /** When each was accepted, monotonic milliseconds. */
  readonly #fresh = new Map<Socket, number>()
  #accepted = 0
  #closed = 0

  constructor(server: Http.Server) {
    server.on("connection", (socket) => {
      this.#accepted++
      this.#fresh.set(socket, performance.now())
      socket.once("close", () => {
        this.#closed++
        this.#fresh.delete(socket)
      })
    })
  }

  /** How many connections have come out of the queue so far. */
  get accepted(): number {
    return this.#accepted
  }

  /** How many of them are there. */
  get open(): number {
    return this.#accepted - this.#closed
  }

  /** To be called for each request: whether it is the first on its connection. */
  asked(socket: Socket): boolean {
    return this.#fresh.delete(socket)
  }

  /** Completes when no connection waits to be accepted, and none that has just come has still to be heard. */
  readonly taken: Effect.Effect<void> = Effect.async((resume) => {
    const startedAt = performance.now()
    let seen = this.#accepted
    let quiet = 0
    const look = () => {
      const now = performance.now()
      quiet = this.#accepted === seen ? quiet + 1 : 0
      seen = this.#accepted
      const isOver = now - startedAt >= limitMillis || (quiet >= quietTurns && !this.#isToBeHeard(now))
      if (isOver) resume(Effect.void)
      else turn = setImmediate(look)
    }
    let turn = setImmediate(look)
    return Effect.sync(() => clearImmediate(turn))
  })

  #isToBeHeard(now: number): boolean {
    for (const acceptedAt of this.#fresh.values()) if (now - acceptedAt < headMillis) return true
    return false
  }
}
