import * as Path from "node:path"
import * as Pg from "pg"
import {
  type Answered,
  chat,
  type ConduitOptions,
  type ConduitProcess,
  kill9,
  request,
  startConduit
} from "./conduit.ts"
import type { Report } from "../../src/services/running/ShutdownReport.ts"
import { type Collector, startCollector } from "./collector.ts"
import { learnedState } from "./learnedState.ts"
import { createDatabase, query, type TestDatabase } from "./postgres.ts"
import type { Upstream } from "./processMock.ts"
import { startTcpProxy, type TcpProxy } from "./tcpProxy.ts"
import { eventually } from "./traffic.ts"

/** What PostgreSQL does from shortly before the signal on: refuses, or keeps its connections and answers nothing. */
export type Postgres = "up" | "down" | "silent"

const fixture = (name: string) => Path.resolve(import.meta.dirname, "../fixtures", name)

/** A program with a bug: in the release of a layer above it, or at SIGUSR2. */
export const hooked = (how: "hang" | "throw" | "block") => ({
  command: [fixture("serveHooked.mjs"), how]
})
export const preloaded = (binary: string) => ({
  command: ["--import", fixture("misbehave.mjs"), binary, "serve"]
})

/** Closed before it starts, not by its reader. */
export const withoutStdout = (command: ReadonlyArray<string>) => ({
  program: ["sh", "-c", 'exec "$0" "$@" >&-', process.execPath, ...command],
  log: "stderr" as const
})

/** One cell: a service on a database of its own behind a proxy, and what its clients were told. */
export interface Cell {
  readonly postgres: Postgres
  readonly database: TestDatabase
  readonly proxy: TcpProxy
  readonly conduit: () => ConduitProcess
  readonly collector: () => Collector
  readonly start: (more?: Partial<ConduitOptions>) => Promise<ConduitProcess>
  /** PostgreSQL does from now on what this cell says. */
  readonly trouble: () => Promise<void>
  /** One answer. */
  readonly ask: () => Promise<Answered>
  /** One answer, and feedback on it that is acknowledged. */
  readonly judge: () => Promise<void>
  /** Completes when nothing waits to be stored. */
  readonly flushed: () => Promise<void>
  /** A request that its upstream holds: before the answer, or within a stream. */
  readonly hold: (what: "json" | "stream") => Promise<Held>
  /** What was acknowledged is stored, and of what was decided all but what the report says: read past the proxy. */
  readonly assertStored: (report: Report) => Promise<void>
  /** A fresh start has learned what was acknowledged. */
  readonly assertLearned: () => Promise<void>
  readonly close: () => Promise<void>
}

export interface Held {
  readonly open: () => void
  /** Status 0 is a broken connection. */
  readonly answer: Promise<Pick<Answered, "status" | "text" | "json">>
}

let cells = 0

