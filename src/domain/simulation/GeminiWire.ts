import { parseJson } from "../models/Json.ts"
import { wordsOf } from "../models/ErrorSaid.ts"
import { isNewGeneration, mockThoughtSignature } from "./GeminiRequest.ts"
import { billedTokens, type MessagesScript } from "./MessagesWire.ts"
import type { ErrorAnswer } from "./Scenario.ts"
import type { SimulatedChoice, Simulation } from "./SimulatedModel.ts"
import type { AnswerLabel } from "./Wire.ts"

// A simulated answer in the form of Google's generateContent.

type Part = Readonly<Record<string, unknown>>

/** Tokens of thoughts, which stand outside of the candidates'. */
export const thoughtTokens = 7

/** What a call asks for, and of whom. */
export interface Asked {
  readonly model: string
  readonly showsThoughts: boolean
}

/** What was read from a cache is a part of the prompt. */
const usageOf = (simulation: Simulation, script: MessagesScript) => {
  const { cached, fresh, output } = billedTokens(simulation, script)
  return {
    promptTokenCount: fresh + cached,
    ...(cached === 0 ? {} : { cachedContentTokenCount: cached }),
    candidatesTokenCount: output,
    thoughtsTokenCount: thoughtTokens,
    totalTokenCount: fresh + cached + output + thoughtTokens
  }
}

const partsOf = (choice: SimulatedChoice, script: MessagesScript, asked: Asked): ReadonlyArray<Part> => {
  if (script.isEmpty === true || script.refuses === true) return []
  const thought = asked.showsThoughts ? [{ text: "The simulated model thinks.", thought: true }] : []
  const text = choice.pieces.join("")
  const { tool } = choice
  if (tool === null) return [...thought, { text }]
  const call = (number: number) => ({
    functionCall: {
      ...(isNewGeneration(asked.model) ? { id: `${tool.id}_${number}` } : {}),
      name: tool.name,
      args: JSON.parse(text)
    }
  })
  return [
    ...thought,
    { ...call(1), thoughtSignature: mockThoughtSignature },
    ...(script.doublesCalls === true ? [call(2)] : [])
  ]
}

const finishOf = ({ finishReason }: SimulatedChoice, { refuses }: MessagesScript): string =>
  refuses === true ? "SAFETY" : finishReason === "length" ? "MAX_TOKENS" : "STOP"

const nothing: SimulatedChoice = { pieces: [], tool: null, finishReason: "stop" }

const pieceOf = (
  label: AnswerLabel,
  script: MessagesScript,
  parts: ReadonlyArray<Part>,
  more: { readonly finishReason?: string; readonly usageMetadata?: object } = {}
) => {
  const { finishReason, ...rest } = more
  return {
    candidates: [
      { content: { parts, role: "model" }, ...(finishReason === undefined ? {} : { finishReason }), index: 0 }
    ],
    ...rest,
    modelVersion: script.servedBy ?? label.model,
    responseId: label.id
  }
}

const countsOf = (simulation: Simulation, script: MessagesScript) =>
  script.hasNoCounts === true ? {} : { usageMetadata: usageOf(simulation, script) }

/** Google's answer, whole. */
export const contentOf = (simulation: Simulation, label: AnswerLabel, script: MessagesScript, asked: Asked) => {
  const choice = simulation.choices[0] ?? nothing
  return pieceOf(label, script, partsOf(choice, script, asked), {
    ...(script.hasNoStop === true ? {} : { finishReason: finishOf(choice, script) }),
    ...countsOf(simulation, script)
  })
}

/** The pieces of a stream: texts one each, a call at once; the last has the end and the counts. */
export function* contentPieces(
  simulation: Simulation,
  label: AnswerLabel,
  script: MessagesScript,
  asked: Asked
): Generator<{ readonly dueMs: number; readonly piece: Part }> {
  const choice = simulation.choices[0] ?? nothing
  let dueMs = simulation.firstTokenMs
  for (const part of partsOf(choice, script, asked)) {
    const isText = typeof part["text"] === "string" && part["thought"] !== true
    for (const one of isText ? choice.pieces.map((text) => ({ text })) : [part]) {
      dueMs += simulation.tokenMs
      yield { dueMs, piece: pieceOf(label, script, [one]) }
    }
  }
  if (script.hasNoStop === true) return
  const end = { finishReason: finishOf(choice, script), ...countsOf(simulation, script) }
  yield { dueMs, piece: pieceOf(label, script, [{ text: "" }], end) }
}

const statuses: Readonly<Record<number, string>> = {
  400: "INVALID_ARGUMENT",
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "NOT_FOUND",
  409: "ABORTED",
  429: "RESOURCE_EXHAUSTED",
  500: "INTERNAL",
  503: "UNAVAILABLE"
}

/** Google's error envelope; a limit says when it is over. */
export const geminiError = (status: number, message: string) => ({
  error: {
    code: status,
    message: status === 429 ? `You exceeded your current quota. ${message}` : message,
    status: statuses[status] ?? "UNKNOWN",
    ...(status === 429 ? { details: [{ "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "2s" }] } : {})
  }
})

export const geminiRefusal = ({ body, headers, status }: ErrorAnswer): ErrorAnswer => {
  const said = parseJson(body)
  const words = wordsOf(typeof said === "object" ? body : "").message ?? "refused"
  return { status, body: JSON.stringify(geminiError(status, words)), ...(headers === undefined ? {} : { headers }) }
}
