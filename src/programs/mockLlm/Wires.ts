import { requestFrom, type SimulatedRequest } from "../../domain/simulation/ChatRequest.ts"
import { requestFromGemini, wantsThoughtsShown } from "../../domain/simulation/GeminiRequest.ts"
import {
  contentOf,
  contentPieces,
  geminiError,
  geminiRefusal,
  thoughtTokens
} from "../../domain/simulation/GeminiWire.ts"
import { requestFromMessages, wantsThoughts } from "../../domain/simulation/MessagesRequest.ts"
import {
  errorBody,
  messagesFrames,
  messagesRefusal,
  messagesScript,
  plainScript
} from "../../domain/simulation/MessagesScenario.ts"
import { billedTokens, billOf, messageEvents, messageOf } from "../../domain/simulation/MessagesWire.ts"
import {
  answerFrames,
  type ErrorAnswer,
  type Frame,
  type ScenarioName,
  scenarios,
  streamFrames
} from "../../domain/simulation/Scenario.ts"
import type { ModelScript } from "../../domain/simulation/Script.ts"
import type { Simulation } from "../../domain/simulation/SimulatedModel.ts"
import { keptPrefix, requestFromResponses } from "../../domain/simulation/ResponsesRequest.ts"
import {
  plainResponse,
  responsesError,
  responsesFrames,
  responsesScript
} from "../../domain/simulation/ResponsesScenario.ts"
import { billedBy, responseEvents, responseOf } from "../../domain/simulation/ResponsesWire.ts"
import { type AnswerLabel, chunksOf, completionOf } from "../../domain/simulation/Wire.ts"

type Json = Readonly<Record<string, unknown>>

/** An event of a stream as it is written, and when: milliseconds from the start of the call. */
interface TimedText {
  readonly dueMs: number
  readonly text: string
}

/** One call's answer in a protocol. */
export interface WireAnswer {
  readonly whole: () => unknown
  readonly events: () => Iterable<TimedText>
  /** Behind the last event of a stream. */
  readonly end: string
  /** The body as a scenario writes it. */
  readonly scripted: (name: ScenarioName | null, stream: boolean) => ReadonlyArray<Frame>
  /** What it costs by the prices of the script, USD. */
  readonly costUsd: number
}

/** A protocol as the mock speaks it. */
export interface Wire {
  readonly idPrefix: string
  readonly read: (body: Json) => SimulatedRequest
  readonly answer: (
    simulation: Simulation,
    about: { readonly label: AnswerLabel; readonly body: Json; readonly script: ModelScript },
    scenario: ScenarioName | null
  ) => WireAnswer
  readonly error: (status: number, message: string, type: string, code: string) => ErrorAnswer
  /** A scenario's refusal in this protocol. */
  readonly refusal: (refusal: ErrorAnswer) => ErrorAnswer
  /** Whether the protocol has the scenario. */
  readonly has: (scenario: ScenarioName) => boolean
}

const event = (payload: unknown) => `data: ${JSON.stringify(payload)}\n\n`
const done = "data: [DONE]\n\n"

export const chatWire: Wire = {
  idPrefix: "chatcmpl-mock-",
  read: requestFrom,
  answer: (simulation, { body, label, script }) => {
    const { includeUsage } = requestFrom(body)
    const chunks = () => chunksOf(simulation, label, includeUsage)
    const bare = { fresh: simulation.promptTokens, cached: 0, written: 0, written1h: 0 }
    return {
      whole: () => completionOf(simulation, label),
      *events() {
        for (const { chunk, dueMs } of chunks()) yield { dueMs, text: event(chunk) }
      },
      end: done,
      scripted: (name, stream) => {
        const scenario = name === null ? { about: "nothing special" } : scenarios[name]
        return stream
          ? streamFrames(
              scenario,
              Array.from(chunks(), ({ chunk }) => chunk)
            )
          : answerFrames(scenario, completionOf(simulation, label))
      },
      costUsd: billOf({ ...bare, output: simulation.completionTokens }, script)
    }
  },
  error: (status, message, type, code) => ({
    status,
    body: JSON.stringify({ error: { message, type, code, param: null } })
  }),
  refusal: (refusal) => refusal,
  has: () => true
}

