import { hash64, uniform } from "../basics/Rng.ts"
import type { Directives, SimulatedRequest } from "./ChatRequest.ts"
import { sampleOf } from "./JsonSample.ts"
import { type Fault, faults, type ModelScript } from "./Script.ts"
import { type Topic, topicOf } from "./Topic.ts"

export { simulatedModels } from "./Fleet.ts"

/** Everything about one simulated call; a function of script, request and seed, so equal ones have equal answers. */
export interface Simulation {
  readonly topic: Topic
  /** Quality of this answer, [0, 1]: the script's mean with some noise. */
  readonly quality: number
  readonly fault: Fault | null
  readonly choices: ReadonlyArray<SimulatedChoice>
  readonly promptTokens: number
  /** Of all choices. */
  readonly completionTokens: number
  readonly firstTokenMs: number
  /** Between two tokens. */
  readonly tokenMs: number
  readonly directives: Directives
}

export interface SimulatedChoice {
  /** The tokens of the text, or of the tool's arguments. */
  readonly pieces: ReadonlyArray<string>
  readonly tool: { readonly id: string; readonly name: string } | null
  readonly finishReason: "stop" | "length" | "tool_calls"
}

/** How long a slow first token takes, unless the request says. */
const slowFirstTokenMs = 10_000

/** One draw's distance from the script's mean quality. */
const qualitySpread = 0.08

/** Uniform draws on (0, 1) that the text determines. */
const drawsOf = (text: string): (() => number) => {
  const key = hash64(text).join("/")
  let count = 0
  return () => uniform(`${key}/${count++}`)
}

const clamp = (value: number) => Math.min(1, Math.max(0, value))

const sentences: Readonly<Record<Topic, ReadonlyArray<string>>> = {
  code: [
    "A real model would show a program here.",
    "It would name the inputs, the loop and the edge cases.",
    "Tests would follow."
  ],
  math: [
    "A real model would derive the result here.",
    "Each step would follow from the one before.",
    "The last line would be the number."
  ],
  translation: [
    "A real model would translate the text here.",
    "It would keep the tone and the names.",
    "Idioms would be adapted."
  ],
  writing: [
    "A real model would write the piece here.",
    "It would have an opening, a turn and an end.",
    "The style would follow the request."
  ],
  facts: [
    "A real model would state the facts here.",
    "It would give dates, names and places.",
    "Doubtful points would be marked."
  ],
  chat: ["A real model would reply here.", "It would be short and to the point.", "It might ask a question in return."]
}

/** Roughly a token each: a word with the white space before it. */
const piecesOf = (text: string): ReadonlyArray<string> => text.match(/\s*\S+/g) ?? []

/** Arguments of a tool in pieces of four characters. */
const argumentPiecesOf = (json: string): ReadonlyArray<string> => json.match(/[\s\S]{1,4}/g) ?? []

const prose = (script: ModelScript, topic: Topic, quality: number, tokens: number): ReadonlyArray<string> => {
  const pieces = [...piecesOf(`[simulated answer of ${script.name}; topic ${topic}; quality ${quality.toFixed(2)}]`)]
  const filler = sentences[topic].flatMap((sentence) => piecesOf(` ${sentence}`))
  for (let i = 0; pieces.length < tokens; i++) pieces.push(filler[i % filler.length] ?? " .")
  return pieces
}

const wordsOf = (name: string) =>
  name
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word.length > 3)

/** The tool that the request forces or its question asks for; null for a text. */
const toolFor = (request: SimulatedRequest): SimulatedRequest["tools"][number] | null => {
  const { toolChoice: choice, tools } = request
  if (choice.type === "none" || tools.length === 0) return null
  if (choice.type === "named") return tools.find((tool) => tool.name === choice.name) ?? null
  const question = request.question.toLowerCase()
  const asked = tools.find((tool) => wordsOf(tool.name).some((word) => question.includes(word)))
  if (choice.type === "required") return asked ?? tools[0] ?? null
  return request.answersTool ? null : (asked ?? null)
}

/** Cuts at the first stop sequence, then at the limit of tokens. */
const cut = (pieces: ReadonlyArray<string>, request: SimulatedRequest): SimulatedChoice => {
  const text = pieces.join("")
  const end = request.stop.reduce((least, stop) => {
    const at = text.indexOf(stop)
    return at >= 0 && at < least ? at : least
  }, text.length)
  const kept = end < text.length ? piecesOf(text.slice(0, end)) : pieces
  return request.maxTokens !== null && kept.length > request.maxTokens
    ? { pieces: kept.slice(0, request.maxTokens), tool: null, finishReason: "length" }
    : { pieces: kept, tool: null, finishReason: "stop" }
}

const faultOf = (script: ModelScript, { fault, only }: Directives, draw: () => number): Fault | null => {
  const scripted = faults.find((fault) => draw() < (script.faults[fault] ?? 0)) ?? null
  return fault !== null && (only === null || only === script.name) ? fault : scripted
}

const choiceOf = (
  script: ModelScript,
  request: SimulatedRequest,
  about: { readonly topic: Topic; readonly quality: number },
  draw: () => number
): SimulatedChoice => {
  const { directives } = request
  if (directives.text !== null) return cut(piecesOf(directives.text), request)
  const tool = toolFor(request)
  if (tool !== null) {
    const id = `call_${Math.floor(draw() * 0xffffffff)
      .toString(16)
      .padStart(8, "0")}`
    const pieces = argumentPiecesOf(JSON.stringify(sampleOf(tool.parameters, request.question)))
    return { pieces, tool: { id, name: tool.name }, finishReason: "tool_calls" }
  }
  if (request.format.type === "schema") {
    return cut(piecesOf(JSON.stringify(sampleOf(request.format.schema, request.question))), request)
  }
  const tokens = directives.tokens ?? Math.max(1, Math.round(script.answerTokens * (0.6 + 0.8 * draw())))
  const pieces = prose(script, about.topic, about.quality, tokens)
  if (request.format.type === "json") {
    return cut(piecesOf(JSON.stringify({ simulated: true, ...about, answer: pieces.join("") })), request)
  }
  return cut(pieces.slice(0, directives.tokens ?? pieces.length), request)
}

/** Answers a request as the script says. O(length of prompt and answer). */
export const simulate = (script: ModelScript, request: SimulatedRequest, seed: string): Simulation => {
  const draw = drawsOf(`${seed}\u0000${script.name}\u0000${request.prompt}`)
  const topic = topicOf(request.question === "" ? request.prompt : request.question)
  const quality = Math.round(clamp(script.quality[topic] + qualitySpread * (draw() + draw() - 1)) * 100) / 100
  const { directives } = request
  const fault = faultOf(script, directives, draw)
  const firstTokenMs = script.firstTokenMs * (0.8 + 0.4 * draw())
  const choices = Array.from({ length: request.n }, () => choiceOf(script, request, { topic, quality }, draw))
  return {
    topic,
    quality,
    fault,
    choices,
    promptTokens: request.promptTokens,
    completionTokens: choices.reduce((sum, choice) => sum + choice.pieces.length, 0),
    firstTokenMs: directives.delayMs ?? (fault === "slow_first_token" ? slowFirstTokenMs : firstTokenMs),
    tokenMs: directives.tokenMs ?? 1000 / script.tokensPerSecond,
    directives
  }
}

/** When a whole answer is complete, milliseconds from the start. The choices are written side by side. */
export const wholeMs = (simulation: Simulation): number =>
  simulation.firstTokenMs +
  simulation.tokenMs * Math.max(0, ...simulation.choices.map((choice) => choice.pieces.length))
