// Makes examples/outcomes/sample.jsonl: invented requests of six topics, and what four invented models answered, so that
// `conduit evaluate` can be tried. node bench/run.mjs sample
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { normal, uniform } from "../src/domain/basics/Rng.ts"
import { costUsd } from "../src/domain/routing/Cost.ts"
import { scriptOf, simulatedModels } from "../src/domain/simulation/Fleet.ts"
import { topics, type Topic } from "../src/domain/simulation/Topic.ts"

const rows = 1200
const folder = join("examples", "outcomes")

const subjects = ["orders", "invoices", "sensors", "tickets", "books", "trains", "recipes", "weather reports"]
const places = ["Lisbon", "Oslo", "Nairobi", "Lima", "Kyoto", "Quebec", "Tallinn", "Perth"]
const languages = ["French", "German", "Spanish", "Italian", "Portuguese", "Polish"]

const pick = (items: ReadonlyArray<string>, key: string) => items[Math.floor(uniform(key) * items.length)] ?? ""

const promptOf = (topic: Topic, n: number): string => {
  const subject = pick(subjects, `${n}|subject`)
  const place = pick(places, `${n}|place`)
  const a = 2 + Math.floor(uniform(`${n}|a`) * 97)
  const b = 2 + Math.floor(uniform(`${n}|b`) * 97)
  switch (topic) {
    case "code":
      return `Write a Python function that groups ${subject} by city, keeps the ${a} newest of each and returns a dict.\n\`\`\`python\ndef newest(items: list, limit: int = ${b}) -> dict:\n\`\`\``
    case "math":
      return `A train from ${place} carries ${a} boxes of ${b} ${subject} each; every third box is empty. How many are there in all? Calculate step by step: ${a} * ${b} = ?`
    case "translation":
      return `Translate into ${pick(languages, `${n}|language`)}: "The ${subject} from ${place} will arrive on the ${1 + (a % 28)}th."`
    case "writing":
      return `Write a short letter to the office in ${place} that asks for ${a} missing ${subject}, polite but firm.`
    case "facts":
      return `What is the history of ${place}, and in which century did it grow most? Name ${1 + (a % 5)} sources about its ${subject}.`
    case "chat":
      return `hi, thanks for your help with the ${subject} yesterday! can you tell me what you would do next?`
  }
}

const models = simulatedModels.map((model) => ({ model, script: scriptOf(model) }))
/** Some topics come more often. */
const shares: Record<Topic, number> = { code: 0.25, math: 0.15, translation: 0.1, writing: 0.2, facts: 0.2, chat: 0.1 }
const topicAt = (n: number): Topic => {
  let point = uniform(`${n}|topic`)
  return topics.find((topic) => (point -= shares[topic]) < 0) ?? "chat"
}

const round = (value: number, digits: number) => Number(value.toPrecision(digits))

const lines = Array.from({ length: rows }, (_, n) => {
  const topic = topicAt(n)
  const p = promptOf(topic, n)
  const inputTokens = Math.ceil(p.length / 4)
  const difficulty = 0.08 * normal(`${n}|difficulty`)
  const answers = models.map(({ model, script }) => {
    const tokens = Math.max(5, Math.round(script.answerTokens * Math.exp(0.3 * normal(`${n}|${model.id}|tokens`))))
    const quality = script.quality[topic] + difficulty + 0.12 * normal(`${n}|${model.id}|quality`)
    return {
      q: round(Math.min(1, Math.max(0, quality)), 3),
      c: round(costUsd(model, inputTokens, tokens) ?? 0, 4),
      l: round(script.firstTokenMs / 1000 + tokens / script.tokensPerSecond, 3)
    }
  })
  return JSON.stringify({
    id: `s${n}`,
    d: topic,
    p,
    q: answers.map(({ q }) => q),
    c: answers.map(({ c }) => c),
    l: answers.map(({ l }) => l)
  })
})

mkdirSync(folder, { recursive: true })
writeFileSync(join(folder, "sample.jsonl"), `${lines.join("\n")}\n`)
const meta = {
  name: "sample",
  what: "invented requests and answers, made by bench/sample.ts",
  models: models.map(({ model }) => model.id),
  prices_usd_per_mtok: Object.fromEntries(
    models.map(({ model }) => [model.id, [model.inputUsdPerMTok, model.outputUsdPerMTok]])
  ),
  prior_quality: Object.fromEntries(models.map(({ model }) => [model.id, model.priorQuality]))
}
writeFileSync(join(folder, "sample.meta.json"), `${JSON.stringify(meta, null, 2)}\n`)
console.log(`${rows} rows in ${folder}`)
