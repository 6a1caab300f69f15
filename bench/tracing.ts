// What tracing costs a request: the built Conduit without it, with none and with all of its requests recorded, taking
// turns, with an external PostgreSQL, an upstream that answers at once and a collector in a process of its own.
// node bench/run.mjs tracing [rounds] [seconds a turn] [binary of another version, without tracing]
import { binary, killAll, startConduit } from "../test/support/conduit.ts"
import { startPostgres } from "../test/support/postgres.ts"
import * as Path from "node:path"
import { startNode } from "./support/children.ts"
import { type Load, load } from "./support/load.ts"
import { argument, cpuMicros, median, row } from "./support/measure.ts"

const rounds = argument(0, 7)
const turnMillis = argument(1, 1.5) * 1000
const warmUpMillis = 4_000
const connections = 8
const other = process.argv[5]

const postgres = await startPostgres()
try {
  const mock = await startNode([binary, "mock-llm", "--port", "0"])
  const collector = await startNode([Path.resolve(import.meta.dirname, "../collector.mjs")])
  const start = async (name: string, env: Record<string, string>, program = binary) => {
    const conduit = await startConduit({
      databaseUrl: postgres.url,
      upstream: mock.url,
      models: [0, 1, 2].map((k) => ({ id: `model-${k}`, outputUsdPerMTok: 1 + k })),
      command: [program, "serve"],
      env
    })
    return { name, conduit, turns: new Map<boolean, Array<Load & { readonly cpu: number }>>() }
  }
  const exported = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url }
  const systems = [
    ...(other === undefined ? [] : [await start("the other version", {}, other)]),
    await start("off", {}),
    await start("on, none recorded", {
      ...exported,
      OTEL_TRACES_SAMPLER: "traceidratio",
      OTEL_TRACES_SAMPLER_ARG: "0"
    }),
    await start("on, all recorded", exported),
    await start("on, all recorded, in JSON", { ...exported, OTEL_EXPORTER_OTLP_PROTOCOL: "http/json" })
  ]
  for (const stream of [false, true]) {
    for (const { conduit } of systems) await load(conduit, connections, stream, { millis: warmUpMillis })
  }
  for (let round = 0; round < rounds; round++) {
    for (const stream of [false, true]) {
      for (let s = 0; s < systems.length; s++) {
        const { conduit, turns } = systems[(s + round) % systems.length]!
        const before = cpuMicros(conduit.pid)
        const result = await load(conduit, connections, stream, { millis: turnMillis })
        const cpu = (cpuMicros(conduit.pid) - before) / result.requests
        turns.set(stream, [...(turns.get(stream) ?? []), { ...result, cpu }])
      }
    }
  }
  for (const stream of [false, true]) {
    row(`${stream ? "SSE" : "JSON"}, ${connections} connections`, ["req/s", "p50 ms", "p99 ms", "cpu us", "cpu more"])
    const off = systems.find(({ name }) => name === "off")!.turns.get(stream) ?? []
    for (const { name, turns } of systems) {
      const own = turns.get(stream) ?? []
      const middle = (value: (turn: (typeof own)[number]) => number) => median(own.map(value))
      const more = median(own.map(({ cpu }, i) => cpu - off[i]!.cpu))
      row(`  ${name}`, [
        middle((t) => t.perSecond),
        middle((t) => t.p50),
        middle((t) => t.p99),
        middle((t) => t.cpu),
        more
      ])
    }
  }
  for (const { conduit, name } of systems) {
    const text = await (await fetch(`${conduit.url}/metrics`)).text()
    const dropped = /^conduit_telemetry_dropped_total\{signal="traces"\} (\d+)$/m.exec(text)?.[1]
    if (dropped !== undefined) console.log(`${name}: ${dropped} span(s) dropped`)
  }
  await Promise.all([collector.stop(), mock.stop()])
} finally {
  await killAll()
  await postgres.dispose()
}
