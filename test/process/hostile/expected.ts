import type { Postgres } from "../../support/hostile.ts"
import type { Report } from "../../../src/services/running/ShutdownReport.ts"

/** Exit code and outcome; 137 is the end by SIGKILL. */
export type End = `${number} ${Report["outcome"]}`

/** What design.md, section 3, promises for a cell. */
export interface Expected {
  /** One, unless it depends on which of two things comes first. */
  readonly ends: ReadonlyArray<End>
  /** The tags of the report's errors, in their order. */
  readonly errors: ReadonlyArray<string>
  /** The sum of the limits that this cell has to wait for. */
  readonly waitsMs: number
}

export const persistMs = 800
/** Shorter than the time-out of a connection, by which the driver gives its cancellation up: the pool could end with it. */
export const closeMs = 500
export const terminateMs = 1_000
export const flushMs = 500
export const drainMs = 1_000
/** What each step has after a second signal; of close, what busy connections have before they are terminated. */
export const forcedMs = { step: 2_000, close: 800 }

export const drains = { CONDUIT_SHUTDOWN_TIMEOUT: `${drainMs} millis` }
export const persists = { CONDUIT_SHUTDOWN_PERSIST_TIMEOUT: `${persistMs} millis` }
export const closes = { CONDUIT_SHUTDOWN_CLOSE_TIMEOUT: `${closeMs} millis` }

/** Limits that no cell reaches, for steps that a second signal cuts. */
export const unreachable = {
  CONDUIT_SHUTDOWN_TIMEOUT: "12 seconds",
  CONDUIT_SHUTDOWN_PERSIST_TIMEOUT: "12 seconds",
  CONDUIT_SHUTDOWN_CLOSE_TIMEOUT: "12 seconds"
}

/** Where PostgreSQL is away, what waits for it has short limits; where it is up, nothing but the situation itself waits. */
export const limitsFor = (postgres: Postgres): Readonly<Record<string, string>> =>
  postgres === "up" ? {} : { ...persists, ...closes }

/** What the database does to persist and close. */
export const troubles: Readonly<Record<Postgres, Pick<Expected, "errors" | "waitsMs">>> = {
  up: { errors: [], waitsMs: 0 },
  down: { errors: ["PersistFailed"], waitsMs: persistMs },
  silent: { errors: ["PersistTimeout", "PoolCloseTimeout"], waitsMs: persistMs + closeMs + terminateMs }
}
/** The same after a second signal. */
export const forcedTroubles: typeof troubles = {
  up: troubles.up,
  down: { errors: ["PersistFailed"], waitsMs: forcedMs.step },
  silent: { errors: ["PersistTimeout", "PoolCloseTimeout"], waitsMs: forcedMs.step + forcedMs.close + terminateMs }
}

type Ends = Readonly<Record<Postgres, End | ReadonlyArray<End>>>

/** The errors are the situation's own, what the database adds, and what is known last. */
export const ending = (
  ends: Ends,
  own: {
    readonly first?: string
    readonly last?: string
    readonly waitsMs?: number
    readonly troubles?: typeof troubles
  } = {}
): Readonly<Record<Postgres, Expected>> => {
  const of = (postgres: Postgres): Expected => {
    const { errors, waitsMs } = (own.troubles ?? troubles)[postgres]
    return {
      ends: [ends[postgres]].flat(),
      errors: [
        ...(own.first === undefined ? [] : [own.first]),
        ...errors,
        ...(own.last === undefined ? [] : [own.last])
      ],
      waitsMs: (own.waitsMs ?? 0) + waitsMs
    }
  }
  return { up: of("up"), down: of("down"), silent: of("silent") }
}

/** The same wherever PostgreSQL is. */
const always = (expected: Expected): Readonly<Record<Postgres, Expected>> => ({
  up: expected,
  down: expected,
  silent: expected
})

export const likeIdle: Ends = { up: "0 clean", down: "3 dirty", silent: "3 dirty" }
export const withErrors: Ends = { up: "2 dirty", down: "3 dirty", silent: "3 dirty" }
export const forced: Ends = { up: "2 forced", down: "3 forced", silent: "3 forced" }
export const failed: Ends = { up: "1 failed", down: "1 failed", silent: "1 failed" }

/** Nothing was served, so nothing is waited for. */
export const nothingServed = always({ ends: ["0 clean"], errors: [], waitsMs: 0 })

/** All limits together. */
export const watchdog = always({
  ends: ["137 watchdog"],
  errors: [],
  waitsMs: drainMs + persistMs + closeMs + terminateMs + flushMs
})

/** A snapshot that a connection does not bring through. */
export const heldSnapshot = (waitsMs: number) => ({ errors: ["PersistTimeout", "PoolCloseTimeout"], waitsMs })
