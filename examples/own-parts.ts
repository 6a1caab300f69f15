/**
 * Conduit inside a program of your own: models that a function calls, an algorithm of your own, and a database in memory.
 * In your program the imports are "conduit-router" and "conduit-router/testing". `npm test` compiles and runs this file.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import {
  type ChoiceRuleShape,
  Conduit,
  defaults,
  HttpSocket,
  OwnModels,
  ProviderError,
  Settings
} from "../src/index.ts"
import { DatabaseMemory } from "../src/testing.ts"

/** Called for each request, whatever the model: here it could ask a library, a queue, or a model in this process. */
const answer: OwnModels.OwnModels = ({ model }) =>
  model.id === "sim-small"
    ? Effect.fail(
        new ProviderError({
          model: model.id,
          reason: "server_error",
          status: null,
          retryAfterSeconds: null,
          detail: "this one is away: another one is asked"
        })
      )
    : Effect.succeed({ text: `${model.id} says hello`, inputTokens: 12, outputTokens: 4 })

/** The best by the mean of its score, and 10 % for all alike: two lines are an algorithm. */
export const greedy: ChoiceRuleShape = {
  name: "greedy-tenth",
  shares: (options) => {
    const best = options.reduce((at, option, i) => (option.mean > (options[at]?.mean ?? -1) ? i : at), 0)
    return options.map((_, i) => 0.1 / options.length + (i === best ? 0.9 : 0))
  }
}

const Service = Conduit.layerWith({
  database: DatabaseMemory.layer, // leave it out for the PostgreSQL of DATABASE_URL
  models: OwnModels.layer(answer),
  rule: greedy
})

const OwnSettings = Layer.succeed(Settings, { ...defaults, http: { ...defaults.http, port: 0 } })

export const program = Effect.gen(function* () {
  const { url } = yield* HttpSocket
  return yield* Effect.promise(async () => {
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "auto", messages: [{ role: "user", content: "Hello" }] })
    })
    const completion: unknown = await response.json()
    const id = response.headers.get("x-conduit-decision-id")
    const decision: unknown = await (await fetch(`${url}/v1/decisions/${id}`)).json()
    return { status: response.status, completion, decision }
  })
}).pipe(Effect.provide(Service), Effect.provide(OwnSettings), Effect.scoped)
