import { assert } from "@effect/vitest"
import { request } from "../../support/conduit.ts"
import { type Cell, lock, lockAwaited } from "../../support/hostile.ts"
import { query } from "../../support/postgres.ts"
import { eventually } from "../../support/traffic.ts"

export const term = ({ conduit }: Cell) => Promise.resolve(conduit().kill("SIGTERM"))

export const expectStatus = async (
  answer: Promise<{ readonly status: number; readonly text: string }>,
  status: number
) => {
  const got = await answer
  if (got.status !== status) throw new Error(`the held request: ${got.status} ${got.text}`)
}

const releases = new WeakMap<Cell, () => Promise<void>>()

/** Once PostgreSQL is in trouble the process waits for it at its start. */
export const launchUnready = async (cell: Cell) => {
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

/** Its lock holds up the transaction that migrates. */
export const launchMigrating = async (cell: Cell) => {
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
export const assertUnmigrated = async (cell: Cell) => {
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
export const termTwice = async ({ conduit }: Cell, reached: () => Promise<unknown>) => {
  conduit().kill("SIGTERM")
  await reached()
  conduit().kill("SIGTERM")
}

/** Where PostgreSQL is up, what holds the snapshot up is one connection that nothing comes through any more. */
export const holdSnapshot = ({ postgres, proxy }: Cell): Promise<unknown> =>
  postgres === "up" ? proxy.holdNext("INSERT INTO bandit_snapshots") : Promise.resolve()

export const settles = (cell: Cell) => eventually("it settles", 10_000, () => expectPhase(cell, "settle"))

/** After a start that was held up: what held it goes, and the next one comes up. */
export const startAgain = async (cell: Cell) => {
  await releases.get(cell)?.()
  await cell.assertLearned()
}

/** The first export comes with the flush; a machine that is too slow to send it in its time has ended. */
export const exportOrEnd = ({ collector, conduit }: Cell) =>
  Promise.race([
    collector().until("an export", () => collector().asked() || undefined, 60_000),
    conduit().ended(60_000)
  ])

/** Until its lines come out of stderr. What is in the pipe is read after the end. */
export const fillStdout = async ({ ask, conduit }: Cell) => {
  const { child, stderr } = conduit()
  child.stdout?.pause()
  child.once("exit", () => child.stdout?.resume())
  for (let asked = 0; stderr() === ""; asked += 20) {
    if (asked > 2_000) throw new Error("stdout does not get full")
    await Promise.all(Array.from({ length: 20 }, ask))
  }
}
