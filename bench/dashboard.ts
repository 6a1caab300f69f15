// What the dashboard waits for, with so many decisions behind it in the last quarter of an hour: every answer that its panels
// are made of, and the longest frame of its page, while requests come in. Needs Chromium.
// node bench/run.mjs dashboard [decisions, 100000] [seconds of each window, 15]
import { setTimeout as sleep } from "node:timers/promises"
import { open, startBrowser } from "../test/support/browser.ts"
import { killAll, request, startConduit } from "../test/support/conduit.ts"
import { query, startPostgres } from "../test/support/postgres.ts"
import { argument, median, quantile, row } from "./support/measure.ts"

const decisions = argument(0, 100_000)
const seconds = argument(1, 15)
const spreadMillis = 840_000

/** Of three models and four tasks; half of them judged, a third streamed. They are added up as they would have been. */
const fill = async (url: string) => {
  const fromMillis = Date.now() - spreadMillis - 5_000
  await query(
    url,
    `INSERT INTO decisions (id, policy_position, propensity, request_input_tokens, router_key, ok, aborted, stream, exploration,
       chosen, answered_by, algorithm, version, features_version, preference, reason, task, input_tokens, output_tokens, cost_usd,
       latency_ms, first_token_ms, learned_quality, learned_weight, features, models, predictions)
     SELECT (left(lpad(to_hex(ms), 12, '0'), 8) || '-' || right(lpad(to_hex(ms), 12, '0'), 4) || '-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid,
       1, 0.5, 100, (SELECT key FROM routers), true, false, false, false, model, model, 'thompson', '1', 'lexical-1', 'balanced', 'best',
       'task-' || 1 + (i / 3) % 4, 431, 212, 0.000123, 500 + i * 7919 % 3000, CASE WHEN i % 3 = 0 THEN 200 + i % 500 END,
       CASE WHEN i % 2 = 0 THEN 0.8 END, CASE WHEN i % 2 = 0 THEN 1 END, decode(repeat('00', 96), 'hex'),
       'sim-small,sim-medium,sim-large', '{0.5,0.1,0.001,1,0.5,0.3,0.5,0.1,0.001,1,0.5,0.3,0.5,0.1,0.001,1,0.5,0.3}'
     FROM (SELECT i, ${fromMillis}::bigint + i::bigint * ${spreadMillis} / ${decisions} AS ms,
       (ARRAY['sim-small', 'sim-medium', 'sim-large'])[1 + i % 3] AS model FROM generate_series(0, ${decisions - 1}) i) t`
  )
  await query(url, "ANALYZE decisions")
}

/** Until all of it is in the sums. */
const summed = async (url: string) => {
  for (;;) {
    const [left] = await query<{ count: number; from: string | null }>(
      url,
      "SELECT (SELECT count(*) FROM decision_changes)::int AS count, (SELECT summed_from::text FROM summing) AS from"
    )
    if (left !== undefined && left.count < 100 && left.from === "00000000-0000-0000-0000-000000000000") return
    await sleep(500)
  }
}

const postgres = await startPostgres()
try {
  const conduit = await startConduit({
    databaseUrl: postgres.url,
    env: { CONDUIT_ROUTER_ID: "watched", CONDUIT_SIMULATE: "true" }
  })
  await request(`${conduit.url}/v1/route`, { body: { prompt: "hello" } })
  await fill(postgres.url)
  await summed(postgres.url)
  const browser = await startBrowser()
  const { page } = await open(browser, conduit.url)
  await page.locator("#share canvas").waitFor()
  await page.evaluate(`
    window.frames = [];
    new PerformanceObserver((list) => { for (const one of list.getEntries()) window.frames.push(one.duration) })
      .observe({ type: "long-animation-frame" });
    performance.clearResourceTimings(); performance.setResourceTimingBufferSize(5000)`)
  for (const label of ["15 min", "1 hour", "24 hours"]) {
    await page.getByText(label, { exact: true }).click()
    const endsAt = Date.now() + 1000 * seconds
    while (Date.now() < endsAt) {
      await request(`${conduit.url}/v1/chat/completions`, {
        body: { model: "auto", messages: [{ role: "user", content: "hello" }], conduit: { task: "task-1" } }
      })
      await sleep(200)
    }
  }
  const timings = await page.evaluate<ReadonlyArray<{ name: string; duration: number }>>(
    `performance.getEntriesByType("resource").map(({ duration, name }) => ({ duration, name }))`
  )
  const frames = await page.evaluate<ReadonlyArray<number>>("window.frames")
  row(`${decisions} decisions, milliseconds`, ["median", "95 %", "most", "asked"])
  const names = timings.map(({ name }) => decodeURIComponent(name.slice(conduit.url.length)))
  for (const name of new Set(names)) {
    const durations = timings.flatMap(({ duration }, i) => (names[i] === name ? [duration] : []))
    console.log(name)
    row("", [median(durations), quantile(durations, 0.95), Math.max(...durations), String(durations.length)])
  }
  row("frames of more than 50 ms", [
    frames.length === 0 ? "none" : median(frames),
    frames.length === 0 ? "" : quantile(frames, 0.95),
    frames.length === 0 ? "" : Math.max(...frames),
    String(frames.length)
  ])
  await browser.close()
} finally {
  await killAll()
  await postgres.dispose()
}
