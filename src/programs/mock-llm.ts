import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Yaml from "yaml"
import { problemsOf } from "../domain/basics/SchemaProblems.ts"
import { defaultScript, MockScript } from "./mockLlm/MockScript.ts"
import { make } from "./mockLlm/Server.ts"

/** The file cannot be read, or does not say what a script can say. */
export class InvalidMockScript extends Schema.TaggedError<InvalidMockScript>()("InvalidMockScript", {
  file: Schema.String,
  /** All of them, a line each. */
  problems: Schema.Array(Schema.String)
}) {
  override get message() {
    return this.problems.map((problem) => `${this.file}: ${problem}`).join("\n")
  }
}

const decodeScript = Schema.decodeUnknown(MockScript, { onExcessProperty: "error", errors: "all" })

export const readScript = Effect.fn("MockLlm.readScript")(function* (file: string) {
  const files = yield* FileSystem.FileSystem
  const invalid = (problems: ReadonlyArray<string>) => new InvalidMockScript({ file, problems })
  const text = yield* Effect.mapError(files.readFileString(file), ({ message }) => invalid([message]))
  const document = Yaml.parseDocument(text, { prettyErrors: true })
  if (document.errors.length > 0) {
    return yield* invalid(
      document.errors.map(
        (error) => `line ${error.linePos?.[0].line ?? "?"}: ${error.message.split("\n")[0] ?? error.code}`
      )
    )
  }
  const value = yield* Effect.try({
    try: (): unknown => document.toJS() ?? {},
    catch: () => invalid(["the file has too many aliases"])
  })
  return yield* Effect.mapError(decodeScript(value), (error) => invalid(problemsOf(error)))
})

/** Completes with the first SIGTERM or SIGINT: as the first process of a container nothing else would end it. */
const stopped = Effect.async<void>((resume) => {
  const stop = () => {
    process.off("SIGTERM", stop)
    process.off("SIGINT", stop)
    resume(Effect.void)
  }
  process.once("SIGTERM", stop)
  process.once("SIGINT", stop)
  return Effect.sync(stop)
})

/** `conduit mock-llm`: an upstream with scripted quality, latency and faults. */
export const mockLlm = Command.make(
  "mock-llm",
  {
    host: Options.text("host").pipe(Options.withDefault("127.0.0.1"), Options.withDescription("address to listen on")),
    port: Options.integer("port").pipe(
      Options.withDefault(9001),
      Options.withDescription("port to listen on; 0 = any free one")
    ),
    seed: Options.text("seed").pipe(
      Options.withDefault("mock"),
      Options.withDescription("the same seed and requests give the same answers")
    ),
    script: Options.file("script").pipe(
      Options.optional,
      Options.withDescription("YAML file with models, their quality, latency, prices and faults")
    ),
    apiKey: Options.redacted("api-key").pipe(
      Options.optional,
      Options.withDescription("the key that callers must send; without it everybody may call")
    )
  },
  ({ apiKey, host, port, script, seed }) =>
    Effect.scoped(
      Effect.gen(function* () {
        const chosen = Option.isSome(script) ? yield* readScript(script.value) : defaultScript
        const { baseUrl } = yield* make({ host, port, seed, script: chosen, apiKey })
        yield* Console.log(JSON.stringify({ message: "ready", url: baseUrl }))
        yield* stopped
      })
    )
).pipe(
  Command.withDescription("An OpenAI-compatible server whose models follow a script: for tests, benchmarks and demos")
)
