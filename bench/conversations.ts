// What conversations cost over HTTP where providers cache prompts: each turn chosen as if nothing were cached, a conversation
// that stays with its first model, and one that is weighed (policy.sessions.switchBudget). The built Conduit, and an upstream
// that bills its caches. node bench/run.mjs conversations [conversations] [seed]
import { createHash } from "node:crypto"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import { uniform } from "../src/domain/basics/Rng.ts"
import { killAll, request, startConduit } from "../test/support/conduit.ts"
import { startPostgres } from "../test/support/postgres.ts"
import { argument, row } from "./support/measure.ts"

const conversations = argument(0, 60)
const seed = String(argument(1, 1))

/** USD a million tokens: fresh, read from the cache, written to it, out; and how good they are at easy and at hard turns. */
const models = {
  able: { input: 3, read: 0.3, write: 3.75, output: 15, easy: 0.9, hard: 0.9 },
  plain: { input: 1, read: 0.5, write: 1, output: 4, easy: 0.9, hard: 0.65 }
} as const
type Name = keyof typeof models
const isName = (name: unknown): name is Name => name === "able" || name === "plain"

const charsPerToken = 4
/** Of the caches' own: what they have forgotten although it was not long ago. */
const misses = 0.1
const ends = 0.15
const firstTokens = 3000
const turnTokens = 400
const answerTokens = 150

/** The upstream: its caches by model and beginning of a prompt, and what it has billed. */
const cached = new Map<string, number>()
let billedUsd = 0
let calls = 0
const upstream = Http.createServer((incoming, response) => {
  if (incoming.method === "GET") return void response.writeHead(404).end()
  let text = ""
  incoming.on("data", (chunk) => (text += String(chunk)))
  incoming.on("end", () => {
    const body = JSON.parse(text)
    const asked: unknown = body.model
    const name: Name = isName(asked) ? asked : "plain"
    const price = models[name]
    const messages: ReadonlyArray<{ readonly content: string }> = body.messages
    const chars = messages.reduce((sum, { content }) => sum + content.length, 0)
    const tokens = Math.ceil(chars / charsPerToken)
    const key = (count: number) =>
      `${name} ${createHash("sha256")
        .update(JSON.stringify(messages.slice(0, count)))
        .digest("base64url")}`
    let read = 0
    for (let count = messages.length - 1; count > 0 && read === 0; count--) read = cached.get(key(count)) ?? 0
    if (uniform(`${seed}|miss|${calls++}`) < misses) read = 0
    cached.set(key(messages.length), tokens)
    const fresh = tokens - read
    billedUsd += (read * price.read + fresh * price.write + answerTokens * price.output) / 1e6
    const usage = {
      prompt_tokens: tokens,
      completion_tokens: answerTokens,
      total_tokens: tokens + answerTokens,
      prompt_tokens_details: {
        cached_tokens: read,
        ...(price.write > price.input ? { cache_write_tokens: fresh } : {})
      }
    }
    const message = { role: "assistant", content: `answer ${calls} `.padEnd(answerTokens * charsPerToken, "x") }
    response.writeHead(200, { "content-type": "application/json" })
    response.end(
      JSON.stringify({
        id: `c${calls}`,
        object: "chat.completion",
        created: 1,
        model: name,
        choices: [{ index: 0, message, finish_reason: "stop" }],
        usage
      })
    )
  })
})

const rules = {
  blind: { policy: "", isSession: false },
  stay: { policy: "", isSession: true },
  conversation: { policy: "policy: { sessions: { switchBudget: 0.1 } }", isSession: true }
} as const

const text = (tokens: number, name: string) =>
  `${name} `.repeat(Math.ceil((tokens * charsPerToken) / (name.length + 1)))

const postgres = await startPostgres()
upstream.listen(0, "127.0.0.1")
await new Promise((resolve) => upstream.once("listening", resolve))
const url = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}/v1`
try {
  row("weight of money", ["USD", "quality", "switches", "% of blind", "% of stay"])
  for (const cost of [0.1, 0.3, 0.5]) {
    const bills: Array<number> = []
    for (const [rule, { isSession, policy }] of Object.entries(rules)) {
      const conduit = await startConduit({
        databaseUrl: postgres.url,
        configuration: [
          `providers: { local: { kind: openai-compatible, baseUrl: "${url}" } }`,
          "models:",
          ...Object.entries(models).map(
            ([id, { input, output, read, write }]) =>
              `  - { id: ${id}, provider: local, inputUsdPerMTok: ${input}, cachedInputUsdPerMTok: ${read}, cacheWriteUsdPerMTok: ${write}, outputUsdPerMTok: ${output} }`
          ),
          policy
        ].join("\n"),
        env: { CONDUIT_ROUTER_ID: `${rule} ${cost}`.replaceAll(/[ .]/g, "-") }
      })
      const ask = async (body: object) => {
        const answer = await request(`${conduit.url}/v1/chat/completions`, { body })
        if (answer.status !== 200) throw new Error(answer.text)
        return answer
      }
      const judge = (id: unknown, value: number) =>
        request(`${conduit.url}/v1/feedback`, { body: { decision_id: id, kind: "score", value } })
      // What they are good at is known before: this is about money.
      for (let i = 0; i < 60; i++) {
        for (const task of ["easy", "hard"] as const) {
          for (const name of ["able", "plain"] as const) {
            const messages = [{ role: "user", content: text(firstTokens, task) }]
            const answer = await ask({ model: name, messages, conduit: { task } })
            await judge(answer.headers["x-conduit-decision-id"], models[name][task])
          }
        }
      }
      cached.clear()
      billedUsd = 0
      let quality = 0
      let turns = 0
      let switches = 0
      for (let n = 0; n < conversations; n++) {
        const draw = (what: string) => uniform(`${seed}|${n}|${what}`)
        const messages: Array<{ role: string; content: string }> = [
          { role: "system", content: text(firstTokens, `agent ${seed}-${n}`) }
        ]
        let before: string | null = null
        for (let turn = 0; turn === 0 || draw(`ends ${turn}`) >= ends; turn++) {
          const task = draw(`task ${turn}`) < 0.75 ? "easy" : "hard"
          messages.push({ role: "user", content: text(turnTokens, `${task} ${n}-${turn}`) })
          const session = isSession ? `${seed}-${n}` : `${seed}-${n}-${turn}`
          const weights = { quality: 1 - cost, cost, latency: 0 }
          const answer = await ask({ model: "auto", messages, conduit: { task, weights, session_id: session } })
          const model = String(answer.headers["x-conduit-model"])
          if (!isName(model)) throw new Error(`no model ${model}`)
          messages.push({ role: "assistant", content: answer.json.choices[0].message.content })
          quality += models[model][task]
          if (before !== null && before !== model) switches++
          before = model
          turns++
        }
      }
      bills.push(billedUsd)
      const share = (of: number | undefined) => (of === undefined || of === 0 ? Number.NaN : (100 * billedUsd) / of)
      row(`${cost} ${rule}`, [billedUsd, quality / turns, switches / turns, share(bills[0]), share(bills[1])])
      conduit.kill("SIGTERM")
      await conduit.ended()
    }
  }
} finally {
  await killAll()
  upstream.close()
  await postgres.dispose()
}
