// Replays real outcome tables through the whole choice: only the chosen model's outcome is revealed. Prints the cumulative
// reward as a percentage of the best single model's. Needs the tables beside the repository and skips without them.
import { existsSync, readFileSync } from "node:fs"
import { resolve } from "node:path"
import { gunzipSync } from "node:zlib"
import * as H from "../src/domain/learning/bandit/Hierarchical.ts"
import { choose } from "../src/domain/routing/Choice.ts"
import { ModelId } from "../src/domain/basics/Ids.ts"
import { dimension, extract } from "../src/domain/routing/LexicalFeatures.ts"
import { uniform } from "../src/domain/basics/Rng.ts"
import { compose, costScore, latencyScore, logOutputTokens } from "../src/domain/routing/Score.ts"
import { preferences, type Weights } from "../src/domain/routing/Weights.ts"
import { decisionId } from "../test/support/learningEvents.ts"

interface Row {
  readonly d: string
  readonly p: string
  readonly q: ReadonlyArray<number>
  readonly c: ReadonlyArray<number>
  readonly l: ReadonlyArray<number>
}

/** Published MMLU scores by model name, as far as they are known. */
const priors: Readonly<Record<string, ReadonlyArray<number>>> = {
  pareto4: [0.694, 0.85, 0.85, 0.89],
  llmrouter9: [0.713, 0.563, 0.694, 0.66, 0.62, 0.742, 0.802, 0.8, 0.78],
  mmlupro12: [0.859, 0.789, 0.836, 0.694, 0.792, 0.706, 0.601, 0.775, 0.61, 0.682, 0.812, 0.688],
  routellm2: [0.706, 0.847]
}

const directory = resolve("..", "shared", "data")
const marks = [500, 1000, 2000, Number.POSITIVE_INFINITY]

const replay = (name: string, weights: Weights, withTask: boolean, seed: string, limit: number) => {
  const meta: { models: ReadonlyArray<string>; prices_usd_per_mtok: Readonly<Record<string, ReadonlyArray<number>>> } =
    JSON.parse(readFileSync(resolve(directory, `${name}.meta.json`), "utf8"))
  const all: ReadonlyArray<Row> = gunzipSync(readFileSync(resolve(directory, `${name}.jsonl.gz`)))
    .toString("utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line))
  const rows = all
    .map((row, i) => ({ row, at: uniform(`${seed}|${i}`) }))
    .sort((a, b) => a.at - b.at)
    .slice(0, limit)
    .map(({ row }) => row)
  const models = meta.models.map((model) => ModelId(model))
  const prices = meta.models.map((model) => {
    const [input = 0, output = 0] = meta.prices_usd_per_mtok[model] ?? []
    return { inputUsdPerMTok: input, outputUsdPerMTok: output }
  })
  const means = models.map((_, k) => all.reduce((sum, { c }) => sum + (c[k] ?? 0), 0) / all.length)
  const costReferenceUsd = Math.exp(means.reduce((sum, c) => sum + Math.log(c), 0) / means.length)
  const parameters = H.defaultParameters
  const rewardOf = (row: Row, k: number) =>
    weights.quality * (row.q[k] ?? 0) +
    weights.cost * costScore(row.c[k] ?? 0, costReferenceUsd) +
    weights.latency * latencyScore(row.l[k] ?? 0, parameters.latencyReferenceSeconds)

  const state = H.make(parameters, dimension)
  for (const [k, model] of models.entries()) {
    H.fold(state, 1, { type: "model", model, priorQuality: priors[name]?.[k] ?? null })
  }
  const singles = models.map(() => 0)
  let sum = 0
  const lines: Array<number> = []
  for (const [n, row] of rows.entries()) {
    const task = withTask ? row.d : null
    const features = extract(row.p)
    const inputTokens = Math.ceil(row.p.length / 4)
    const candidates = models.map((model, k) => {
      const prediction = H.predict(state, model, null, task, features)
      const price = prices[k] ?? { inputUsdPerMTok: null, outputUsdPerMTok: null }
      const score = compose({ prediction, price, inputTokens, maxTokens: null, weights, costReferenceUsd })
      return { ...prediction, ...score, model, eligible: true, excludedBy: null }
    })
    const key = `${n}`
    const { chosen } = choose({
      candidates,
      epsilon: parameters.epsilon,
      control: 0,
      mostProbes: parameters.mostProbes,
      seed,
      key,
      decisionId: key
    })
    const k = models.indexOf(chosen)
    const { outputUsdPerMTok, inputUsdPerMTok } = prices[k] ?? { outputUsdPerMTok: 1, inputUsdPerMTok: 1 }
    const outputTokens = ((row.c[k] ?? 0) * 1e6 - inputTokens * inputUsdPerMTok) / outputUsdPerMTok
    const shared = { decisionId: decisionId(n), model: chosen, task, features }
    H.fold(state, n + 2, {
      type: "run",
      ...shared,
      ok: true,
      logOutputTokens: logOutputTokens(outputTokens),
      latencyScore: latencyScore(row.l[k] ?? 0, parameters.latencyReferenceSeconds)
    })
    const quality = row.q[k] ?? 0
    H.fold(state, n + 2, { type: "quality", ...shared, decidedAt: n + 1, quality, weight: 1, previous: null })
    sum += rewardOf(row, k)
    for (const j of models.keys()) singles[j] = (singles[j] ?? 0) + rewardOf(row, j)
    if (marks.includes(n + 1) || n + 1 === rows.length) {
      // The best in hindsight over the whole table, at its own mean.
      const best = Math.max(...models.map((_, j) => all.reduce((total, r) => total + rewardOf(r, j), 0) / all.length))
      lines.push((100 * sum) / ((n + 1) * best))
    }
  }
  return lines
}

const qualityOnly: Weights = { quality: 1, cost: 0, latency: 0 }
const cells = ["pareto4", "llmrouter9", "mmlupro12", "routellm2"].flatMap((name) =>
  [false, ...(name === "llmrouter9" ? [true] : [])].flatMap((withTask) => [
    { name, withTask, reward: "balanced", weights: preferences.balanced },
    { name, withTask, reward: "quality", weights: qualityOnly }
  ])
)
const seeds = ["1", "2", "3", "4", "5"]
if (!existsSync(directory)) console.log("skipped: there are no outcome tables beside the repository")
else {
  console.log("% of the best single model after 500, 1,000, 2,000 requests and at the end; mean ± sd over seeds")
  for (const { name, reward, weights, withTask } of cells) {
    const runs = seeds.map((seed) => replay(name, weights, withTask, seed, 5000))
    const columns = (runs[0] ?? []).map((_, i) => {
      const values = runs.map((run) => run[i] ?? 0)
      const mean = values.reduce((a, b) => a + b, 0) / values.length
      const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / (values.length - 1)
      return `${mean.toFixed(1)} ± ${Math.sqrt(variance).toFixed(1)}`.padStart(12)
    })
    console.log(`${name.padEnd(11)}${withTask ? "task " : "     "}${reward.padEnd(9)}${columns.join("")}`)
  }
}
