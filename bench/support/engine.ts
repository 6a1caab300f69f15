import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { RouterId } from "../../src/domain/basics/Ids.ts"
import { Database } from "../../src/services/storage/Database.ts"
import { databaseAt } from "../../test/support/closing.ts"
import { commitOf, feedbackOn, recordOf } from "../../test/support/learningRecords.ts"
import { startPostgres } from "../../test/support/postgres.ts"
import { median } from "./measure.ts"

/** What an engine takes for a commit of so many events, and for a page of the log. */
export interface Engine {
  readonly name: string
  readonly commitMs: number
  readonly eventMs: number
  /** Of these, what commits of one router take one after the other, however many replicas there are. */
  readonly serialMs: number
  readonly serialEventMs: number
  readonly pageMs: number
  /** Of `pageMs`, what the reading process itself spends. */
  readonly pageCpuMs: number
  readonly pageEventMs: number
}

const rounds = 30
/** Commits at once, for what they do one after the other: on a machine of few cores that has their share of these, too. */
const atOnce = 8
/** Decisions, each with its outcome and a judgement: two events. */
const few = 1
const many = 250

/** A line through two medians. */
const fitted = (fewMs: ReadonlyArray<number>, manyMs: ReadonlyArray<number>, perStep: number) => {
  const slope = Math.max(0, (median(manyMs) - median(fewMs)) / perStep)
  return { slope, base: Math.max(0, median(fewMs) - slope) }
}

/** A real PostgreSQL with fsync as it comes, by the service's own statements: decisions, feedback, sums and the log. */
export const measuredEngine = async (): Promise<Engine> => {
  const postgres = await startPostgres()
  try {
    return await Effect.runPromise(Effect.provide(measured, databaseAt(postgres.url)))
  } finally {
    await postgres.dispose()
  }
}

const measured = Effect.gen(function* () {
  const database = yield* Database
  const { id } = yield* database.router(Option.some(RouterId("scale")))
  const commit = (decisions: number) => {
    const records = Array.from({ length: decisions }, () => recordOf(id))
    return database.commit(
      commitOf(id, { decisions: records, feedback: records.map(({ decision }) => feedbackOn(decision.id)) })
    )
  }
  const timed = <A, E>(effect: Effect.Effect<A, E>) =>
    Effect.gen(function* () {
      const startedMs = performance.now()
      const cpu = process.cpuUsage()
      yield* effect
      const { system, user } = process.cpuUsage(cpu)
      return { millis: performance.now() - startedMs, cpuMillis: (system + user) / 1000 }
    })
  const repeated = <A, E>(effect: Effect.Effect<A, E>) => Effect.replicateEffect(timed(effect), rounds)
  yield* repeated(commit(few))
  const small = yield* repeated(commit(few))
  const large = yield* repeated(commit(many))
  const events = 2 * (many - few)
  const commits = fitted(
    small.map(({ millis }) => millis),
    large.map(({ millis }) => millis),
    events
  )

  const inTurn = (decisions: number) =>
    Effect.map(
      timed(
        Effect.all(
          Array.from({ length: rounds * atOnce }, () => commit(decisions)),
          { concurrency: atOnce, discard: true }
        )
      ),
      ({ millis }) => millis / (rounds * atOnce)
    )
  const serial = fitted([yield* inTurn(few)], [yield* inTurn(many)], events)

  const end = yield* database.position(id)
  const read = (limit: number) => database.readLog(id, { after: end - limit, limit, overlap: 64 })
  const one = yield* repeated(read(1))
  const pages = yield* repeated(read(10))
  const page = fitted(
    one.map(({ millis }) => millis),
    pages.map(({ millis }) => millis),
    9 * 2 * many
  )
  return {
    name: "PostgreSQL",
    commitMs: commits.base,
    eventMs: commits.slope,
    serialMs: Math.min(serial.base, commits.base),
    serialEventMs: Math.min(serial.slope, commits.slope),
    pageMs: page.base,
    pageCpuMs: median(one.map(({ cpuMillis }) => cpuMillis)),
    pageEventMs: page.slope
  }
})
