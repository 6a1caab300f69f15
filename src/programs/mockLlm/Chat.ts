import type * as Http from "node:http"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { simulate, type Simulation, wholeMs } from "../../domain/simulation/SimulatedModel.ts"
import { type Directives, requestFrom } from "../../domain/simulation/ChatRequest.ts"
import { answerFrames, type Scenario, scenarios, streamFrames } from "../../domain/simulation/Scenario.ts"
import type { ModelScript } from "../../domain/simulation/Script.ts"
import { type AnswerLabel, chunksOf, completionOf } from "../../domain/simulation/Wire.ts"
import type { Gates } from "./Gates.ts"
import { sendError, sendJson, write } from "./Http.ts"
import type { Journal } from "./Journal.ts"
import { writeFrames } from "./Wire.ts"

export interface Call {
  readonly script: ModelScript
  readonly body: Readonly<Record<string, unknown>>
  readonly seed: string
  readonly id: string
  readonly response: Http.ServerResponse
  /** Called before the mock itself breaks the connection. */
  readonly breaking: () => void
}

const until = Effect.fnUntraced(function* (dueMillis: number) {
  const waitMs = dueMillis - (yield* Clock.currentTimeMillis)
  if (waitMs > 0) yield* Effect.sleep(waitMs)
})

/** Answers with the status of the fault, if it has one. */
const refused = ({ response }: Call, { fault }: Simulation): boolean => {
  switch (fault) {
    case "400":
      sendError(response, 400, { message: "simulated bad request", type: "invalid_request_error", code: "bad_request" })
      return true
    case "429":
      sendError(
        response,
        429,
        { message: "simulated rate limit", type: "rate_limit_error", code: "rate_limit_exceeded" },
        { "retry-after": "1" }
      )
      return true
    case "500":
      sendError(response, 500, { message: "simulated failure", type: "server_error", code: "internal_error" })
      return true
    default:
      return false
  }
}

const whole = Effect.fnUntraced(function* (
  { breaking, response }: Call,
  simulation: Simulation,
  label: AnswerLabel,
  startMillis: number
) {
  yield* until(startMillis + wholeMs(simulation))
  const answer = completionOf(simulation, label)
  const text = JSON.stringify(answer)
  switch (simulation.fault) {
    case "bad_json":
      response.writeHead(200, { "content-type": "application/json" })
      response.end(text.slice(0, -10))
      return
    case "cut":
      response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(text) })
      yield* write(response, text.slice(0, text.length / 2))
      breaking()
      response.socket?.destroySoon()
      return
    default:
      sendJson(response, 200, answer)
  }
})

const streamed = Effect.fnUntraced(function* (
  { breaking, response }: Call,
  { gates, journal }: { readonly gates: Gates; readonly journal: Journal },
  simulation: Simulation,
  label: AnswerLabel,
  startMillis: number,
  includeUsage: boolean
) {
  const { fault } = simulation
  const { gate, gateAfter } = simulation.directives
  yield* until(startMillis + simulation.firstTokenMs)
  response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" })
  if (fault === "bad_json") {
    response.end('data: {"id": "chatcmpl\n\ndata: [DONE]\n\n')
    return
  }
  const breaksAfter = fault === "cut" ? Math.ceil(simulation.completionTokens / 2) : Infinity
  let written = 0
  for (const { chunk, dueMs } of chunksOf(simulation, label, includeUsage)) {
    if (written === breaksAfter) {
      breaking()
      response.socket?.destroySoon()
      return
    }
    if (gate !== null && written === gateAfter) yield* gates.pass(gate)
    yield* until(startMillis + dueMs)
    yield* write(response, `data: ${JSON.stringify(chunk)}\n\n`)
    written++
    journal.event()
  }
  response.end(fault === "no_done" ? "" : "data: [DONE]\n\n")
})

/** The scenario of this call, if it has one. */
const scenarioOf = ({ script }: Call, { directives }: Simulation): Scenario | null => {
  const name = isMeant(script, directives) ? (directives.scenario ?? script.scenario) : script.scenario
  return name === undefined || name === null ? null : scenarios[name]
}

const isMeant = ({ name }: ModelScript, { only }: Directives) => only === null || only === name

/** An answer whose wire follows a scenario, or ends after so many bytes. */
const scripted = Effect.fnUntraced(function* (
  call: Call,
  journal: Journal,
  scenario: Scenario,
  simulation: Simulation,
  label: AnswerLabel,
  includeUsage: boolean
) {
  const refusal = scenario.refuses?.(call.body) ?? null
  if (refusal !== null) {
    call.response.writeHead(refusal.status, { "content-type": "application/json", ...refusal.headers })
    call.response.end(refusal.body)
    return
  }
  const stream = (call.body["stream"] === true) !== (scenario.otherForm === true)
  const chunks = Array.from(chunksOf(simulation, label, includeUsage), ({ chunk }) => chunk)
  const frames = stream ? streamFrames(scenario, chunks) : answerFrames(scenario, completionOf(simulation, label))
  const { cutAfter, endAfter } = isMeant(call.script, simulation.directives) ? simulation.directives : noLimits
  yield* writeFrames(call, journal, {
    headers: { "content-type": stream ? "text/event-stream" : "application/json", ...scenario.headers },
    coding: scenario.coding ?? null,
    frames,
    mostBytes: cutAfter ?? endAfter,
    end: cutAfter !== null ? "cut" : (scenario.end ?? "end")
  })
})

const plain: Scenario = { about: "nothing special" }
const hasLimit = ({ directives: { cutAfter, endAfter } }: Simulation) => cutAfter !== null || endAfter !== null
const noLimits = { cutAfter: null, endAfter: null }

/** One call of `/v1/chat/completions`, from the checked body to the last byte. */
export const chat = Effect.fnUntraced(function* (
  call: Call,
  services: { readonly gates: Gates; readonly journal: Journal }
) {
  const request = requestFrom(call.body)
  const simulation = simulate(call.script, request, call.seed)
  const { gate, gateAfter } = simulation.directives
  if (gate !== null && gateAfter === null) yield* services.gates.pass(gate)
  if (simulation.fault === "hang") return yield* Effect.never

  const startMillis = yield* Clock.currentTimeMillis
  const label = { id: call.id, model: call.script.name, createdSeconds: Math.floor(startMillis / 1000) }
  if (refused(call, simulation)) return
  const scenario = scenarioOf(call, simulation) ?? (hasLimit(simulation) ? plain : null)
  if (scenario !== null) {
    yield* until(startMillis + simulation.firstTokenMs)
    return yield* scripted(call, services.journal, scenario, simulation, label, request.includeUsage)
  }
  if (call.body["stream"] === true) {
    yield* streamed(call, services, simulation, label, startMillis, request.includeUsage)
  } else {
    yield* whole(call, simulation, label, startMillis)
  }
})
