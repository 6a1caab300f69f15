import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { StatsAnswer } from "../services/api/StatsResponse.ts"
import { statsTable } from "./tools/Figures.ts"
import { baseOf, call, read, serviceOptions } from "./tools/Service.ts"

/** `conduit stats`: which model gets which task, and what came of it. */
export const stats = Command.make(
  "stats",
  {
    window: Options.text("window").pipe(
      Options.withDefault("24h"),
      Options.withDescription("how far back, such as 15m, 24h or 7d")
    ),
    json: Options.boolean("json").pipe(Options.withDescription("print what the service sent")),
    ...serviceOptions
  },
  ({ apiKey, json, url, window }) =>
    Effect.gen(function* () {
      const base = baseOf(url)
      const path = `/v1/stats?group_by=task,model&savings=false&window=${encodeURIComponent(window)}`
      if (json) return yield* Console.log(yield* call(`${base}${path}`, apiKey, null))
      yield* Console.log(statsTable(yield* read(StatsAnswer, base, path, apiKey)))
    })
).pipe(Command.withDescription("Which model gets which task, how good its judged answers are, and what was spent"))
