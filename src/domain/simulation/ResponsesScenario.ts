import { ofBytes } from "./MessagesScenario.ts"
import type { ResponsesScript } from "./ResponsesWire.ts"
import { type ErrorAnswer, type Frame, type ScenarioName, scenarios } from "./Scenario.ts"

// The scenarios that Responses have too: of the body's form, of refusals, and of what is in an answer.

const message = "the simulated upstream gave up"

/** Scenarios that refuse a request by a status, in the envelope that OpenAI has for all its endpoints. */
const ofStatus = [
  "no_temperature",
  "no_tools",
  "payment",
  "forbidden",
  "not_found",
  "conflict",
  "quota",
  "overloaded"
] as const satisfies ReadonlyArray<ScenarioName>

const ofContent = {
  no_finish: { about: "no last event, a proper end of the body", hasNoEnd: true },
  error: {
    about: "`response.failed` after the first piece",
    breaksBy: {
      type: "response.failed",
      response: { object: "response", status: "failed", error: { code: "server_error", message }, output: [] }
    }
  },
  error_event: {
    about: "`event: error` after the first piece",
    breaksBy: { type: "error", code: "server_error", message, param: null }
  },
  heartbeats: { about: "an event that nobody knows", adds: "response.novelty" },
  lean: { about: "no numbers, no names of events, no echo of the request", isLean: true },
  empty: { about: "no text, no call, no token", isEmpty: true },
  refusal: { about: "the model declines", refuses: true },
  content_filter: { about: "a filter ends the answer", filters: true },
  parallel_calls: { about: "every tool call comes twice", doublesCalls: true },
  served_other: { about: "another model answers", servedBy: "retired-model-2024" },
  usage_cached: { about: "most of the input came from a cache, some was written to it", caches: true },
  service_flex: { about: "served in the tier `flex`", tier: "flex" },
  no_usage: { about: "no counts at all", hasNoCounts: true }
} as const satisfies Partial<Record<ScenarioName, ResponsesScript>>

const isOfContent = (name: ScenarioName): name is keyof typeof ofContent => Object.hasOwn(ofContent, name)
const isIn = (names: ReadonlyArray<ScenarioName>, name: ScenarioName) => names.includes(name)

export const plainResponse: ResponsesScript = { about: "nothing special" }

/** What the scenario changes of an answer; null where this protocol has no such scenario. */
export const responsesScript = (name: ScenarioName | null): ResponsesScript | null => {
  if (name === null || isIn(ofBytes, name) || isIn(ofStatus, name)) return plainResponse
  return isOfContent(name) ? ofContent[name] : null
}

/** Their names, for the documentation. */
export const responsesScenarioNames: ReadonlyArray<string> = [...Object.keys(ofContent), ...ofBytes, ...ofStatus]

/** The frames of a body as the scenario sends them. */
export const responsesFrames = (
  name: ScenarioName,
  frames: ReadonlyArray<Frame>,
  stream: boolean
): ReadonlyArray<Frame> => {
  if (isIn(ofBytes, name)) return scenarios[name].frames?.(frames, stream) ?? frames
  const breaksBy = responsesScript(name)?.breaksBy
  if (!stream || breaksBy === undefined) return frames
  // Behind the beginning of a message and its first piece.
  return [...frames.slice(0, 5), { text: `event: ${breaksBy.type}\ndata: ${JSON.stringify(breaksBy)}\n\n` }]
}

/** OpenAI's envelope. */
export const responsesError = (status: number, text: string, type: string, code: string | null): ErrorAnswer => ({
  status,
  body: JSON.stringify({ error: { message: text, type, code, param: null } })
})
