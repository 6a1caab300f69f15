// Compares what a request costs now with what it did when bench/baselines.json was written: `gateway`, its ratios against the proxy
// without logic. Ends with 1 where one is worse by more than a tenth, with 2 on a busy machine.
// npm run bench:check [-- rounds] [seconds a turn]
//   --write   the ratios of this run are the baselines from now on
//   --busy    on a busy machine too
//   --warm N  requests before it is measured, 16000 by default
import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { machine, warnIfBusy } from "./support/machine.ts"
import { argument, option, row } from "./support/measure.ts"
import { ratio, type Turn } from "./support/ratios.ts"

/** Of Conduit's, by the proxy's: CPU of an answer, and answers a second. */
interface Ratios {
  readonly cpu: number
  readonly rate: number
}

const tolerated = 0.1
const root = Path.resolve(import.meta.dirname, "../..")
const baselines = Path.join(root, "bench/baselines.json")
const cells = ["JSON", "SSE"].flatMap((form) => [1, 64].map((count) => `${form}, ${count} connection(s)`))

const measured = (): ReadonlyMap<string, Ratios> => {
  const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-bench-"))
  const file = Path.join(folder, "turns.json")
  const args = [
    "bench/run.mjs",
    "gateway",
    String(argument(0, 7)),
    String(argument(1, 1.5)),
    "--warm",
    option("warm") ?? "16000",
    "--json",
    file
  ]
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: "inherit" })
  if (status !== 0) throw new Error(`gateway ended with ${status}`)
  const { turns }: { turns: Record<string, ReadonlyArray<Turn>> } = JSON.parse(Fs.readFileSync(file, "utf8"))
  Fs.rmSync(folder, { recursive: true })
  const all = new Map(Object.entries(turns))
  const of = (cell: string, value: (turn: Turn) => number) => ratio(all, cell, "conduit", "raw proxy", value)
  return new Map(cells.map((cell) => [cell, { cpu: of(cell, (t) => t.cpu), rate: of(cell, (t) => t.perSecond) }]))
}

warnIfBusy()
if (machine().isBusy && !process.argv.includes("--busy")) {
  console.error("Ratios of a busy machine are no baselines' match: wait, or say --busy.")
  process.exit(2)
}
const now = measured()
if (process.argv.includes("--write")) {
  const rounded = (ratios: Ratios) => ({ cpu: Number(ratios.cpu.toFixed(2)), rate: Number(ratios.rate.toFixed(2)) })
  const written = Object.fromEntries(Array.from(now, ([cell, ratios]) => [cell, rounded(ratios)]))
  Fs.writeFileSync(baselines, `${JSON.stringify(written, null, 2)}\n`)
  console.log(`written to ${baselines}`)
} else {
  const before: Record<string, Ratios | undefined> = JSON.parse(Fs.readFileSync(baselines, "utf8"))
  row("against the proxy", ["cpu then", "cpu now", "rate then", "rate now", ""])
  let worse = 0
  for (const [cell, { cpu, rate }] of now) {
    const then = before[cell]
    if (then === undefined) throw new Error(`bench/baselines.json has no ${cell}: write it with --write`)
    const isWorse = cpu > then.cpu * (1 + tolerated) || rate < then.rate * (1 - tolerated)
    if (isWorse) worse++
    row(`  ${cell}`, [then.cpu, cpu, then.rate, rate, isWorse ? "WORSE" : "ok"])
  }
  process.exit(worse === 0 ? 0 : 1)
}
