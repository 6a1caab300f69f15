import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { readFile } from "node:fs/promises"
import { parse } from "yaml"
import { fromLiteLlm } from "../domain/models/LiteLlm.ts"
import { Refused } from "./tools/Refused.ts"
import { json } from "./tools/Told.ts"
import { writeConfiguration } from "./tools/WriteConfiguration.ts"

const file = Args.text({ name: "FILE" }).pipe(Args.withDescription("LiteLLM's config.yaml"))

const out = Options.text("out").pipe(
  Options.withDefault("conduit.yaml"),
  Options.withDescription("the file that is written, and never written over; - prints it")
)

const litellm = Command.make("litellm", { file, out, json }, ({ file, json, out }) =>
  Effect.gen(function* () {
    const content = yield* Effect.tryPromise({
      try: async () => parse(await readFile(file, "utf8")) as unknown,
      catch: (cause) =>
        new Refused({ detail: `${file}: ${cause instanceof Error ? cause.message : "it cannot be read"}` })
    })
    const imported = fromLiteLlm(content)
    if (imported === null) return yield* new Refused({ detail: `${file} has no model_list: it is no LiteLLM config` })
    yield* writeConfiguration(out, [`Made of LiteLLM's ${file}`, ...imported.notes], imported.file, json)
    for (const note of imported.notes) yield* Console.error(note)
  })
).pipe(Command.withDescription("Make a conduit.yaml of LiteLLM's, and say what has no counterpart"))

/** `conduit import`: the configuration of another gateway. */
export const importing = Command.make("import").pipe(
  Command.withDescription("Make a conduit.yaml of another gateway's configuration"),
  Command.withSubcommands([litellm])
)
