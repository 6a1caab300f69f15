import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { StatsAnswer } from "../services/api/StatsResponse.ts"
import { statsTable } from "./tools/Figures.ts"
import { decoded, serviceOptions, withSource } from "./tools/Service.ts"

/** `conduit stats`: which model gets which task, and what came of it. */
export const stats = Command.make(
  "stats",
  {
    window: Options.text("window").pipe(
      Options.withDefault("24h"),
      Options.withDescription("how far back, such as 15m, 24h or 7d")
    ),
    json: Options.boolean("json").pipe(Options.withDescription("print JSON, as `GET /v1/stats` answers it")),
    ...serviceOptions
  },
  ({ apiKey, json, url, window }) =>
    withSource({ apiKey, url }, (source) =>
      Effect.gen(function* () {
        const text = yield* source.get(
          `/v1/stats?group_by=task,model&savings=false&window=${encodeURIComponent(window)}`
        )
        yield* Console.log(json ? text : statsTable(yield* decoded(StatsAnswer, source)(text)))
      })
    )
).pipe(Command.withDescription("Which model gets which task, how good its judged answers are, and what was spent"))
