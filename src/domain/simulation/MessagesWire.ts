import { mockSignature } from "./MessagesRequest.ts"
import type { ModelScript } from "./Script.ts"
import type { SimulatedChoice, Simulation } from "./SimulatedModel.ts"
import type { AnswerLabel } from "./Wire.ts"

// A simulated answer in the form of Anthropic's Messages.

/** What a call shows on the wire besides the plain answer. */
export interface MessagesScript {
  readonly about: string
  /** Every call comes twice. */
  readonly doublesCalls?: boolean
  /** The model declines. */
  readonly refuses?: boolean
  /** Nothing is said. */
  readonly isEmpty?: boolean
  /** Most of the input came from a cache, and some was written to it. */
  readonly caches?: boolean
  /** Nobody counts. */
  readonly hasNoCounts?: boolean
  readonly servedBy?: string
  /** An event that ends the stream after its first piece. */
  readonly breaksBy?: string
  /** The stream has an event of this name that nobody knows. */
  readonly adds?: string
  /** The stream ends without a stop reason. */
  readonly hasNoStop?: boolean
}

/** Tokens as they are billed. */
export interface BilledTokens {
  readonly fresh: number
  readonly cached: number
  readonly written: number
  readonly written1h: number
  readonly output: number
}

export const billedTokens = ({ completionTokens, promptTokens }: Simulation, script: MessagesScript): BilledTokens =>
  script.caches === true
    ? { fresh: promptTokens, cached: 9000, written: 500, written1h: 300, output: completionTokens }
    : {
        fresh: promptTokens,
        cached: 0,
        written: 0,
        written1h: 0,
        output: script.isEmpty === true ? 0 : completionTokens
      }

/** USD, at the vendor's usual multiples: a tenth for what was cached, 1.25 and 2 for what was written. */
export const billOf = ({ cached, fresh, output, written, written1h }: BilledTokens, model: ModelScript): number => {
  const { inputUsdPerMTok, outputUsdPerMTok } = model
  const input = fresh + 0.1 * cached + 1.25 * written + 2 * written1h
  return (input * inputUsdPerMTok + output * outputUsdPerMTok) / 1e6
}

const inputCounts = ({ cached, fresh, written, written1h }: BilledTokens) => ({
  input_tokens: fresh,
  cache_creation_input_tokens: written + written1h,
  cache_read_input_tokens: cached,
  cache_creation: { ephemeral_5m_input_tokens: written, ephemeral_1h_input_tokens: written1h },
  service_tier: "standard"
})

type Block = Readonly<Record<string, unknown>>

const thoughts = "The simulated model thinks."

/** The blocks of an answer, whole. */
const blocksOf = (choice: SimulatedChoice, script: MessagesScript, thinks: boolean): ReadonlyArray<Block> => {
  if (script.isEmpty === true) return []
  if (script.refuses === true) return [{ type: "text", text: "I cannot" }]
  const thinking = thinks ? [{ type: "thinking", thinking: thoughts, signature: `${mockSignature}-1` }] : []
  const text = choice.pieces.join("")
  const { tool } = choice
  if (tool === null) return [...thinking, { type: "text", text }]
  const call = (id: string) => ({ type: "tool_use", id, name: tool.name, input: JSON.parse(text) })
  return [...thinking, call(tool.id), ...(script.doublesCalls === true ? [call(`${tool.id}_2`)] : [])]
}

const stopOf = ({ finishReason }: SimulatedChoice, { refuses }: MessagesScript) => ({
  stop_reason:
    refuses === true
      ? "refusal"
      : finishReason === "length"
        ? "max_tokens"
        : finishReason === "tool_calls"
          ? "tool_use"
          : "end_turn",
  stop_sequence: null
})

const nothing: SimulatedChoice = { pieces: [], tool: null, finishReason: "stop" }

/** Anthropic's `message` object. */
export const messageOf = (
  simulation: Simulation,
  label: AnswerLabel,
  script: MessagesScript,
  thinks: boolean
): Block => {
  const choice = simulation.choices[0] ?? nothing
  const billed = billedTokens(simulation, script)
  return {
    id: label.id,
    type: "message",
    role: "assistant",
    model: script.servedBy ?? label.model,
    content: blocksOf(choice, script, thinks),
    ...stopOf(choice, script),
    ...(script.hasNoCounts === true ? {} : { usage: { ...inputCounts(billed), output_tokens: billed.output } })
  }
}

/** One event of a stream and when it is due. */
export interface TimedEvent {
  /** Milliseconds from the start of the call. */
  readonly dueMs: number
  readonly event: { readonly type: string } & Block
}

/** The pieces in which a block comes. */
const deltasOf = (block: Block, choice: SimulatedChoice): ReadonlyArray<Block> => {
  switch (block["type"]) {
    case "thinking":
      return [
        { type: "thinking_delta", thinking: block["thinking"] },
        { type: "signature_delta", signature: block["signature"] }
      ]
    case "tool_use":
      return choice.pieces.map((piece) => ({ type: "input_json_delta", partial_json: piece }))
    default:
      return (choice.tool === null && block["text"] !== "I cannot" ? choice.pieces : [block["text"]]).map((piece) => ({
        type: "text_delta",
        text: piece
      }))
  }
}

const begun = (block: Block): Block => ({
  ...block,
  ...(block["type"] === "text" ? { text: "" } : {}),
  ...(block["type"] === "thinking" ? { thinking: "", signature: "" } : {}),
  ...(block["type"] === "tool_use" ? { input: {} } : {})
})

/** The events of a stream, one a piece; `message_stop` is not among them. The counts of its end are cumulative. */
export function* messageEvents(
  simulation: Simulation,
  label: AnswerLabel,
  script: MessagesScript,
  thinks: boolean
): Generator<TimedEvent> {
  const { content, stop_reason, stop_sequence, usage: _, ...head } = messageOf(simulation, label, script, thinks)
  const choice = simulation.choices[0] ?? nothing
  const billed = billedTokens(simulation, script)
  let dueMs = simulation.firstTokenMs
  const counted = script.hasNoCounts !== true
  const usage = counted ? { usage: { ...inputCounts(billed), output_tokens: 1 } } : {}
  yield { dueMs, event: { type: "message_start", message: { ...head, content: [], stop_reason: null, ...usage } } }
  yield { dueMs, event: { type: "ping" } }
  if (script.adds !== undefined) yield { dueMs, event: { type: script.adds, detail: 1 } }
  const blocks: ReadonlyArray<Block> = Array.isArray(content) ? content : []
  for (const [index, block] of blocks.entries()) {
    yield { dueMs, event: { type: "content_block_start", index, content_block: begun(block) } }
    for (const delta of deltasOf(block, choice)) {
      dueMs += simulation.tokenMs
      yield { dueMs, event: { type: "content_block_delta", index, delta } }
    }
    yield { dueMs, event: { type: "content_block_stop", index } }
  }
  if (script.hasNoStop === true) return
  const half = { output_tokens: Math.floor(billed.output / 2) }
  if (counted) yield { dueMs, event: { type: "message_delta", delta: { stop_reason: null }, usage: half } }
  yield {
    dueMs,
    event: {
      type: "message_delta",
      delta: { stop_reason, stop_sequence },
      ...(counted ? { usage: { output_tokens: billed.output } } : {})
    }
  }
}
