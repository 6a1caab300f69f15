import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { DecisionEntry, DecisionList } from "../services/api/Responses.ts"
import { candidatesTable, decisionsTable } from "./tools/Figures.ts"
import { decoded, serviceOptions, withSource } from "./tools/Service.ts"

const text = (name: string, description: string) =>
  Options.text(name).pipe(Options.withDescription(description), Options.optional)

/** `conduit decisions`: the newest ones, or one with its explanation. */
export const decisions = Command.make(
  "decisions",
  {
    id: Args.text({ name: "ID" }).pipe(Args.withDescription("of one decision, to be explained"), Args.optional),
    limit: Options.integer("limit").pipe(Options.withDefault(20), Options.withDescription("how many, 1 to 200")),
    model: text("model", "only those that this model answered"),
    task: text("task", "only those of this task"),
    outcome: text("outcome", "only ok, failed, aborted, refused or empty ones"),
    json: Options.boolean("json").pipe(Options.withDescription("print JSON, as `GET /v1/decisions` answers it")),
    ...serviceOptions
  },
  ({ apiKey, id, json, limit, model, outcome, task, url }) =>
    withSource({ apiKey, url }, (source) =>
      Effect.gen(function* () {
        const query = new URLSearchParams({ limit: String(limit) })
        for (const [name, value] of Object.entries({ model, task, outcome })) {
          if (Option.isSome(value)) query.set(name, value.value)
        }
        const path = Option.match(id, {
          onNone: () => `/v1/decisions?${query.toString()}`,
          onSome: (one) => `/v1/decisions/${encodeURIComponent(one)}`
        })
        const text = yield* source.get(path)
        if (json) return yield* Console.log(text)
        if (Option.isNone(id)) {
          return yield* Console.log(decisionsTable((yield* decoded(DecisionList, source)(text)).data))
        }
        const one = yield* decoded(DecisionEntry, source)(text)
        yield* Console.log(`${decisionsTable([one])}\n\n${candidatesTable(one)}`)
      })
    )
).pipe(Command.withDescription("The newest decisions, or one of them with its candidates"))
