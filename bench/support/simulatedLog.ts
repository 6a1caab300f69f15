import * as Either from "effect/Either"
import { decodeEvents, encodeEvents } from "../../src/domain/learning/EventCodec.ts"
import * as Fold from "../../src/domain/learning/Fold.ts"
import * as Learning from "../../src/domain/learning/LearnedState.ts"
import * as H from "../../src/domain/learning/bandit/Hierarchical.ts"
import type { LearningEvent } from "../../src/domain/learning/LearningEvent.ts"
import { dimension } from "../../src/domain/routing/LexicalFeatures.ts"
import type { Engine } from "./engine.ts"
import { eventsOf, firstEvents } from "./events.ts"

export interface Simulated {
  readonly engine: Engine
  /** There and back. */
  readonly networkMs: number
  /** Events a second of all replicas. */
  readonly rate: number
  readonly replicas: number
  readonly virtualMs: number
}

/** What a run has shown. Times are virtual milliseconds. */
export interface Carried {
  readonly rate: number
  readonly virtualMs: number
  readonly commits: number
  readonly events: number
  /** All payloads together, which each replica reads but its own. */
  readonly payloadBytes: number
  /** Of each judgement, from when it came to when it is answered. */
  readonly acknowledgedMs: ReadonlyArray<number>
  /** Share of the time in which a commit is in its turn, [0, 1]. */
  readonly engineBusy: number
  /** Of each commit, from when it was stored to when a follower has folded it. */
  readonly lagMs: ReadonlyArray<number>
  /** Of one follower, as its process spends it. */
  readonly followerBusyMs: number
  /** Events that no commit had taken at the end. */
  readonly waiting: number
}

/** As the service has them: of a commit, in events, and of a page, in commits. */
const batchSize = 1_000
const pageSize = 500
/** Those whose folding is carried out; the others do the same. */
const followers = 2

interface Stored {
  readonly atMs: number
  readonly payload: Uint8Array
  readonly events: number
}

/** A replica's appending side: what has come and waits, and when its next commit begins. */
class Appender {
  /** When each event came that waits. */
  #came: Array<number> = []
  #nextMs: number
  readonly #everyMs: number

  constructor(phase: number, everyMs: number) {
    this.#everyMs = everyMs
    this.#nextMs = phase * everyMs
  }

  /** When the next event comes, or the oldest that waits came. */
  get oldestMs(): number {
    return this.#came[0] ?? this.#nextMs
  }

  get waiting(): number {
    return this.#came.length
  }

  hear(untilMs: number): void {
    for (; this.#nextMs <= untilMs; this.#nextMs += this.#everyMs) this.#came.push(this.#nextMs)
  }

  take(): ReadonlyArray<number> {
    const taken = this.#came.slice(0, batchSize)
    this.#came = this.#came.slice(batchSize)
    return taken
  }
}

/** Folds pages of the log for as long as that takes. */
class Follower {
  readonly fold = Fold.make(Learning.make(H.defaultParameters, dimension), 0)
  readonly lagMs: Array<number> = []
  busyMs = 0
  #freeMs = 0
  #next = 0