const named = ({ type, ...more }: { readonly type: string } & Json) =>
  `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`

export const messagesWire: Wire = {
  idPrefix: "msg_mock_",
  read: requestFromMessages,
  answer: (simulation, { body, label, script }, scenario) => {
    const content = messagesScript(scenario) ?? plainScript
    const thinks = wantsThoughts(body)
    const end = named({ type: "message_stop" })
    const events = () => messageEvents(simulation, label, content, thinks)
    const message = () => messageOf(simulation, label, content, thinks)
    return {
      whole: message,
      *events() {
        for (const { dueMs, event } of events()) yield { dueMs, text: named(event) }
      },
      end,
      scripted: (name, stream) => {
        const frames = stream
          ? [
              ...Array.from(events(), ({ event }) => ({ text: named(event) })),
              ...(content.hasNoStop === true ? [] : [{ text: end }])
            ]
          : [{ text: JSON.stringify(message()) }]
        return name === null ? frames : messagesFrames(name, frames, stream)
      },
      costUsd: billOf(billedTokens(simulation, content), script)
    }
  },
  error: (status, message) => ({ status, body: JSON.stringify(errorBody(status, message)) }),
  refusal: messagesRefusal,
  has: (scenario) => messagesScript(scenario) !== null
}

/** What is in an answer and how its bytes come is as in Anthropic's protocol; a stream has no event that ends it. */
export const geminiWire: Wire = {
  idPrefix: "gemini-mock-",
  read: requestFromGemini,
  answer: (simulation, { body, label, script }, scenario) => {
    const content = messagesScript(scenario) ?? plainScript
    const asked = { model: label.model, showsThoughts: wantsThoughtsShown(body) }
    const pieces = () => contentPieces(simulation, label, content, asked)
    const whole = () => contentOf(simulation, label, content, asked)
    const billed = billedTokens(simulation, content)
    return {
      whole,
      *events() {
        for (const { dueMs, piece } of pieces()) yield { dueMs, text: event(piece) }
      },
      end: "",
      scripted: (name, stream) => {
        const frames = stream
          ? Array.from(pieces(), ({ piece }) => ({ text: event(piece) }))
          : [{ text: JSON.stringify(whole()) }]
        if (name === null) return frames
        if (content.breaksBy === undefined) return messagesFrames(name, frames, stream)
        return stream ? [...frames.slice(0, 2), { text: event(geminiError(503, "The model is overloaded.")) }] : frames
      },
      costUsd: billOf({ ...billed, written: 0, written1h: 0, output: billed.output + thoughtTokens }, script)
    }
  },
  error: (status, message) => ({ status, body: JSON.stringify(geminiError(status, message)) }),
  refusal: geminiRefusal,
  has: (scenario) => messagesScript(scenario) !== null
}

export const responsesWire: Wire = {
  idPrefix: keptPrefix,
  read: requestFromResponses,
  answer: (simulation, { body, label, script: model }, scenario) => {
    const script = responsesScript(scenario) ?? plainResponse
    const told = { simulation, label, body, script }
    const written = script.isLean === true ? event : named
    const events = () => responseEvents(told)
    const broken = script.breaksBy
    return {
      whole: () => responseOf(told),
      *events() {
        for (const { dueMs, event: payload } of events()) yield { dueMs, text: written(payload) }
      },
      end: "",
      scripted: (name, stream) => {
        const body = broken === undefined ? responseOf(told) : (broken["response"] ?? { error: broken })
        const frames = stream
          ? Array.from(events(), ({ event: payload }) => ({ text: written(payload) }))
          : [{ text: JSON.stringify(body) }]
        return name === null ? frames : responsesFrames(name, frames, stream)
      },
      costUsd: billOf(billedBy(simulation, script), model)
    }
  },
  error: responsesError,
  refusal: (refusal) => refusal,
  has: (scenario) => responsesScript(scenario) !== null
}
