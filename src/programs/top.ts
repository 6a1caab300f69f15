import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { DecisionList } from "../services/api/Responses.ts"
import { StatsAnswer } from "../services/api/StatsResponse.ts"
import { decisionsTable, statsTable } from "./tools/Figures.ts"
import { baseOf, read, serviceOptions } from "./tools/Service.ts"

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
    json: Options.boolean("json").pipe(Options.withDescription("print both once, as the service sent them")),
    ...serviceOptions
  },
  ({ apiKey, json, url, window }) => {
    const base = baseOf(url)
    const isTerminal = process.stdout.isTTY
    const look = Effect.gen(function* () {
      const statsPath = `/v1/stats?group_by=task,model&savings=false&window=${encodeURIComponent(window)}`
      const stats = yield* read(StatsAnswer, base, statsPath, apiKey)
      const { data } = yield* read(DecisionList, base, `/v1/decisions?limit=${shown}`, apiKey)
      if (json) return yield* Console.log(JSON.stringify({ stats, decisions: data }))
      const text = `${base}, the last ${window}\n\n${statsTable(stats)}\n\n${decisionsTable(data)}`
      yield* Console.log(isTerminal ? `${fresh}${text}\n\nCtrl+C ends it.` : text)
    })
    return json || !isTerminal ? look : Effect.asVoid(Effect.repeat(look, Schedule.spaced(every)))
  }
).pipe(Command.withDescription("Watch a running service: which model gets which task, and the newest decisions"))