  /** Reads until nothing is left that was stored by then. */
  follow(log: ReadonlyArray<Stored>, engine: Engine, networkMs: number, untilMs = Number.POSITIVE_INFINITY): void {
    for (;;) {
      const first = log[this.#next]
      if (first === undefined) return
      // It is told of the first commit behind its position, or has been already.
      const beganMs = Math.max(this.#freeMs, first.atMs + networkMs / 2)
      if (beganMs >= untilMs) return
      const page: Array<Stored> = []
      for (let i = this.#next; page.length < pageSize; i++) {
        const stored = log[i]
        if (stored === undefined || stored.atMs > beganMs) break
        page.push(stored)
      }
      const events = page.reduce((sum, stored) => sum + stored.events, 0)
      const foldedMs = this.#folded(page)
      this.busyMs += foldedMs + engine.pageCpuMs + events * engine.pageEventMs
      this.#freeMs = beganMs + networkMs + engine.pageMs + events * engine.pageEventMs + foldedMs
      for (const { atMs } of page) this.lagMs.push(this.#freeMs - atMs)
      this.#next += page.length
    }
  }

  /** Folds it, and returns the milliseconds that it took. */
  #folded(page: ReadonlyArray<Stored>): number {
    const startedMs = performance.now()
    for (const { payload } of page) {
      const position = Fold.position(this.fold) + 1
      Fold.apply(this.fold, {
        position,
        commitId: String(position),
        events: Either.getOrThrow(decodeEvents(payload))
      })
    }
    return performance.now() - startedMs
  }
}

/**
 * Runs the replicas' appending and following in virtual time. A replica has one commit on its way, which takes what came
 * meanwhile; commits of all replicas wait for each other in the engine, first come, first served, for the part that it does in turn. Throws if two followers, which
 * read other pages, do not end with the same bits.
 */
export const simulate = (options: Simulated): Carried => {
  const { engine, networkMs, rate, replicas, virtualMs } = options
  const appenders = Array.from({ length: replicas }, (_, i) => new Appender((i * 0.618) % 1, (1000 * replicas) / rate))
  const source = eventsOf(Math.ceil((rate * virtualMs * 2) / 1000))
  const log: Array<Stored> = [{ atMs: 0, payload: encodeEvents(firstEvents()), events: 0 }]
  const acknowledgedMs: Array<number> = []
  let engineFreeMs = 0
  let engineBusyMs = 0
  let seen = 0

  // When each replica's next commit reaches the engine; null while none is begun.
  const due = appenders.map(({ oldestMs }) => oldestMs + networkMs / 2)
  for (;;) {
    let next = 0
    for (let i = 1; i < due.length; i++) if ((due[i] ?? 0) < (due[next] ?? 0)) next = i
    const arrivedMs = due[next] ?? 0
    const appender = appenders[next]
    if (appender === undefined || arrivedMs >= virtualMs) break
    appender.hear(arrivedMs - networkMs / 2)
    const came = appender.take()
    const beganMs = Math.max(arrivedMs, engineFreeMs)
    const serialMs = engine.serialMs + engine.serialEventMs * came.length
    engineFreeMs = beganMs + serialMs
    engineBusyMs += serialMs
    // A commit is visible after those before it.
    const storedMs = Math.max(log.at(-1)?.atMs ?? 0, beganMs + engine.commitMs + engine.eventMs * came.length)
    log.push({ atMs: storedMs, payload: encodeEvents(taken(source, came.length)), events: came.length })
    const answeredMs = storedMs + networkMs / 2
    // Outcomes are offered and judgements waited for, in turn.
    for (const cameMs of came) if (seen++ % 2 === 1) acknowledgedMs.push(answeredMs - cameMs)
    due[next] = Math.max(answeredMs, appender.oldestMs) + networkMs / 2
  }

  const all = Array.from({ length: followers }, () => new Follower())
  // One of them is away for the first half.
  for (const [i, follower] of all.entries())
    follower.follow(i === 0 ? log : shifted(log, virtualMs / 2), engine, networkMs)
  const [first, ...others] = all.map(({ fold }) => Buffer.from(Fold.encode(fold)).toString("base64"))
  if (others.some((bits) => bits !== first)) throw new Error("two followers of one log hold different bits")
  for (const appender of appenders) appender.hear(virtualMs)
  return {
    rate,
    virtualMs,
    commits: log.length - 1,
    events: log.reduce((sum, stored) => sum + stored.events, 0),
    payloadBytes: log.reduce((sum, stored) => sum + stored.payload.length, 0),
    acknowledgedMs,
    engineBusy: engineBusyMs / Math.max(virtualMs, engineFreeMs),
    lagMs: all[0]?.lagMs ?? [],
    followerBusyMs: all[0]?.busyMs ?? 0,
    waiting: appenders.reduce((sum, appender) => sum + appender.waiting, 0)
  }
}

/** As somebody sees the log who looks for the first time then. */
const shifted = (log: ReadonlyArray<Stored>, fromMs: number): ReadonlyArray<Stored> =>
  log.map((stored) => ({ ...stored, atMs: Math.max(stored.atMs, fromMs) }))

const taken = (source: Iterator<LearningEvent>, count: number): ReadonlyArray<LearningEvent> =>
  Array.from({ length: count }, () => {
    const { done, value } = source.next()
    if (done === true) throw new Error("the simulation ran out of events")
    return value
  })
