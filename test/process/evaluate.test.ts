import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { runCommand } from "../support/command.ts"

const root = Path.resolve(import.meta.dirname, "../..")
const sample = Path.join(root, "examples/outcomes/sample.jsonl")
/** Real tables, where somebody has them beside the project. */
const others = Path.resolve(root, "../shared/data")

let folder: string

beforeAll(() => {
  folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "conduit-evaluate-"))
})
afterAll(() => Fs.rmSync(folder, { recursive: true }))

const evaluate = (...args: ReadonlyArray<string>) =>
  runCommand(["evaluate", ...args], { directory: folder, limitMs: 150_000 })

const jsonOf = async (...args: ReadonlyArray<string>) => {
  const { code, stderr, stdout } = await evaluate(...args, "--json")
  assert.strictEqual(code, 0, stderr)
  return JSON.parse(stdout)
}

describe("conduit evaluate", () => {
  it("says what each algorithm would have earned, the same on any number of threads", async () => {
    const args = [sample, "--seeds", "4", "--algorithm", "h2,ucb1,random,dearest,oracle", "--requests", "550"]
    const found = await jsonOf(...args, "--jobs", "1")
    assert.deepStrictEqual(await jsonOf(...args, "--jobs", "3"), found)
    assert.lengthOf(found.tables, 10)
    const at = (algorithm: string, reward: string) =>
      found.tables.find((one: any) => one.algorithm === algorithm && one.reward === reward).checkpoints
    for (const reward of ["cal", "q"]) {
      assert.deepStrictEqual(
        at("h2", reward).map((one: any) => one.at),
        [500, 550]
      )
      for (const { high, low, percent_of_best_single } of at("h2", reward)) {
        assert.isAtMost(low, percent_of_best_single)
        assert.isAtLeast(high, percent_of_best_single)
        assert.isAbove(percent_of_best_single, 96)
      }
      assert.closeTo(at("oracle", reward)[1].percent_of_oracle.mean, 100, 1e-9)
      assert.isBelow(at("random", reward)[1].difference.high, 0)
    }
    // The dearest model is the best of the sample, by either reward.
    assert.closeTo(at("dearest", "q")[1].percent_of_best_single, 100, 1e-9)
    assert.isNull(at("h2", "q")[1].difference)
  })

  it("prints all of a long result into a pipe whose reader takes its time", () => {
    const args = [
      Path.join(root, "dist/bin/conduit.js"),
      "evaluate",
      sample,
      "--seeds",
      "1",
      "--requests",
      "100",
      "--json"
    ]
    // A pipe of a shell holds 64 KiB.
    const piped = spawnSync(
      "sh",
      ["-c", '"$0" "$@" | { read -r first; printf "%s\\n" "$first"; cat; }', process.execPath, ...args],
      {
        encoding: "utf8",
        maxBuffer: 16 * 1024 * 1024
      }
    )
    assert.isAbove(piped.stdout.length, 100_000)
    assert.lengthOf(JSON.parse(piped.stdout).tables, 34)
  })

  it("prints a table, and writes a page that loads nothing", async () => {
    const page = Path.join(folder, "result.html")
    const some = [sample, "--seeds", "2", "--algorithm", "h2,epsilon-greedy", "--reward", "q", "--requests", "600"]
    const more = ["--labels", "--scenario", "none,halved", "--delay", "20", "--judged", "0.8", "--html", page]
    const { code, stderr, stdout } = await evaluate(...some, ...more)
    assert.strictEqual(code, 0, stderr)
    assert.match(stdout, /^sample, reward q, with labels, 2 orders: percent of the best single model's reward/)
    assert.match(stdout, /epsilon-greedy +\d+\.\d/)
    assert.match(stdout, /sample, reward q, halved, with labels, 2 orders: percent of the oracle's reward/)
    assert.match(stdout, /first 500 after/)
    const text = Fs.readFileSync(page, "utf8")
    assert.include(text, "<svg")
    assert.include(text, "--judged 0.8")
    assert.notMatch(text, /\b(?:src|href)=|<script|@import|url\(/)
  })

  it("says what is wrong with a table, and where", async () => {
    const write = (name: string, text: string) => Fs.writeFileSync(Path.join(folder, name), text)
    const row = { d: "t", p: "prompt", q: [0.5, 1], c: [0.1, 0.2], l: [1, 2] }
    write("good.meta.json", JSON.stringify({ models: ["a", "b"] }))
    write("good.jsonl", `${JSON.stringify({ ...row, p: "one\u2028line" })}\n${JSON.stringify(row)}\n`)
    assert.lengthOf((await jsonOf("good.jsonl", "--seeds", "1", "--algorithm", "random")).tables, 2)
    for (const [text, problem] of [
      ["{", "line 1: it is not JSON"],
      [`${JSON.stringify(row)}\n${JSON.stringify({ ...row, q: [2, 1] })}`, "line 2: q is not 2 numbers from 0 to 1"],
      [JSON.stringify({ ...row, c: [1] }), "line 1: c is not 2 numbers"],
      ["", "there is no row in it"]
    ] as const) {
      write("bad.meta.json", JSON.stringify({ models: ["a", "b"] }))
      write("bad.jsonl", text)
      const { code, stderr } = await evaluate("bad.jsonl")
      assert.strictEqual(code, 1)
      assert.include(stderr, problem)
    }
    write("bad.meta.json", JSON.stringify({ models: ["only one"] }))
    write("bad.jsonl", JSON.stringify(row))
    for (const [args, problem] of [
      [["bad.jsonl"], "bad.meta.json"],
      [["nothing.jsonl"], "nothing.jsonl"],
      [[folder + "/none"], "none"],
      [["good.jsonl", "--algorithm", "ucb2"], "did you mean ucb1?"],
      [["good.jsonl", "--scenario", "quartered"], "is not known"],
      [["good.jsonl", "--seeds", "0"], "--seeds 0: 1 or more"],
      [["good.jsonl", "--judged", "0"], "--judged 0: above 0"],
      [["good.jsonl", "--prior-sd", "2"], "--prior-sd 2: above 0"],
      [["good.jsonl", "--fixed", "c"], "has a, b"]
    ] as const) {
      const { code, stderr } = await evaluate(...args)
      assert.strictEqual(code, 1, args.join(" "))
      assert.include(stderr, problem)
    }
    const help = await evaluate("--help")
    assert.include(help.stdout, "conduit evaluate --algorithm h2,ucb1")
  })

  it("agrees with what is known of the tables beside the project", async (context) => {
    if (!Fs.existsSync(others)) return context.skip(`there are no outcome tables in ${others}`)
    const file = Path.join(others, "pareto4.jsonl.gz")
    const found = await jsonOf(file, "--seeds", "3", "--algorithm", "h2,cheapest,random,oracle")
    const end = (algorithm: string, reward: string) =>
      found.tables.find((one: any) => one.algorithm === algorithm && one.reward === reward).checkpoints.at(-1)
    assert.strictEqual(end("h2", "cal").at, 1766)
    assert.closeTo(end("cheapest", "cal").percent_of_best_single, 99.9, 0.1)
    assert.closeTo(end("random", "cal").percent_of_best_single, 96, 1)
    assert.closeTo(end("random", "q").percent_of_best_single, (100 * 0.895) / 0.9356, 1)
    assert.closeTo(end("oracle", "q").percent_of_best_single, (100 * 0.9719) / 0.9356, 0.1)
    assert.isAbove(end("h2", "cal").percent_of_best_single, 100)
    assert.isAbove(end("h2", "q").percent_of_best_single, 98.5)
  })
})
