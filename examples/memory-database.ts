/**
 * The whole service in a test of yours: the database is swapped in one line, the models are simulated, the port is any
 * free one. `npm test` compiles and runs this file.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as DatabaseMemory from "../src/layers/storage/memory/DatabaseMemory.ts"
import * as Conduit from "../src/programs/Conduit.ts"
import { HttpSocket } from "../src/services/api/HttpSocket.ts"
import { Lifecycle } from "../src/services/running/Lifecycle.ts"
import { defaults, Settings } from "../src/services/running/Settings.ts"

const TestSettings = Layer.succeed(Settings, {
  ...defaults,
  http: { ...defaults.http, port: 0 },
  models: { ...defaults.models, simulate: Option.some(true) }
})

const App = Conduit.layerWith({ database: DatabaseMemory.layer }) // in production: Conduit.layer

const Completion = Schema.Struct({ model: Schema.String, choices: Schema.NonEmptyArray(Schema.Unknown) })

/** Asks one question over HTTP, says that the answer was good, and stops the service. */
export const program = Effect.gen(function* () {
  const { url } = yield* HttpSocket
  const lifecycle = yield* Lifecycle
  const post = (path: string, body: unknown) =>
    Effect.promise(() =>
      fetch(`${url}${path}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body)
      })
    )

  const answer = yield* post("/v1/chat/completions", {
    model: "auto",
    messages: [{ role: "user", content: "What is the capital of France?" }]
  })
  const completion = yield* Effect.flatMap(
    Effect.promise(() => answer.json()),
    Schema.decodeUnknown(Completion)
  )
  const decisionId = answer.headers.get("x-conduit-decision-id")
  const feedback = yield* post("/v1/feedback", { decision_id: decisionId, kind: "thumbs", value: "up" })
  const report = yield* lifecycle.shutdown
  return { completion, feedbackStatus: feedback.status, report }
}).pipe(Effect.provide(App), Effect.provide(TestSettings), Effect.scoped)
