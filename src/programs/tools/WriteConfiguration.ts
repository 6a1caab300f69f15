import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { writeFile } from "node:fs/promises"
import { stringify } from "yaml"
import { told } from "./Told.ts"
import { Refused } from "./Refused.ts"

/** Writes a `conduit.yaml` with a comment before it, never over another file; `-` prints it. */
export const writeConfiguration = (out: string, comments: ReadonlyArray<string>, content: object, json = false) =>
  Effect.gen(function* () {
    const text = `${[...comments, "What else may stand here: conduit.example.yaml"].map((line) => `# ${line}\n`).join("")}\n${stringify(content)}`
    if (out === "-" && json) return yield* Console.log(JSON.stringify(content))
    if (out === "-") return yield* Console.log(text.trimEnd())
    yield* Effect.tryPromise({
      try: () => writeFile(out, text, { flag: "wx" }),
      catch: (cause) => {
        const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unwritable"
        return new Refused({
          detail: code === "EEXIST" ? `${out} is there already: name another by --out` : `${out}: ${code}`
        })
      }
    })
    yield* told(json, { file: out, notes: comments }, `${out} is written`)
  })
