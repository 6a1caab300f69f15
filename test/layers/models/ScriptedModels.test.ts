import { problemWith, requestFrom } from "../../../src/domain/simulation/ChatRequest.ts"
import { scriptOf } from "../../../src/domain/simulation/Fleet.ts"
import { simulate, type Simulation } from "../../../src/domain/simulation/SimulatedModel.ts"
import { chunksOf, completionOf } from "../../../src/domain/simulation/Wire.ts"
import type { ChatBody } from "../../../src/services/models/LanguageModels.ts"
import { languageModelsContract } from "../../support/languageModelsContract.ts"
import { failure, model, type Script, scriptedModels } from "../../support/scriptedModels.ts"

const scripted = model("scripted")

const label = { id: "chatcmpl-1", model: scripted.upstream, createdSeconds: 1_760_000_000 }

const refusalOf = ({ fault }: Simulation): Script | null => {
  switch (fault) {
    case "400":
      return failure("scripted", "rejected", { status: 400 })
    case "429":
      return failure("scripted", "rate_limited", { status: 429, retryAfterSeconds: 1 })
    case "500":
      return failure("scripted", "server_error", { status: 500 })
    default:
      return null
  }
}

const cut = failure("scripted", "cut", { status: 200 })

const wholeOf = (simulation: Simulation): Script => {
  const text = JSON.stringify(completionOf(simulation, label))
  const waitMs = simulation.fault === "hang" ? Infinity : simulation.firstTokenMs
  return { whole: simulation.fault === "bad_json" ? text.slice(0, -10) : text, waitMs }
}

const streamOf = (simulation: Simulation): Script => {
  const { fault } = simulation
  const chunks = Array.from(chunksOf(simulation, label, true), ({ chunk }) => JSON.stringify(chunk))
  const waited = { waitMs: fault === "hang" ? Infinity : simulation.firstTokenMs }
  if (fault === "bad_json") return [waited, '{"id": "chatcmpl']
  if (fault === "cut") return [waited, ...chunks.slice(0, Math.ceil(chunks.length / 2)), cut]
  return [waited, ...chunks, ...(fault === "no_done" ? (["ends"] as const) : [])]
}

/** What the contract asks of a model in its requests, as scripts of the double. */
const byRequest = (body: ChatBody, stream: boolean): Script => {
  const detail = problemWith({ ...body, model: scripted.upstream })
  if (detail !== null) return failure("scripted", "rejected", { status: 400, detail })
  const simulation = simulate(scriptOf(scripted), requestFrom(body), "scripted")
  const refusal = refusalOf(simulation)
  if (refusal !== null) return refusal
  if (stream) return streamOf(simulation)
  return simulation.fault === "cut" ? cut : wholeOf(simulation)
}

languageModelsContract(
  "scriptedModels, the double of the router's tests,",
  scriptedModels({ scripted: byRequest }).layer,
  scripted
)
