import { assert } from "@effect/vitest"
import parse from "parse-prometheus-text-format"

type Labels = Readonly<Record<string, string>>

interface Sample {
  readonly labels: Labels
  readonly value: number
}

/** What somebody else's parser reads in a Prometheus exposition. */
export interface Exposition {
  readonly families: ReadonlyMap<string, { readonly type: string; readonly help: string }>
  /** By the name of the line: a histogram's are `_bucket`, `_sum` and `_count`. */
  readonly samples: (name: string) => ReadonlyArray<Sample>
  /** 0 if there is no such series, as a query would add it up. */
  readonly value: (name: string, labels?: Labels) => number
  readonly sum: (name: string, labels?: Labels) => number
  /** Each series as it is written. */
  readonly series: ReadonlySet<string>
}

const has = (labels: Labels, wanted: Labels) => Object.entries(wanted).every(([key, value]) => labels[key] === value)

/** Reads it, and checks what a parser lets pass: each family once, with its head; cumulative buckets that end in +Inf. */
export const exposition = (text: string): Exposition => {
  assert.match(text, /\n$/)
  const lines = text.split("\n").filter((line) => line !== "")
  const heads = lines.filter((line) => line.startsWith("# "))
  const said = heads.map((line) => line.split(" ").slice(0, 3).join(" "))
  assert.deepStrictEqual(
    said.filter((head, i) => said.indexOf(head) !== i),
    [],
    "HELP and TYPE once a family"
  )
  const families = new Map(parse(text).map(({ help, name, type }) => [name, { help, type: type.toLowerCase() }]))
  assert.lengthOf(
    heads.filter((line) => line.startsWith("# TYPE ")),
    families.size,
    "a TYPE for each family"
  )

  const sampleLines = lines.filter((line) => !line.startsWith("#"))
  const series = sampleLines.map((line) => line.slice(0, line.lastIndexOf(" ")))
  assert.deepStrictEqual(
    series.filter((one, i) => series.indexOf(one) !== i),
    [],
    "each series once"
  )
  // Without heads: of a histogram with labels this parser keeps one of its series.
  const byName = new Map<string, Array<Sample>>()
  for (const { metrics, name } of parse(`${sampleLines.join("\n")}\n\n`)) {
    const known = byName.get(name) ?? []
    byName.set(name, known)
    for (const { labels = {}, value } of metrics) known.push({ labels, value: Number(value) })
  }
  const samples = (name: string) => byName.get(name) ?? []
  assert.lengthOf([...byName.values()].flat(), sampleLines.length)

  for (const [name, { type }] of families) {
    if (type !== "histogram") continue
    for (const { labels, value: count } of samples(`${name}_count`)) {
      const buckets = samples(`${name}_bucket`)
        .filter((bucket) => has(bucket.labels, labels))
        .map(
          (bucket) => [bucket.labels["le"] === "+Inf" ? Infinity : Number(bucket.labels["le"]), bucket.value] as const
        )
      const where = `${name} ${JSON.stringify(labels)}`
      assert.deepStrictEqual(buckets.at(-1), [Infinity, count], where)
      for (const [i, [edge, total]] of buckets.entries()) {
        const [edgeBefore, totalBefore] = buckets[i - 1] ?? [-Infinity, 0]
        assert.isAbove(edge, edgeBefore, where)
        assert.isAtLeast(total, totalBefore, where)
      }
      assert.lengthOf(
        samples(`${name}_sum`).filter((sum) => has(sum.labels, labels)),
        1
      )
    }
  }

  const sum = (name: string, labels: Labels = {}) =>
    samples(name)
      .filter((sample) => has(sample.labels, labels))
      .reduce((total, { value }) => total + value, 0)
  return {
    families,
    samples,
    sum,
    value: (name, labels = {}) =>
      samples(name).find(
        (sample) => has(sample.labels, labels) && Object.keys(sample.labels).length === Object.keys(labels).length
      )?.value ?? 0,
    series: new Set(series)
  }
}
