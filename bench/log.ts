// What the learning log costs: folding many events, their snapshot, the start with a tail to fold, and the bytes of a
// decision in all tables and indexes.
// node bench/run.mjs log [events, 200000; 1000000 takes some minutes] [decisions, 4000]
import { randomUUID } from "node:crypto"
import { setTimeout as sleep } from "node:timers/promises"
import * as Either from "effect/Either"
import * as Pg from "pg"
import { decodeEvents } from "../src/domain/learning/EventCodec.ts"
import * as H from "../src/domain/learning/bandit/Hierarchical.ts"
import { dimension } from "../src/domain/routing/LexicalFeatures.ts"
import * as Learning from "../src/domain/learning/LearnedState.ts"
import { killAll, request, startConduit } from "../test/support/conduit.ts"
import { query, startPostgres, type TestPostgres } from "../test/support/postgres.ts"
import { modelIds, payloads } from "./support/events.ts"
import { load } from "./support/load.ts"
import { argument, peakMiB, row } from "./support/measure.ts"

const events = argument(0, 200_000)
const decisions = argument(1, 4_000)
const seconds = (sinceMs: number) => (performance.now() - sinceMs) / 1000

const folding = () => {
  const learning = Learning.make(H.defaultParameters, dimension)
  let folded = 0
  let position = 0
  let bytes = 0
  let spent = 0
  for (const payload of payloads(events, 20)) {
    bytes += payload.length
    position++
    const startedMs = performance.now()
    for (const event of Either.getOrThrow(decodeEvents(payload))) {
      Learning.fold(learning, position, event)
      folded++
    }
    spent += seconds(startedMs)
  }
  row(`decode and fold ${events}`, [folded / spent, "events/s"])
  row("log payload, 20 events a commit", [bytes / folded, "bytes/event"], 12)
  const encodingMs = performance.now()
  const snapshot = Learning.encode(learning)
  row("snapshot, 12 models", [snapshot.length / 1024, "KiB"])
  row("  encode", [seconds(encodingMs) * 1000, "ms"])
  const decodingMs = performance.now()
  Either.getOrThrow(Learning.decode(snapshot, H.defaultParameters, dimension))
  row("  decode", [seconds(decodingMs) * 1000, "ms"])
  row("memory of this process", [process.memoryUsage().rss / 2 ** 20, "MiB"])
}

const models = modelIds.map((id) => ({ id }))
/** Nobody calls them: a closed port. */
const upstream = "http://127.0.0.1:9/v1"

const started = async (url: string) => {
  const startedMs = performance.now()
  const conduit = await startConduit({ databaseUrl: url, upstream, models })
  return { conduit, readySeconds: seconds(startedMs) }
}

const stopped = async (conduit: Awaited<ReturnType<typeof startConduit>>) => {
  conduit.kill("SIGTERM")
  const { code } = await conduit.ended()
  if (code !== 0) throw new Error(`it ended with ${code}`)
}

/** Writes rows behind the newest position, as if another replica had committed them. */
const appendTail = async (url: string, count: number, eventsPerCommit: number): Promise<number> => {
  const client = new Pg.Client({ connectionString: url })
  await client.connect()
  try {
    const { rows } = await client.query<{ key: number; position: string }>("SELECT key, position FROM routers")
    const router = rows[0]!
    let position = Number(router.position)
    let batch: Array<Uint8Array> = []
    const flush = async () => {
      const positions = batch.map((_, i) => position + 1 + i)
      position += batch.length
      await client.query(
        `INSERT INTO learning_log (router_key, position, commit_id, payload)
         SELECT $1, * FROM unnest($2::bigint[], $3::uuid[], $4::bytea[])`,
        [router.key, positions, batch.map(() => randomUUID()), batch.map((bytes) => Buffer.from(bytes))]
      )
      batch = []
    }
    for (const payload of payloads(count, eventsPerCommit, false)) {
      if (batch.push(payload) === 1000) await flush()
    }
    await flush()
    await client.query("UPDATE routers SET position = $1 WHERE key = $2", [position, router.key])
    return position
  } finally {
    await client.end()
  }
}

