import * as Args from "@effect/cli/Args"
import * as Options from "@effect/cli/Options"
import { Refused } from "../tools/Refused.ts"

export const yes = Options.boolean("yes").pipe(
  Options.withDescription("do it; without this the command only says what it would do")
)

export const file = Args.text({ name: "FILE" }).pipe(Args.withDescription("path of the state file"))

export const fileTrouble = (path: string, todo: string) => (cause: unknown) =>
  new Refused({
    detail: `${path}: ${cause instanceof Error && "code" in cause ? String(cause.code) : "no access"}: ${todo}`
  })
