import * as Options from "@effect/cli/Options"
import * as Console from "effect/Console"

export const json = Options.boolean("json").pipe(Options.withDescription("print JSON"))

/** What a command has done: as JSON for programs, or in words. */
export const told = (json: boolean, facts: Readonly<Record<string, unknown>>, words: string) =>
  Console.log(json ? JSON.stringify(facts) : words)
