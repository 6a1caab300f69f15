import type { SimulatedChoice, Simulation } from "./SimulatedModel.ts"

/** What an answer says about itself. */
export interface AnswerLabel {
  readonly id: string
  readonly model: string
  readonly createdSeconds: number
}

const usageOf = (simulation: Simulation) => ({
  prompt_tokens: simulation.promptTokens,
  completion_tokens: simulation.completionTokens,
  total_tokens: simulation.promptTokens + simulation.completionTokens
})

/** Tells a program what the text tells a reader. */
const labelOf = (simulation: Simulation) => ({
  simulation: { simulated: true, topic: simulation.topic, quality: simulation.quality }
})

const messageOf = (choice: SimulatedChoice) => {
  const text = choice.pieces.join("")
  return choice.tool === null
    ? { role: "assistant", content: text, refusal: null }
    : {
        role: "assistant",
        content: null,
        refusal: null,
        tool_calls: [{ id: choice.tool.id, type: "function", function: { name: choice.tool.name, arguments: text } }]
      }
}

/** OpenAI's `chat.completion` object. */
export const completionOf = (simulation: Simulation, label: AnswerLabel) => ({
  id: label.id,
  object: "chat.completion",
  created: label.createdSeconds,
  model: label.model,
  system_fingerprint: "simulated",
  choices: simulation.choices.map((choice, index) => ({
    index,
    message: messageOf(choice),
    logprobs: null,
    finish_reason: choice.finishReason
  })),
  usage: usageOf(simulation),
  ...labelOf(simulation)
})

/** One event of a stream and when it is due. */
export interface TimedChunk {
  /** Milliseconds from the start of the call. */
  readonly dueMs: number
  readonly chunk: Readonly<Record<string, unknown>>
}

/** OpenAI's `chat.completion.chunk` objects, one a token, made as they are asked for; the end of the stream is not among them. */
export function* chunksOf(simulation: Simulation, label: AnswerLabel, includeUsage: boolean): Generator<TimedChunk> {
  let dueMs = simulation.firstTokenMs
  const timed = (choices: ReadonlyArray<unknown>, more: object = {}): TimedChunk => ({
    dueMs,
    chunk: {
      id: label.id,
      object: "chat.completion.chunk",
      created: label.createdSeconds,
      model: label.model,
      system_fingerprint: "simulated",
      choices,
      ...more
    }
  })
  const delta = (index: number, delta: object, finishReason: string | null = null) => [
    { index, delta, logprobs: null, finish_reason: finishReason }
  ]

  for (const [index, { tool }] of simulation.choices.entries()) {
    const opening =
      tool === null
        ? { role: "assistant", content: "" }
        : {
            role: "assistant",
            content: null,
            tool_calls: [{ index: 0, id: tool.id, type: "function", function: { name: tool.name, arguments: "" } }]
          }
    yield timed(delta(index, opening))
  }
  const longest = Math.max(0, ...simulation.choices.map((choice) => choice.pieces.length))
  for (let i = 0; i < longest; i++) {
    dueMs += simulation.tokenMs
    for (const [index, { pieces, tool }] of simulation.choices.entries()) {
      const piece = pieces[i]
      if (piece === undefined) continue
      const content =
        tool === null ? { content: piece } : { tool_calls: [{ index: 0, function: { arguments: piece } }] }
      yield timed(delta(index, content))
    }
  }
  for (const [index, choice] of simulation.choices.entries()) {
    yield timed(delta(index, {}, choice.finishReason), labelOf(simulation))
  }
  if (includeUsage) yield timed([], { usage: usageOf(simulation) })
}