const databaseOf = async (postgres: TestPostgres, name: string): Promise<string> => {
  await query(postgres.url, `CREATE DATABASE ${name}`)
  return Object.assign(new URL(postgres.url), { pathname: `/${name}` }).href
}

const startUp = async (postgres: TestPostgres) => {
  const url = await databaseOf(postgres, "start_up")
  await stopped((await started(url)).conduit)
  row("start to ready", ["events", "per commit", "seconds", "peak MiB"], 12)
  const tails = [
    [0, 1],
    [10_000, 1],
    [10_000, 20],
    [100_000, 1],
    [100_000, 20],
    ...(events >= 1_000_000 ? [[events, 20]] : [])
  ]
  for (const [count = 0, eventsPerCommit = 1] of tails) {
    const position = count === 0 ? null : await appendTail(url, count, eventsPerCommit)
    const { conduit, readySeconds } = await started(url)
    const { text } = await request(`${conduit.url}/metrics`)
    const at = Number(/^conduit_learning_position (\d+)/m.exec(text)?.[1])
    if (position !== null && at !== position) throw new Error(`ready at position ${at} of ${position}`)
    row("", [count, eventsPerCommit, readySeconds, peakMiB(conduit.pid)], 12)
    // Its snapshot covers the tail, so the next one starts behind it.
    await stopped(conduit)
  }
}

const bytesOf = async (url: string): Promise<ReadonlyMap<string, number>> => {
  await query(url, "VACUUM FULL")
  const rows = await query<{ name: string; bytes: string }>(
    url,
    "SELECT relname AS name, pg_total_relation_size(oid) AS bytes FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
  )
  return new Map(rows.map(({ bytes, name }) => [name, Number(bytes)]))
}

/** What waits to be added up is no lasting row. */
const addedUp = async (url: string) => {
  const left = async () => Number((await query<{ n: string }>(url, "SELECT count(*) AS n FROM decision_changes"))[0]?.n)
  while ((await left()) > 0) await sleep(200)
}

const stored = async (postgres: TestPostgres) => {
  const url = await databaseOf(postgres, "stored")
  const conduit = await startConduit({ databaseUrl: url })
  const count = async () => Number((await query<{ n: string }>(url, "SELECT count(*) AS n FROM decisions"))[0]?.n)
  const before = await bytesOf(url)
  while ((await count()) < decisions) await load(conduit, 16, false, { millis: 1000 })
  await addedUp(url)
  const ids = await query<{ id: string; all: string }>(url, "SELECT id FROM decisions")
  await stopped(conduit)
  const after = await bytesOf(url)
  const judged = await startConduit({ databaseUrl: url })
  const waiting = ids.map(({ id }) => id)
  const judge = async () => {
    for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
      const body = { decision_id: id, kind: "score", value: 0.8 }
      const { status, text } = await request(`${judged.url}/v1/feedback`, { body })
      if (status !== 200) throw new Error(`${status} ${text}`)
    }
  }
  await Promise.all(Array.from({ length: 16 }, judge))
  await addedUp(url)
  await stopped(judged)
  const withFeedback = await bytesOf(url)
  const stat = await query<{ candidates: string }>(
    url,
    "SELECT max(cardinality(predictions) / 6) AS candidates FROM decisions"
  )
  row(`bytes a decision, ${stat[0]?.candidates} models`, ["outcome", "+ feedback"], 12)
  const perDecision = (sizes: ReadonlyMap<string, number>, name: string) =>
    ((sizes.get(name) ?? 0) - (before.get(name) ?? 0)) / ids.length
  const names = [...withFeedback.keys()].filter((name) => perDecision(withFeedback, name) >= 1)
  for (const name of names) row(`  ${name}`, [perDecision(after, name), perDecision(withFeedback, name)], 12)
  const total = (sizes: ReadonlyMap<string, number>) => names.reduce((sum, name) => sum + perDecision(sizes, name), 0)
  row("  all", [total(after), total(withFeedback)], 12)
}

folding()
const postgres = await startPostgres()
try {
  await startUp(postgres)
  await stored(postgres)
} finally {
  await killAll()
  await postgres.dispose()
}
