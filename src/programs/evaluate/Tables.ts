import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { gunzipSync } from "node:zlib"
import { ModelId } from "../../domain/basics/Ids.ts"
import type { Row, Table } from "../../domain/learning/evaluation/Table.ts"
import type { Price } from "../../domain/routing/Cost.ts"
import { extract } from "../../domain/routing/LexicalFeatures.ts"
import { referenceTokens } from "../../domain/routing/Reference.ts"
import { publishedScore } from "./PublishedScores.ts"

/** A table that cannot be used, and why. */
export class TableUnusable extends Schema.TaggedError<TableUnusable>()("TableUnusable", {
  file: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `${this.file}: ${this.reason}`
  }
}

const pattern = /\.jsonl(?:\.gz)?$/

/** The files that are meant: each one itself, and of a folder every table in it. */
export const tableFiles = (paths: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<string>, TableUnusable> =>
  Effect.forEach(paths, (path) =>
    Effect.try({
      try: () =>
        Fs.statSync(path).isDirectory()
          ? Fs.readdirSync(path)
              .filter((name) => pattern.test(name))
              .sort()
              .map((name) => Path.join(path, name))
          : [path],
      catch: (cause) => new TableUnusable({ file: path, reason: messageOf(cause) })
    }).pipe(
      Effect.filterOrFail(
        (files) => files.length > 0,
        () => new TableUnusable({ file: path, reason: "there is no table in it: NAME.jsonl or NAME.jsonl.gz" })
      )
    )
  ).pipe(Effect.map((files) => files.flat()))

const messageOf = (cause: unknown) => (cause instanceof Error ? cause.message : String(cause))

const Meta = Schema.Struct({
  models: Schema.Array(Schema.String).pipe(Schema.minItems(2)),
  prices_usd_per_mtok: Schema.optionalWith(
    Schema.Record({ key: Schema.String, value: Schema.Array(Schema.NonNegative).pipe(Schema.itemsCount(2)) }),
    { exact: true }
  ),
  prior_quality: Schema.optionalWith(
    Schema.Record({ key: Schema.String, value: Schema.Number.pipe(Schema.between(0, 1)) }),
    { exact: true }
  )
})

/** Reads a table and what stands beside it; throws `TableUnusable`. */
export const readTable = (file: string): Table => {
  const stem = file.replace(pattern, "")
  const meta = readMeta(`${stem}.meta.json`)
  const models = meta.models.map((name) => {
    if (!ModelId.is(name)) throw new TableUnusable({ file: `${stem}.meta.json`, reason: `${name} is not a model id` })
    return name
  })
  const rows = readRows(file, models.length)
  return {
    name: Path.basename(stem),
    models,
    prices: models.map((model, k) => priceOf(meta.prices_usd_per_mtok?.[model], rows, k)),
    priors: models.map((model) => meta.prior_quality?.[model] ?? publishedScore(model)),
    rows
  }
}

const readMeta = (file: string): typeof Meta.Type => {
  try {
    const meta = Schema.decodeUnknownEither(Meta)(JSON.parse(Fs.readFileSync(file, "utf8")))
    if (Either.isRight(meta)) return meta.right
    throw new TableUnusable({ file, reason: meta.left.message })
  } catch (cause) {
    if (cause instanceof TableUnusable) throw cause
    throw new TableUnusable({ file, reason: messageOf(cause) })
  }
}

/** Without a price that of a model whose every answer has the reference's tokens: the mean cost is right. */
const priceOf = (stated: ReadonlyArray<number> | undefined, rows: ReadonlyArray<Row>, k: number): Price => {
  if (stated !== undefined) return { inputUsdPerMTok: stated[0] ?? 0, outputUsdPerMTok: stated[1] ?? 0 }
  const mean = rows.reduce((sum, { costUsd }) => sum + (costUsd[k] ?? 0), 0) / rows.length
  return { inputUsdPerMTok: 0, outputUsdPerMTok: (mean * 1e6) / referenceTokens.output }
}

const readRows = (file: string, models: number): ReadonlyArray<Row> => {
  const text = textOf(file)
  const rows: Array<Row> = []
  // Prompts contain other characters that some take for ends of lines.
  for (const [i, line] of text.split("\n").entries()) {
    if (line === "") continue
    const row = rowOf(line, models)
    if (typeof row === "string") throw new TableUnusable({ file, reason: `line ${i + 1}: ${row}` })
    rows.push(row)
  }
  if (rows.length === 0) throw new TableUnusable({ file, reason: "there is no row in it" })
  return rows
}

const textOf = (file: string): string => {
  try {
    const bytes = Fs.readFileSync(file)
    return (file.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8")
  } catch (cause) {
    throw new TableUnusable({ file, reason: messageOf(cause) })
  }
}

/** The row, or what is wrong with it. By hand: a schema would take longer for a table than its replay. */
const rowOf = (line: string, models: number): Row | string => {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return "it is not JSON"
  }
  if (typeof value !== "object" || value === null) return "it is not an object"
  const { c, d, l, p, q } = value as Record<string, unknown>
  if (typeof p !== "string") return "p is not a text: the prompt"
  if (typeof d !== "string") return "d is not a text: the task"
  if (!areNumbers(q, models, 1)) return `q is not ${models} numbers from 0 to 1: the quality of each model`
  if (!areNumbers(c, models, Infinity)) return `c is not ${models} numbers of 0 or more: the USD of each model`
  if (!areNumbers(l, models, Infinity)) return `l is not ${models} numbers of 0 or more: the seconds of each model`
  return {
    task: d,
    features: extract(p),
    // As the tables' own figures of tokens were made.
    inputTokens: Math.ceil(p.length / 4),
    quality: q,
    costUsd: c,
    latencySeconds: l
  }
}

const areNumbers = (value: unknown, count: number, most: number): value is ReadonlyArray<number> =>
  Array.isArray(value) &&
  value.length === count &&
  value.every((one) => typeof one === "number" && one >= 0 && one <= most && Number.isFinite(one))
