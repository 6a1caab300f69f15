import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { DecisionList } from "../services/api/Responses.ts"
import { StatsAnswer } from "../services/api/StatsResponse.ts"
import { decisionsTable, statsTable } from "./tools/Figures.ts"
import { decoded, serviceOptions, type Source, withSource } from "./tools/Service.ts"

/** The cursor goes home, and what stood there is cleared. */
const fresh = "\u001b[H\u001b[2J"
const every = Duration.seconds(2)
const shown = 10

/** `conduit top`: the dashboard in a terminal; in a pipe it prints once. */
export const top = Command.make(
  "top",
  {
    window: Options.text("window").pipe(
      Options.withDefault("1h"),
      Options.withDescription("how far back, such as 15m, 24h or 7d")
    ),
    json: Options.boolean("json").pipe(
      Options.withDescription("print JSON once: what /v1/stats and /v1/decisions answer")
    ),
    ...serviceOptions
  },
  ({ apiKey, json, url, window }) => {
    const isTerminal = process.stdout.isTTY
    const look = (source: Source) =>
      Effect.gen(function* () {
        const statsPath = `/v1/stats?group_by=task,model&savings=false&window=${encodeURIComponent(window)}`
        const stats = yield* Effect.flatMap(source.get(statsPath), decoded(StatsAnswer, source))
        const { data } = yield* Effect.flatMap(
          source.get(`/v1/decisions?limit=${shown}`),
          decoded(DecisionList, source)
        )
        if (json) return yield* Console.log(JSON.stringify({ stats, decisions: data }))
        const text = `${source.name}, the last ${window}\n\n${statsTable(stats)}\n\n${decisionsTable(data)}`
        yield* Console.log(isTerminal ? `${fresh}${text}\n\nCtrl+C ends it.` : text)
      })
    return withSource({ apiKey, url }, (source) =>
      json || !isTerminal ? look(source) : Effect.asVoid(Effect.repeat(look(source), Schedule.spaced(every)))
    )
  }
).pipe(Command.withDescription("Watch what happens: which model gets which task, and the newest decisions"))