export const makeCell = async (options: {
  readonly postgres: Postgres
  readonly from?: TestDatabase
  readonly upstream: Upstream
  /** Telemetry goes to a collector that never answers. */
  readonly exports: boolean
  readonly process: Partial<ConduitOptions>
}): Promise<Cell> => {
  const { postgres, upstream } = options
  const number = cells++
  const database = await createDatabase(options.from)
  const direct = new URL(database.url)
  const proxy = await startTcpProxy({ host: direct.hostname, port: Number(direct.port) })
  const behindProxy = new URL(database.url)
  behindProxy.host = `127.0.0.1:${proxy.port}`
  const collector = options.exports ? await startCollector() : null
  collector?.behave("hangs")
  const telemetry: Record<string, string> = collector === null ? {} : { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url }
  const started: Array<ConduitProcess> = []
  const acknowledged: Array<string> = []
  let decided = 0

  const conduit = () => {
    const newest = started.at(-1)
    if (newest === undefined) throw new Error("it is not started")
    return newest
  }
  const start = async (more: Partial<ConduitOptions> = {}) => {
    const process = await startConduit({ upstream: upstream.url, databaseUrl: behindProxy.href, ...more })
    started.push(process)
    return process
  }
  const ask = async () => {
    const answer = await request(`${conduit().url}/v1/chat/completions`, { body: chat(`question ${decided}`) })
    if (answer.status !== 200) throw new Error(`chat: ${answer.status} ${answer.text}`)
    decided++
    return answer
  }

  return {
    postgres,
    database,
    proxy,
    conduit,
    collector: () => {
      if (collector === null) throw new Error("it exports nothing")
      return collector
    },
    start: (more) => start({ ...options.process, env: { ...options.process.env, ...telemetry }, ...more }),
    trouble: async () => {
      if (postgres === "down") await proxy.refuse()
      if (postgres === "silent") proxy.silent()
    },
    ask,
    judge: async () => {
      const { headers } = await ask()
      const body = { decision_id: headers["x-conduit-decision-id"], kind: "score", value: 0.25 }
      const { json, status, text } = await request(`${conduit().url}/v1/feedback`, { body })
      if (status !== 200 || json.status !== "recorded") throw new Error(`feedback: ${status} ${text}`)
      acknowledged.push(json.id)
    },
    flushed: async () => {
      await eventually("nothing waits to be stored", 10_000, async () => {
        const { text } = await request(`${conduit().url}/metrics`)
        return /^conduit_learning_pending 0$/m.test(text) ? true : undefined
      })
    },
    hold: async (what) => {
      const gate = `cell-${number}-${decided}`
      const more = what === "json" ? { mock: { gate } } : { stream: true, mock: { gate, gate_after: 2 } }
      const answer = request(`${conduit().url}/v1/chat/completions`, { body: chat("hold this", more) }).catch(
        (error: Error) => ({ status: 0, text: error.message, json: undefined })
      )
      await upstream.waiting(gate, 1)
      decided++
      return { open: () => upstream.openGate(gate), answer }
    },
    assertStored: async ({ learning, outcome }) => {
      await proxy.close()
      const feedback = await query<{ id: string; decided: boolean }>(
        database.url,
        "SELECT f.id::text AS id, d.id IS NOT NULL AS decided FROM feedback f LEFT JOIN decisions d ON d.id = f.decision_id"
      )
      const stored = feedback.filter((row) => row.decided).map((row) => row.id)
      const [count] = await query<{ decisions: number; commits: number; position: number }>(
        database.url,
        `SELECT (SELECT count(*) FROM decisions)::int AS decisions, (SELECT count(position) FROM learning_log)::int AS commits,
           (SELECT coalesce(max(position), 0) FROM routers)::int AS position`
      )
      const kept = decided - learning.unpersisted
      // Whoever is killed cannot know of the commit that was on its way.
      const decisions = outcome === "watchdog" ? Math.min(Math.max(kept, count?.decisions ?? 0), decided) : kept
      const found = { feedback: stored.sort(), decisions: count?.decisions, commits: count?.commits }
      const wanted = { feedback: [...acknowledged].sort(), decisions, commits: count?.position }
      if (JSON.stringify(found) !== JSON.stringify(wanted)) {
        throw new Error(`stored: ${JSON.stringify(found)}, and should be ${JSON.stringify(wanted)}`)
      }
    },
    assertLearned: async () => {
      const next = await start({ databaseUrl: database.url })
      const { observations } = await learnedState(next.url)
      if (observations !== acknowledged.length) {
        throw new Error(`${observations} observations of ${acknowledged.length} feedbacks`)
      }
    },
    close: async () => {
      for (const process of started) await kill9(process)
      await proxy.close()
      await collector?.close()
      await database.drop()
    }
  }
}

/** A lock that another session holds until `release`. */
export const lock = async (url: string, statement: string): Promise<{ readonly release: () => Promise<void> }> => {
  const client = new Pg.Client({ connectionString: url })
  client.on("error", () => undefined)
  await client.connect()
  await client.query(`BEGIN; ${statement}`)
  return {
    release: async () => {
      await client.query("COMMIT")
      await client.end()
    }
  }
}

/** Completes when a session waits for a lock in this database. */
export const lockAwaited = (url: string): Promise<true> =>
  eventually("somebody waits for the lock", 15_000, async () => {
    const waits = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return (await query(url, waits)).length > 0 ? true : undefined
  })
