import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { killAll } from "../../support/conduit.ts"
import { runCommand } from "../../support/command.ts"
import { phases } from "../../../src/services/running/ShutdownReport.ts"
import { makeCell, type Postgres } from "../../support/hostile.ts"
import { patientMs } from "../../support/patience.ts"
import { createDatabase, type TestDatabase } from "../../support/postgres.ts"
import { startUpstream, type Upstream } from "../../support/processMock.ts"
import { limitsFor } from "./expected.ts"
import { type Situation, situations } from "./situations.ts"

/** What a shutdown takes that waits for nothing. */
const plainMs = 500

let migrated: TestDatabase
let upstream: Upstream

beforeAll(async () => {
  migrated = await createDatabase()
  upstream = await startUpstream()
  const { code, stderr } = await runCommand(["migrate"], { env: { DATABASE_URL: migrated.url } })
  assert.strictEqual(code, 0, stderr)
})
afterAll(async () => {
  await killAll()
  await upstream.close()
  await migrated.drop()
})

const run = async (situation: Situation, postgres: Postgres) => {
  const { act, after, expected, exports = false, interrupts = 0, isEmpty, launch, process } = situation
  const cell = await makeCell({
    postgres,
    upstream,
    exports,
    ...(isEmpty === true ? {} : { from: migrated }),
    process: { ...process, env: { ...limitsFor(postgres), ...process?.env } }
  })
  try {
    if (launch === undefined) {
      await cell.start()
      await cell.judge()
      await cell.trouble()
      await cell.ask()
      await cell.ask()
    } else await launch(cell)
    const seen = act(cell)
    seen.catch(() => undefined)

    const { code, report, signal, tookMs } = await cell.conduit().ended(60_000)
    await seen
    const { ends, errors, waitsMs } = expected[postgres]
    const text = JSON.stringify(report)
    assert.include(ends, `${report.exit_code} ${report.outcome}`, text)
    const { exit_code } = report
    assert.deepStrictEqual<unknown>([code, signal], exit_code === 137 ? [null, "SIGKILL"] : [exit_code, null], text)
    assert.deepStrictEqual(
      report.phases.map(({ phase }) => phase),
      [...phases]
    )
    assert.deepStrictEqual(
      report.errors.map(({ _tag }) => _tag),
      [...errors],
      text
    )
    assert.strictEqual(report.requests.interrupted, interrupts, text)
    assert.isAtMost(tookMs, patientMs(3 * (waitsMs + plainMs)), text)
    await (after === undefined ? cell.assertStored(report) : after(cell, report))
  } finally {
    await cell.close()
  }
}

describe.concurrent.each<Postgres>(["up", "down", "silent"])("PostgreSQL %s", (postgres) => {
  for (const situation of situations) it(situation.name, () => run(situation, postgres))
})
