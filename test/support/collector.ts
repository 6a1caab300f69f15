import { once } from "node:events"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import { patientMs } from "./patience.ts"

export interface SeenSpan {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly kind: number
  readonly attributes: Readonly<Record<string, unknown>>
  readonly status: { readonly code?: number; readonly message?: string }
  readonly events: ReadonlyArray<unknown>
  readonly links: ReadonlyArray<{ readonly traceId: string; readonly spanId: string }>
  readonly tookMs: number
}

export interface SeenExport {
  readonly path: string
  readonly headers: Http.IncomingHttpHeaders
  readonly body: Buffer
}

/** An OTLP collector that keeps what it gets. */
export interface Collector {
  readonly url: string
  /** Exports that it took, in order. */
  readonly exports: ReadonlyArray<SeenExport>
  /** Of exports in JSON. */
  readonly spans: () => ReadonlyArray<SeenSpan>
  /** Points of the newest export in JSON, by name of the metric. */
  readonly metrics: () => ReadonlyMap<string, SeenMetric>
  /** How it answers from now on: a status, never, or as it is told for each export. It keeps what it answers with 200. */
  readonly behave: (how: Behaviour) => void
  /** Requests that it was sent, whether or not it took them. */
  readonly asked: () => number
  /** Waits until it has what is looked for. */
  readonly until: <A>(what: string, look: () => A | undefined, limitMs?: number) => Promise<A>
  readonly close: () => Promise<void>
}

interface Reply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

type Behaviour = number | "hangs" | ((seen: SeenExport) => Reply)

/** The spans of an export in JSON. */
export const spansOf = ({ body, path }: SeenExport): ReadonlyArray<SeenSpan> =>
  path !== "/v1/traces"
    ? []
    : JSON.parse(body.toString("utf8")).resourceSpans.flatMap((resource: any) =>
        resource.scopeSpans.flatMap((scope: any) =>
          scope.spans.map((span: any): SeenSpan => ({
            ...span,
            attributes: attributesOf(span.attributes),
            tookMs: Number(BigInt(span.endTimeUnixNano) - BigInt(span.startTimeUnixNano)) / 1e6
          }))
        )
      )

export interface SeenMetric {
  readonly kind: "sum" | "gauge" | "histogram"
  readonly points: ReadonlyArray<{ readonly labels: Readonly<Record<string, unknown>>; readonly value: number }>
}

export const startCollector = async (): Promise<Collector> => {
  const exports: Array<SeenExport> = []
  let how: Behaviour = 200
  let asked = 0
  let waiting: Array<() => void> = []
  const changed = () => {
    const woken = waiting
    waiting = []
    for (const wake of woken) wake()
  }
  const server = Http.createServer((request, response) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      asked++
      const seen = { path: request.url ?? "", headers: request.headers, body: Buffer.concat(chunks) }
      const reply = how === "hangs" ? null : typeof how === "number" ? { status: how } : how(seen)
      if (reply?.status === 200) exports.push(seen)
      changed()
      if (reply === null) return
      response.writeHead(reply.status, { "content-type": "application/json", ...reply.headers }).end(reply.body ?? "{}")
    })
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")

  const decoded = (path: string): ReadonlyArray<any> =>
    exports.filter((one) => one.path === path).map(({ body }) => JSON.parse(body.toString("utf8")))

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    exports,
    asked: () => asked,
    spans: () => exports.flatMap(spansOf),
    metrics: () => {
      const newest = decoded("/v1/metrics").at(-1)
      const all: ReadonlyArray<any> = newest?.resourceMetrics[0].scopeMetrics[0].metrics ?? []
      return new Map(
        all.map((metric): [string, SeenMetric] => {
          const kind = metric.sum ? "sum" : metric.gauge ? "gauge" : "histogram"
          const points = metric[kind].dataPoints.map((point: any) => ({
            labels: attributesOf(point.attributes),
            value: point.asDouble ?? point.asInt ?? point.count
          }))
          return [metric.name, { kind, points }]
        })
      )
    },
    behave: (next) => {
      how = next
    },
    until: async (what, look, limitMs = 10_000) => {
      const startedAtMs = Date.now()
      for (;;) {
        const found = look()
        if (found !== undefined) return found
        const waitedMs = Date.now() - startedAtMs
        const left = patientMs(limitMs) - waitedMs
        if (left <= 0) throw new Error(`the collector did not get ${what} within ${waitedMs} ms`)
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, left)
          waiting.push(() => {
            clearTimeout(timer)
            resolve()
          })
        })
      }
    },
    close: async () => {
      if (!server.listening) return
      server.closeAllConnections()
      server.close()
      await once(server, "close")
    }
  }
}

const attributesOf = (attributes: ReadonlyArray<any> = []): Record<string, unknown> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, valueOf(value)]))

const valueOf = (value: any): unknown =>
  value.arrayValue ? value.arrayValue.values.map(valueOf) : Object.values(value).find((one) => one !== null)

type Field = { readonly number: number; readonly value: bigint | Buffer }

/** The fields of a message in the protocol buffers' wire format. */
export const fieldsOf = (message: Buffer): ReadonlyArray<Field> => {
  const fields: Array<Field> = []
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++]
      if (byte === undefined) throw new Error("the message ends within a number")
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }
  const bytes = (length: number) => {
    if (at + length > message.length) throw new Error("the message ends within a field")
    return message.subarray(at, (at += length))
  }
  while (at < message.length) {
    const tag = Number(varint())
    const type = tag & 7
    if (![0, 1, 2, 5].includes(type)) throw new Error(`there is no wire type ${type}`)
    const value = type === 0 ? varint() : bytes(type === 1 ? 8 : type === 5 ? 4 : Number(varint()))
    fields.push({ number: tag >> 3, value })
  }
  return fields
}

/** What lies at the path of field numbers. */
export const within = (message: Buffer, path: ReadonlyArray<number>): ReadonlyArray<Buffer> =>
  path.reduce<ReadonlyArray<Buffer>>(
    (found, number) =>
      found.flatMap((one) =>
        fieldsOf(one).flatMap((f) => (f.number === number && Buffer.isBuffer(f.value) ? f.value : []))
      ),
    [message]
  )
