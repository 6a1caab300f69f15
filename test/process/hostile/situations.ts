import { assert } from "@effect/vitest"
import type { Report } from "../../../src/services/ShutdownReport.ts"
import { binary, type ConduitOptions, request } from "../../support/conduit.ts"
import { type Cell, hooked, lock, lockAwaited, type Postgres, preloaded } from "../../support/hostile.ts"
import { query } from "../../support/postgres.ts"
import { eventually } from "../../support/traffic.ts"

type Outcome = Report["outcome"]

/** What design.md, section 3, promises for a cell. */
export interface Expected {
  /** 137 is the end by SIGKILL. */
  readonly exit: number
  /** One, unless it depends on which of two things comes first. */
  readonly outcomes: ReadonlyArray<Outcome>
  /** The tags of the report's errors, in their order. */
  readonly errors: ReadonlyArray<string>
  /** The sum of the limits that this cell has to wait for. */
  readonly waitsMs: number
}

export interface Situation {
  readonly name: string
  readonly process?: Partial<ConduitOptions>
  /** The database has no schema yet. */
  readonly isEmpty?: boolean
  /** Instead of a start on a database whose schema is there, and of the first clients. */
  readonly launch?: (cell: Cell) => Promise<void>
  /** Up to and with the signal. What it answers is looked at after the end. */
  readonly act: (cell: Cell) => Promise<unknown>
  readonly expected: Readonly<Record<Postgres, Expected>>
  /** Instead of comparing what is stored. */
  readonly after?: (cell: Cell, report: Report) => Promise<void>
}

const persistMs = 800
/** Shorter than the time-out of a connection, by which the driver gives its cancellation up: the pool could end with it. */
const closeMs = 500
const terminateMs = 1_000
const flushMs = 500
const drainMs = 1_000
/** What each step has after a second signal; of close, what busy connections have before they are terminated. */
const forcedMs = { step: 2_000, close: 800 }

const drains = { CONDUIT_SHUTDOWN_TIMEOUT: `${drainMs} millis` }
const persists = { CONDUIT_SHUTDOWN_PERSIST_TIMEOUT: `${persistMs} millis` }
const closes = { CONDUIT_SHUTDOWN_CLOSE_TIMEOUT: `${closeMs} millis` }

/** Limits that no cell reaches, for steps that a second signal cuts. */
const unreachable = {
  CONDUIT_SHUTDOWN_TIMEOUT: "12 seconds",
  CONDUIT_SHUTDOWN_PERSIST_TIMEOUT: "12 seconds",
  CONDUIT_SHUTDOWN_CLOSE_TIMEOUT: "12 seconds"
}

/** Where PostgreSQL is away, what waits for it has short limits; where it is up, nothing but the situation itself waits. */
export const limitsFor = (postgres: Postgres): Readonly<Record<string, string>> =>
  postgres === "up" ? {} : { ...persists, ...closes }

/** What the database does to persist and close. */
const troubles: Readonly<Record<Postgres, Pick<Expected, "errors" | "waitsMs">>> = {
  up: { errors: [], waitsMs: 0 },
  down: { errors: ["PersistFailed"], waitsMs: persistMs },
  silent: { errors: ["PersistTimeout", "PoolCloseTimeout"], waitsMs: persistMs + closeMs + terminateMs }
}
/** The same after a second signal. */
const forcedTroubles: typeof troubles = {
  up: troubles.up,
  down: { errors: ["PersistFailed"], waitsMs: forcedMs.step },
  silent: { errors: ["PersistTimeout", "PoolCloseTimeout"], waitsMs: forcedMs.step + forcedMs.close + terminateMs }
}

type Ends = Readonly<Record<Postgres, `${number} ${Outcome}`>>

