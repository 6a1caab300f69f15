import type * as Http from "node:http"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { simulate, type Simulation, wholeMs } from "../../domain/simulation/SimulatedModel.ts"
import type { Directives } from "../../domain/simulation/ChatRequest.ts"
import { type ErrorAnswer, type ScenarioName, scenarios } from "../../domain/simulation/Scenario.ts"
import type { ModelScript } from "../../domain/simulation/Script.ts"
import type { Gates } from "./Gates.ts"
import { sendJson, write } from "./Http.ts"
import type { Journal } from "./Journal.ts"
import { writeFrames } from "./Wire.ts"
import type { Wire, WireAnswer } from "./Wires.ts"

export interface Call {
  /** The protocol that it is made in. */
  readonly wire: Wire
  readonly script: ModelScript
  readonly body: Readonly<Record<string, unknown>>
  readonly stream: boolean
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

const send = ({ response }: Call, { body, headers, status }: ErrorAnswer): void => {
  response.writeHead(status, { "content-type": "application/json", ...headers })
  response.end(body)
}

/** Answers with the status of the fault, if it has one. */
const refused = (call: Call, { fault }: Simulation): boolean => {
  const { error } = call.wire
  switch (fault) {
    case "400":
      send(call, error(400, "simulated bad request", "invalid_request_error", "bad_request"))
      return true
    case "429": {
      const limited = error(429, "simulated rate limit", "rate_limit_error", "rate_limit_exceeded")
      send(call, { ...limited, headers: { "retry-after": "1" } })
      return true
    }
    case "500":
      send(call, error(500, "simulated failure", "server_error", "internal_error"))
      return true
    default:
      return false
  }
}

const whole = Effect.fnUntraced(function* (
  { breaking, response }: Call,
  simulation: Simulation,
  answer: WireAnswer,
  startMillis: number
) {
  yield* until(startMillis + wholeMs(simulation))
  const body = answer.whole()
  const text = JSON.stringify(body)
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
      sendJson(response, 200, body)
  }
})

const streamed = Effect.fnUntraced(function* (
  { breaking, response }: Call,
  { gates, journal }: { readonly gates: Gates; readonly journal: Journal },
  simulation: Simulation,
  answer: WireAnswer,
  startMillis: number
) {
  const { fault } = simulation
  const { gate, gateAfter } = simulation.directives
  yield* until(startMillis + simulation.firstTokenMs)
  response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" })
  if (fault === "bad_json") {
    response.end(`data: {"id": "chatcmpl\n\n${answer.end}`)
    return
  }
  const breaksAfter = fault === "cut" ? Math.ceil(simulation.completionTokens / 2) : Infinity
  let written = 0
  for (const { dueMs, text } of answer.events()) {
    if (written === breaksAfter) {
      breaking()
      response.socket?.destroySoon()
      return
    }
    if (gate !== null && written === gateAfter) yield* gates.pass(gate)
    yield* until(startMillis + dueMs)
    yield* write(response, text)
    written++
    journal.event()
  }
  response.end(fault === "no_done" ? "" : answer.end)
})

/** The scenario of this call, if it has one. */
const scenarioOf = ({ script, wire }: Call, { directives }: Simulation): ScenarioName | null => {
  const name = (isMeant(script, directives) ? directives.scenario : null) ?? script.scenario ?? null
  return name !== null && wire.has(name) ? name : null
}

const isMeant = ({ name }: ModelScript, { only }: Directives) => only === null || only === name

/** An answer whose wire follows a scenario, or ends after so many bytes. */
const scripted = Effect.fnUntraced(function* (
  call: Call,
  journal: Journal,
  name: ScenarioName | null,
  simulation: Simulation,
  answer: WireAnswer
) {
  const scenario = name === null ? { about: "nothing special" } : scenarios[name]
  const refusal = scenario.refuses?.(call.body) ?? null
  if (refusal !== null) return send(call, call.wire.refusal(refusal))
  const stream = call.stream !== (scenario.otherForm === true)
  const { cutAfter, endAfter } = isMeant(call.script, simulation.directives) ? simulation.directives : noLimits
  yield* writeFrames(call, journal, {
    headers: { "content-type": stream ? "text/event-stream" : "application/json", ...scenario.headers },
    coding: scenario.coding ?? null,
    frames: answer.scripted(name, stream),
    mostBytes: cutAfter ?? endAfter,
    end: cutAfter !== null ? "cut" : (scenario.end ?? "end")
  })
})

const hasLimit = ({ directives: { cutAfter, endAfter } }: Simulation) => cutAfter !== null || endAfter !== null
const noLimits = { cutAfter: null, endAfter: null }

/** One call, from the checked body to the last byte. */
export const chat = Effect.fnUntraced(function* (
  call: Call,
  services: { readonly gates: Gates; readonly journal: Journal }
) {
  const { body, script, stream, wire } = call
  const simulation = simulate(script, wire.read(body), call.seed)
  const { gate, gateAfter } = simulation.directives
  if (gate !== null && gateAfter === null) yield* services.gates.pass(gate)
  if (simulation.fault === "hang") return yield* Effect.never

  const startMillis = yield* Clock.currentTimeMillis
  const label = { id: call.id, model: script.name, createdSeconds: Math.floor(startMillis / 1000) }
  if (refused(call, simulation)) return
  const scenario = scenarioOf(call, simulation)
  const answer = wire.answer(simulation, { label, body, script }, scenario)
  call.response.once("finish", () => services.journal.billed(call.response.statusCode === 200 ? answer.costUsd : 0))
  if (scenario !== null || hasLimit(simulation)) {
    yield* until(startMillis + simulation.firstTokenMs)
    return yield* scripted(call, services.journal, scenario, simulation, answer)
  }
  if (stream) yield* streamed(call, services, simulation, answer, startMillis)
  else yield* whole(call, simulation, answer, startMillis)
})
