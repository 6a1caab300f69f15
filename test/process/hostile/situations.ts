import { assert } from "@effect/vitest"
import type { Report } from "../../../src/services/running/ShutdownReport.ts"
import { binary, type ConduitOptions } from "../../support/conduit.ts"
import { type Cell, hooked, type Postgres, preloaded, withoutStdout } from "../../support/hostile.ts"
import {
  assertUnmigrated,
  expectStatus,
  exportOrEnd,
  fillStdout,
  holdSnapshot,
  launchMigrating,
  launchUnready,
  settles,
  startAgain,
  term,
  termTwice
} from "./causes.ts"
import {
  closeMs,
  closes,
  drainMs,
  drains,
  ending,
  type Expected,
  failed,
  flushMs,
  forced,
  forcedMs,
  forcedTroubles,
  heldSnapshot,
  likeIdle,
  nothingServed,
  persistMs,
  persists,
  terminateMs,
  troubles,
  unreachable,
  watchdog,
  withErrors
} from "./expected.ts"

export interface Situation {
  readonly name: string
  readonly process?: Partial<ConduitOptions>
  /** The database has no schema yet. */
  readonly isEmpty?: boolean
  /** Telemetry goes to a collector that never answers. */
  readonly exports?: boolean
  /** Instead of a start on a database whose schema is there, and of the first clients. */
  readonly launch?: (cell: Cell) => Promise<void>
  /** Up to and with the signal. What it answers is looked at after the end. */
  readonly act: (cell: Cell) => Promise<unknown>
  readonly expected: Readonly<Record<Postgres, Expected>>
  /** Of the requests that are held. */
  readonly interrupts?: number
  /** Instead of comparing what is stored. */
  readonly after?: (cell: Cell, report: Report) => Promise<void>
}

/** Nothing is exported before the end. */
const exportsLast = { OTEL_BSP_SCHEDULE_DELAY: "600000", OTEL_METRIC_EXPORT_INTERVAL: "600000" }

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
    after: startAgain
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
      const isMissing = (begin: string) => !said.some((line) => line.startsWith(begin))
      assert.deepStrictEqual(has.filter(isMissing), [])
      assert.deepStrictEqual(
        hasNot.filter((begin) => !isMissing(begin)),
        []
      )
      await cell.assertStored(report)
      await cell.assertLearned()
    }
  },
  {
    name: "a signal while idle, with nothing to store",
    launch: async (cell) => {
      await cell.start()
      await cell.judge()
      await cell.flushed()
      await cell.trouble()
    },
    act: term,
    expected: ending({ up: "0 clean", down: "2 dirty", silent: "2 dirty" })
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
    expected: ending(withErrors, { first: "DrainTimeout", waitsMs: drainMs }),
    interrupts: 1
  },
  {
    name: "a held stream beyond the limit",
    process: { env: drains },
    act: async (cell) => {
      const { answer } = await cell.hold("stream")
      cell.conduit().kill("SIGTERM")
      const { text } = await answer
      assert.include(text, "\nevent: error\n\n")
      assert.notInclude(text, "[DONE]")
    },
    expected: ending(withErrors, { first: "DrainTimeout", waitsMs: drainMs }),
    interrupts: 1
  },
  {
    name: "a hung finalizer",
    process: { ...hooked("hang"), env: { ...drains, ...persists, ...closes } },
    act: term,
    expected: watchdog,
    after: async (cell, report) => {
      // What is stored while it hangs is not called lost.
      assert.strictEqual(report.learning.unpersisted, cell.postgres === "up" ? 0 : 2)
      await cell.assertStored(report)
    }
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
    name: "an event loop that is blocked for good, and no stdout",
    process: { ...withoutStdout(hooked("block").command), env: { ...drains, ...persists, ...closes } },
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
    act: (cell) => termTwice(cell, () => settles(cell)),
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
    expected: ending(forced, { first: "DrainTimeout", troubles: forcedTroubles }),
    interrupts: 1
  },
  {
    name: "a second signal while it persists",
    process: { env: unreachable },
    act: (cell) => {
      const held = holdSnapshot(cell)
      return termTwice(cell, () => Promise.all([cell.conduit().logged("Phase 2/3"), held]))
    },
    expected: ending(forced, {
      troubles: { ...forcedTroubles, up: heldSnapshot(forcedTroubles.silent.waitsMs) }
    })
  },
  {
    name: "a second signal while it closes the pool",
    process: { env: { ...unreachable, ...persists } },
    act: (cell) => {
      void holdSnapshot(cell)
      return termTwice(cell, () => cell.conduit().logged("Phase 3/3"))
    },
    // Connections that are refused are closed at once, before or after the signal.
    expected: ending(
      { ...forced, down: ["3 forced", "3 dirty"] },
      {
        troubles: {
          up: heldSnapshot(persistMs + forcedMs.close + terminateMs),
          down: troubles.down,
          silent: heldSnapshot(persistMs + forcedMs.close + terminateMs)
        }
      }
    )
  },
  {
    name: "a second signal while it flushes",
    exports: true,
    process: { env: exportsLast },
    act: (cell) => termTwice(cell, () => exportOrEnd(cell)),
    // It is over before the signal where that comes late: a collector that hangs is waited for 0.25 s.
    expected: ending(
      { up: ["2 forced", "0 clean"], down: ["3 forced", "3 dirty"], silent: ["3 forced", "3 dirty"] },
      { waitsMs: flushMs }
    )
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
    expected: ending(forced, { first: "DrainTimeout", troubles: forcedTroubles }),
    interrupts: 1
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
    name: "a stdout that nobody reads",
    process: { env: { LOG_LEVEL: "DEBUG" } },
    act: async (cell) => {
      await fillStdout(cell)
      cell.conduit().kill("SIGTERM")
    },
    expected: ending(likeIdle)
  },
  {
    name: "no stdout at all",
    process: withoutStdout([binary, "serve"]),
    act: term,
    expected: ending(likeIdle)
  },
  {
    name: "a telemetry exporter that hangs",
    exports: true,
    process: { env: exportsLast },
    act: term,
    expected: ending(likeIdle, { waitsMs: flushMs })
  },
  {
    name: "an unhandled rejection",
    process: { ...preloaded(binary), env: { MISBEHAVIOUR: "reject" } },
    act: async (cell) => cell.conduit().kill("SIGUSR2"),
    expected: ending(failed, { first: "ServiceFailure" }),
    after: async (cell, report) => {
      assert.include(report.errors[0]?.message, "nobody awaits me")
      const said = cell.conduit().lines.filter(({ level }) => level === "ERROR")
      assert.lengthOf(
        said.filter(({ message }) => String(message).includes("nobody awaits me")),
        1
      )
      await cell.assertStored(report)
    }
  }
]