/** Exit and outcome; the errors are the situation's own, what the database adds, and what is known last. */
const ending = (
  ends: Ends,
  own: {
    readonly first?: string
    readonly last?: string
    readonly waitsMs?: number
    readonly troubles?: typeof troubles
  } = {}
): Situation["expected"] => {
  const of = (postgres: Postgres): Expected => {
    const [exit, outcome] = ends[postgres].split(" ")
    const { errors, waitsMs } = (own.troubles ?? troubles)[postgres]
    return {
      exit: Number(exit),
      outcomes: [outcome as Outcome],
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

const likeIdle: Ends = { up: "0 clean", down: "3 dirty", silent: "3 dirty" }
const withErrors: Ends = { up: "2 dirty", down: "3 dirty", silent: "3 dirty" }
const forced: Ends = { up: "2 forced", down: "3 forced", silent: "3 forced" }

/** The same wherever PostgreSQL is. */
const always = (expected: Expected): Situation["expected"] => ({ up: expected, down: expected, silent: expected })

const term = ({ conduit }: Cell) => Promise.resolve(conduit().kill("SIGTERM"))

const expectStatus = async (answer: Promise<{ readonly status: number; readonly text: string }>, status: number) => {
  const got = await answer
  if (got.status !== status) throw new Error(`the held request: ${got.status} ${got.text}`)
}

const releases = new WeakMap<Cell, () => Promise<void>>()

/** Once PostgreSQL is in trouble the process waits for it at its start. */
const launchUnready = async (cell: Cell) => {
  if (cell.postgres !== "up") {
    await cell.trouble()
    await cell.start({ isUnready: true })
    return cell.postgres === "down"
      ? void (await cell.conduit().logged("Waiting up to"))
      : void (await eventually("it connects", 15_000, () => (cell.proxy.connections() > 0 ? true : undefined)))
  }
  const { release } = await lock(cell.database.url, "LOCK TABLE routers IN ACCESS EXCLUSIVE MODE")
  releases.set(cell, release)
  await cell.start({ isUnready: true })
  await lockAwaited(cell.database.url)
}

/** Nothing was served, so nothing is waited for. */
const nothingServed = always({ exit: 0, outcomes: ["clean"], errors: [], waitsMs: 0 })

/** All limits together. */
const watchdog = always({
  exit: 137,
  outcomes: ["watchdog"],
  errors: [],
  waitsMs: drainMs + persistMs + closeMs + terminateMs + flushMs
})

/** Its lock holds up the transaction that migrates. */
const launchMigrating = async (cell: Cell) => {
  const { url } = cell.database
  await query(
    url,
    "CREATE TABLE conduit_migrations (migration_id integer PRIMARY KEY, created_at timestamptz NOT NULL DEFAULT now(), name text NOT NULL)"
  )
  const { release } = await lock(url, "LOCK TABLE conduit_migrations IN ROW EXCLUSIVE MODE")
  releases.set(cell, release)
  await cell.start({ isUnready: true })
  await lockAwaited(url)
  await cell.trouble()
  if (cell.postgres === "down") await cell.conduit().logged("Waiting up to")
}
/** Nothing is half migrated, and the next start can do it. */
const assertUnmigrated = async (cell: Cell) => {
  await releases.get(cell)?.()
  const found = await query(cell.database.url, "SELECT to_regclass('decisions') AS found")
  assert.deepStrictEqual(found, [{ found: null }])
  await cell.assertLearned()
}

const expectPhase = async ({ conduit }: Cell, phase: string) => {
  const { json } = await request(`${conduit().url}/health/ready`)
  return json.phase === phase ? true : undefined
}

/** Twice, the second time when the first one has come so far. */
const termTwice = async ({ conduit }: Cell, reached: () => Promise<unknown>) => {
  conduit().kill("SIGTERM")
  await reached()
  conduit().kill("SIGTERM")
}

/** Where PostgreSQL is up, what holds the snapshot up is one connection that nothing comes through any more. */
const holdSnapshot = ({ postgres, proxy }: Cell): Promise<unknown> =>
  postgres === "up" ? proxy.holdNext("INSERT INTO bandit_snapshots") : Promise.resolve()

const heldSnapshot = { errors: ["PersistTimeout", "PoolCloseTimeout"], waitsMs: 0 }

const [persisted, notPersisted] = ["Bandit state persisted successfully", "Failed to persist router state: "]
const [closed, notClosed] = [
  "PostgreSQL connection pool closed gracefully",
  `Pool close timed out after ${closeMs / 1000}s, terminating connections`
]
const saidWhileIdle: Readonly<
  Record<Postgres, { readonly has: ReadonlyArray<string>; readonly hasNot: ReadonlyArray<string> }>
> = {
  up: { has: [persisted, closed], hasNot: [notPersisted, notClosed] },
  down: { has: [notPersisted, closed], hasNot: [persisted, notClosed] },
  silent: { has: [notPersisted, notClosed], hasNot: [persisted, closed] }
}

export const situations: ReadonlyArray<Situation> = [
  {
    name: "a signal during the start",
    launch: launchUnready,
    act: term,
    expected: nothingServed,
    after: async (cell) => {
      await releases.get(cell)?.()
      await cell.assertLearned()
    }
  },
  {
    name: "a signal while migrating",
    isEmpty: true,
    launch: launchMigrating,
    act: term,
    expected: nothingServed,
    after: assertUnmigrated
  },
  {
    name: "a signal while idle",
    act: term,
    expected: ending(likeIdle),
    after: async (cell, report) => {
      const said = cell.conduit().lines.map(({ message }) => String(message))
      const { has, hasNot } = saidWhileIdle[cell.postgres]
      for (const begin of has)
        assert.isTrue(
          said.some((line) => line.startsWith(begin)),
          begin
        )
      for (const begin of hasNot)
        assert.isFalse(
          said.some((line) => line.startsWith(begin)),
          begin
        )
      await cell.assertStored(report)
      await cell.assertLearned()
    }
  },
  {
    name: "a held request",
    act: async (cell) => {
      const { answer, open } = await cell.hold("json")
      cell.conduit().kill("SIGTERM")
      await cell.conduit().logged("Phase 1/3: Draining 1 requests")
      open()
      return expectStatus(answer, 200)
    },
    expected: ending(likeIdle)
  },
  {
    name: "a held request beyond the limit",
    process: { env: drains },
    act: async (cell) => {
      const { answer } = await cell.hold("json")
      cell.conduit().kill("SIGTERM")
      return expectStatus(answer, 503)
    },
    expected: ending(withErrors, { first: "DrainTimeout", waitsMs: drainMs })
  },
  {
    name: "a held stream beyond the limit",
    process: { env: drains },
    act: async (cell) => {
      const { answer } = await cell.hold("stream")
      cell.conduit().kill("SIGTERM")
      const { text } = await answer
      assert.include(text, "event: error\ndata: ")
      assert.notInclude(text, "[DONE]")
    },
    expected: ending(withErrors, { first: "DrainTimeout", waitsMs: drainMs })
  },
  {
    name: "a hung finalizer",
    process: { ...hooked("hang"), env: { ...drains, ...persists, ...closes } },
    act: term,
    expected: watchdog
  },
  {
    name: "a throwing finalizer",
    process: hooked("throw"),
    act: term,
    expected: ending(withErrors, { last: "PhaseDefect" })
  },
  {
    name: "an event loop that is blocked for 3 s",
    process: { ...preloaded(binary), env: { MISBEHAVIOUR: "block" } },
    act: async (cell) => {
      cell.conduit().kill("SIGUSR2")
      await cell.conduit().logged("blocked")
      cell.conduit().kill("SIGTERM")
    },
    expected: ending(likeIdle, { waitsMs: 3_000 })
  },
  {
    name: "an event loop that is blocked for good",
    process: { ...hooked("block"), env: { ...drains, ...persists, ...closes } },
    act: term,
    expected: watchdog,
    after: async (cell, report) => {
      await cell.assertStored(report)
      await cell.assertLearned()
    }
  },
  {
    name: "a second signal while it settles",
    process: { env: { ...unreachable, CONDUIT_SHUTDOWN_SETTLE: "12 seconds" } },
    act: (cell) => termTwice(cell, () => eventually("it settles", 10_000, () => expectPhase(cell, "settle"))),
    expected: ending(forced, { troubles: forcedTroubles })
  },
  {
    name: "a second signal while it drains",
    process: { env: unreachable },
    act: async (cell) => {
      const { answer } = await cell.hold("json")
      await termTwice(cell, () => cell.conduit().logged("Phase 1/3: Draining 1 requests"))
      return expectStatus(answer, 503)
    },
    expected: ending(forced, { first: "DrainTimeout", troubles: forcedTroubles })
  },
  {
    name: "a second signal while it persists",
    process: { env: unreachable },
    act: (cell) => {
      const held = holdSnapshot(cell)
      return termTwice(cell, () => Promise.all([cell.conduit().logged("Phase 2/3"), held]))
    },
    expected: ending(forced, {
      troubles: { ...forcedTroubles, up: { ...heldSnapshot, waitsMs: forcedTroubles.silent.waitsMs } }
    })
  },
  {
    name: "a second signal while it closes the pool",
    process: { env: { ...unreachable, ...persists } },
    act: (cell) => {
      void holdSnapshot(cell)
      return termTwice(cell, () => cell.conduit().logged("Phase 3/3"))
    },
    expected: {
      ...ending(forced, {
        troubles: {
          ...troubles,
          up: { ...heldSnapshot, waitsMs: persistMs + forcedMs.close + terminateMs },
          silent: { ...heldSnapshot, waitsMs: persistMs + forcedMs.close + terminateMs }
        }
      }),
      // Connections that are refused are closed at once, before or after the signal.
      down: { exit: 3, outcomes: ["dirty", "forced"], errors: ["PersistFailed"], waitsMs: persistMs }
    }
  },
  {
    name: "SIGINT with SIGTERM at once",
    process: { env: unreachable },
    act: async (cell) => {
      const { answer } = await cell.hold("json")
      // Both are there when it goes on.
      for (const signal of ["SIGSTOP", "SIGINT", "SIGTERM", "SIGCONT"] as const) cell.conduit().kill(signal)
      return expectStatus(answer, 503)
    },
    expected: ending(forced, { first: "DrainTimeout", troubles: forcedTroubles })
  },
  {
    name: "a reader of stdout that has gone",
    act: async (cell) => {
      cell.conduit().child.stdout?.destroy()
      cell.conduit().kill("SIGTERM")
    },
    expected: ending(likeIdle)
  },
  {
    name: "no stdout at all",
    process: { program: ["sh", "-c", 'exec "$0" "$@" >&-', process.execPath, binary, "serve"], log: "stderr" },
    act: term,
    expected: ending(likeIdle)
  },
  {
    name: "an unhandled rejection",
    process: { ...preloaded(binary), env: { MISBEHAVIOUR: "reject" } },
    act: async (cell) => cell.conduit().kill("SIGUSR2"),
    expected: ending({ up: "1 failed", down: "1 failed", silent: "1 failed" }, { first: "ServiceFailure" }),
    after: async (cell, report) => {
      assert.include(report.errors[0]?.message, "nobody awaits me")
      await cell.assertStored(report)
    }
  }
]
