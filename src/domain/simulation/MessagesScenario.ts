import type { ErrorAnswer, Frame, ScenarioName } from "./Scenario.ts"
import { scenarios } from "./Scenario.ts"
import type { MessagesScript } from "./MessagesWire.ts"
import { parseJson } from "../models/Json.ts"
import { wordsOf } from "../models/ErrorSaid.ts"

// The scenarios that Anthropic's protocol has too: of the body's form, of refusals, and of what is in an answer.

const message = "the simulated upstream gave up"

/** Scenarios that change only how the bytes come. */
export const ofBytes = [
  "gzip",
  "deflate",
  "deflate_raw",
  "br",
  "unknown_coding",
  "bom",
  "text_plain",
  "capitals",
  "carriage_returns",
  "byte_by_byte",
  "slow_body",
  "other_form",
  "header_flood",
  "request_id",
  "late_first",
  "late_second",
  "silent_after_first",
  "silent_after_headers"
] as const satisfies ReadonlyArray<ScenarioName>

/** Scenarios that refuse a request by a status. */
const ofStatus = [
  "no_temperature",
  "payment",
  "forbidden",
  "not_found",
  "conflict",
  "overloaded"
] as const satisfies ReadonlyArray<ScenarioName>

const overloaded = `event: error\ndata: ${JSON.stringify({ type: "error", error: { type: "overloaded_error", message } })}\n\n`

const ofContent = {
  cut_after_finish: { about: "the connection breaks after the stop reason" },
  no_finish: { about: "no stop reason, a proper end of the body", hasNoStop: true },
  error_event: { about: "`event: error` with `overloaded_error` after the first piece", breaksBy: overloaded },
  heartbeats: { about: "an event that nobody knows", adds: "container_update" },
  empty: { about: "no text, no call, no token", isEmpty: true },
  refusal: { about: "the model declines", refuses: true },
  parallel_calls: { about: "every tool call comes twice", doublesCalls: true },
  served_other: { about: "another model answers", servedBy: "retired-model-2024" },
  usage_cached: { about: "most of the input came from a cache, some was written to it", caches: true },
  no_usage: { about: "no counts at all", hasNoCounts: true }
} as const satisfies Partial<Record<ScenarioName, MessagesScript>>

const isOfContent = (name: ScenarioName): name is keyof typeof ofContent => Object.hasOwn(ofContent, name)
const isIn = (names: ReadonlyArray<ScenarioName>, name: ScenarioName) => names.includes(name)

export const plainScript: MessagesScript = { about: "nothing special" }

/** What the scenario changes of an answer; null where this protocol has no such scenario. */
export const messagesScript = (name: ScenarioName | null): MessagesScript | null => {
  if (name === null || isIn(ofBytes, name) || isIn(ofStatus, name)) return plainScript
  return isOfContent(name) ? ofContent[name] : null
}

/** Their names, for the documentation. */
export const messagesScenarioNames: ReadonlyArray<string> = [...Object.keys(ofContent), ...ofBytes, ...ofStatus]

/** The frames of a body as the scenario sends them. */
export const messagesFrames = (
  name: ScenarioName,
  frames: ReadonlyArray<Frame>,
  stream: boolean
): ReadonlyArray<Frame> => {
  if (isIn(ofBytes, name)) return scenarios[name].frames?.(frames, stream) ?? frames
  const script = messagesScript(name)
  if (!stream) return frames
  if (script?.breaksBy !== undefined) return [...frames.slice(0, 4), { text: script.breaksBy }]
  return name === "cut_after_finish" ? frames.slice(0, -1) : frames
}

const types: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  402: "billing_error",
  403: "permission_error",
  404: "not_found_error",
  409: "conflict_error",
  429: "rate_limit_error",
  529: "overloaded_error"
}

/** Anthropic's error envelope. */
export const errorBody = (status: number, message: string) => ({
  type: "error",
  error: { type: types[status] ?? "api_error", message },
  request_id: "req_mock"
})

/** A refusal in this protocol; a provider that is overloaded says 529 there. */
export const messagesRefusal = ({ body, headers, status }: ErrorAnswer): ErrorAnswer => {
  const meant = status === 503 ? 529 : status
  const said = parseJson(body)
  const words = wordsOf(typeof said === "object" ? body : "").message ?? "refused"
  return { status: meant, body: JSON.stringify(errorBody(meant, words)), ...(headers === undefined ? {} : { headers }) }
}
