import { ArrayQueue } from "../../domain/basics/ArrayQueue.ts"
import type { Flow } from "./FairShare.ts"

/** One that waits, or has waited. */
export interface Ticket<A> {
  readonly item: A
  readonly flow: Flow
  /** Monotonic milliseconds. */
  readonly since: number
  /** It had its turn, or has left. */
  isOver: boolean
}

/** The tickets of one flow. */
interface Line<A> {
  readonly flow: Flow
  readonly tickets: ArrayQueue<Ticket<A>>
  /** Without those that have left, which are skipped at their turn. */
  length: number
}

/**
 * A line for each flow, and one of each in turn: who sends much waits behind its own (round robin, Nagle, RFC 970). In one flow
 * the order is that of arrival. Nothing is refused here: who adds looks at `ahead` first.
 * Whole, because each step keeps the lines, the turns and the order of all in step.
 */
export class FairQueue<A> {
  readonly #lines = new Map<Flow, Line<A>>()
  readonly #turns = new ArrayQueue<Line<A>>()
  /** All in the order in which they came. */
  readonly #all = new ArrayQueue<Ticket<A>>()
  #length = 0

  get length(): number {
    return this.#length
  }

  /** Whether one of the flow waits. */
  has(flow: Flow): boolean {
    return this.#lines.has(flow)
  }

  /** How many have their turn before one that this flow would add now. */
  ahead(flow: Flow): number {
    const mine = this.#lines.get(flow)?.length ?? 0
    if (this.#length === mine) return mine
    let sum = 0
    for (const { length } of this.#lines.values()) sum += Math.min(length, mine + 1)
    return sum
  }

  add(item: A, flow: Flow, since: number): Ticket<A> {
    const ticket = { item, flow, since, isOver: false }
    let line = this.#lines.get(flow)
    if (line === undefined) {
      line = { flow, tickets: new ArrayQueue<Ticket<A>>(), length: 0 }
      this.#lines.set(flow, line)
      this.#turns.push(line)
    }
    line.tickets.push(ticket)
    this.#all.push(ticket)
    line.length++
    this.#length++
    return ticket
  }

  /** The next in turn, which waits no longer. */
  take(): Ticket<A> | null {
    for (let line = this.#turns.shift(); line !== undefined; line = this.#turns.shift()) {
      const ticket = firstThere(line.tickets)
      line.tickets.shift()
      if (ticket !== undefined) this.#over(ticket, line)
      if (line.length > 0) this.#turns.push(line)
      if (ticket !== undefined) return ticket
    }
    return null
  }

  /** Gives up the place of one that waits no longer. */
  leave(ticket: Ticket<A>): void {
    const line = ticket.isOver ? undefined : this.#lines.get(ticket.flow)
    if (line !== undefined) this.#over(ticket, line)
  }

  /** Since when the one waits that has waited longest; null where nobody does. */
  oldestSince(): number | null {
    return firstThere(this.#all)?.since ?? null
  }

  #over(ticket: Ticket<A>, line: Line<A>): void {
    ticket.isOver = true
    line.length--
    this.#length--
    if (line.length === 0) this.#lines.delete(line.flow)
    firstThere(this.#all)
  }
}

/** The first that is not over; those before it are forgotten. */
const firstThere = <A>(tickets: ArrayQueue<Ticket<A>>): Ticket<A> | undefined => {
  for (;;) {
    const { first } = tickets
    if (first === undefined || !first.isOver) return first
    tickets.shift()
  }
}
