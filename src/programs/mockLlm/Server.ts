import * as NodeHttp from "node:http"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import type * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { type Gates, makeGates } from "./Gates.ts"
import { type Journal, makeJournal } from "./Journal.ts"
import { makeModels, type MockScript, type Models } from "./MockScript.ts"
import { answer } from "./Routes.ts"

export interface MockLlmOptions {
  readonly host: string
  /** 0 = any free port. */
  readonly port: number
  readonly seed: string
  readonly script: MockScript
  /** With a key, calls without it are 401. */
  readonly apiKey: Option.Option<Redacted.Redacted>
}

export interface MockLlm {
  /** With `/v1`, as OpenAI clients want it. */
  readonly baseUrl: string
  readonly gates: Gates
  readonly journal: Journal
  readonly models: Models
}

export class MockLlmUnavailable extends Schema.TaggedError<MockLlmUnavailable>()("MockLlmUnavailable", {
  detail: Schema.String
}) {
  override get message() {
    return `mock-llm cannot listen: ${this.detail}`
  }
}

/** An OpenAI-compatible server whose behaviour is scripted. At release it cuts every connection. */
export const make = (options: MockLlmOptions): Effect.Effect<MockLlm, MockLlmUnavailable, Scope.Scope> =>
  Effect.gen(function* () {
    const { apiKey, seed } = options
    const shared = { gates: makeGates(), journal: makeJournal(), models: makeModels(options.script), seed, apiKey }
    const run = Runtime.runFork(yield* Effect.runtime())
    const fibers = new Set<Fiber.RuntimeFiber<void>>()
    const server = NodeHttp.createServer((request, response) => {
      const broken = Effect.sync(() => {
        response.destroy()
      })
      const fiber = run(Effect.catchAllDefect(answer(shared, request, response), () => broken))
      fibers.add(fiber)
      fiber.addObserver(() => fibers.delete(fiber))
      response.once("close", () => fiber.unsafeInterruptAsFork(FiberId.none))
    })
    yield* Effect.acquireRelease(listen(server, options), () =>
      Effect.zipRight(close(server), Fiber.interruptAll(fibers))
    )

    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : options.port
    const host = options.host.includes(":") ? `[${options.host}]` : options.host
    const { gates, journal, models } = shared
    return { baseUrl: `http://${host}:${port}/v1`, gates, journal, models }
  })

const listen = (server: NodeHttp.Server, { host, port }: MockLlmOptions) =>
  Effect.async<void, MockLlmUnavailable>((resume) => {
    const failed = (error: Error) => resume(new MockLlmUnavailable({ detail: error.message }))
    server.once("error", failed)
    server.listen({ host, port, backlog: 1024 }, () => {
      server.off("error", failed)
      resume(Effect.void)
    })
  })

const close = (server: NodeHttp.Server) =>
  Effect.async<void>((resume) => {
    server.close(() => resume(Effect.void))
    server.closeAllConnections()
  })
