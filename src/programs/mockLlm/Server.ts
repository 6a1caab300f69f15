import * as NodeHttp from "node:http"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { problemWith } from "../../domain/simulation/ChatRequest.ts"
import { chat } from "./Chat.ts"
import { type Gates, makeGates } from "./Gates.ts"
import { readObject, sendError, sendJson } from "./Http.ts"
import { type Journal, makeJournal } from "./Journal.ts"
import { Behaviour, makeModels, type MockScript } from "./MockScript.ts"

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
  readonly models: ReturnType<typeof makeModels>
}

export class MockLlmUnavailable extends Schema.TaggedError<MockLlmUnavailable>()("MockLlmUnavailable", {
  detail: Schema.String
}) {
  override get message() {
    return `mock-llm cannot listen: ${this.detail}`
  }
}

/** A long poll answers at the latest after this, with what is. */
const longPollLimit = "30 seconds"

const decodeBehaviour = Schema.decodeUnknownEither(Behaviour, { onExcessProperty: "error", errors: "all" })
const decodeName = Option.liftThrowable(decodeURIComponent)

const notFound = (response: NodeHttp.ServerResponse) =>
  sendError(response, 404, { message: "there is nothing here", type: "invalid_request_error", code: "not_found" })

/** An OpenAI-compatible server whose behaviour is scripted. At release it cuts every connection. */
export const make = (options: MockLlmOptions): Effect.Effect<MockLlm, MockLlmUnavailable, Scope.Scope> =>
  Effect.gen(function* () {
    const gates = makeGates()
    const journal = makeJournal()
    const models = makeModels(options.script)
    const run = Runtime.runFork(yield* Effect.runtime())

    const expected = Option.map(options.apiKey, (key) => `Bearer ${Redacted.value(key)}`)

    const completions = Effect.fnUntraced(function* (
      request: NodeHttp.IncomingMessage,
      response: NodeHttp.ServerResponse
    ) {
      const body = yield* readObject(request)
      const authorization = request.headers.authorization
      if (Option.isSome(expected) && authorization !== expected.value) {
        const error = { message: "Incorrect API key provided", type: "invalid_request_error", code: "invalid_api_key" }
        return sendError(response, 401, error)
      }
      const problem = body === null ? "the body must be a JSON object" : problemWith(body)
      if (body === null || problem !== null) {
        const message = problem ?? ""
        return sendError(response, 400, { message, type: "invalid_request_error", code: "invalid_request" })
      }
      const model = String(body["model"])
      const script = models.find(model)
      if (script === undefined) {
        const message = `The model \`${model}\` does not exist`
        return sendError(response, 404, { message, type: "invalid_request_error", code: "model_not_found" })
      }
      let broken = false
      journal.began({ model, authorized: authorization?.startsWith("Bearer ") === true, body })
      response.once("close", () => {
        const left = !response.writableFinished && !broken
        journal.ended(model, response.headersSent ? response.statusCode : null, left)
      })
      const number = journal.total()
      const call = {
        script,
        body,
        seed: `${options.seed}/${number}`,
        id: `chatcmpl-mock-${number}`,
        response,
        breaking: () => {
          broken = true
        }
      }
      yield* chat(call, { gates, journal })
    })

    const gate = Effect.fnUntraced(function* (response: NodeHttp.ServerResponse, name: string, waiting: string | null) {
      const count = Number(waiting ?? 0)
      if (!Number.isInteger(count) || count < 0) return notFound(response)
      yield* Effect.timeoutOption(gates.awaitWaiting(name, count), longPollLimit)
      return sendJson(response, 200, gates.state(name))
    })

    const patch = Effect.fnUntraced(function* (
      request: NodeHttp.IncomingMessage,
      response: NodeHttp.ServerResponse,
      name: string
    ) {
      const decoded = decodeBehaviour(yield* readObject(request))
      if (Either.isLeft(decoded)) {
        const { message } = decoded.left
        return sendError(response, 400, { message, type: "invalid_request_error", code: "invalid_request" })
      }
      return models.patch(name, decoded.right) ? sendJson(response, 200, models.find(name)) : notFound(response)
    })

    const listed = () => ({
      object: "list",
      data: models.all().map(({ name, ...script }) => ({
        id: name,
        object: "model",
        created: 0,
        owned_by: "mock-llm",
        simulated: true,
        ...script
      }))
    })

    const route = (request: NodeHttp.IncomingMessage, response: NodeHttp.ServerResponse): Effect.Effect<void> => {
      const target = `http://mock${request.url ?? "/"}`
      if (!URL.canParse(target)) return Effect.sync(() => notFound(response))
      const { pathname, searchParams } = new URL(target)
      const [, place, kind, encoded] = /^\/(v1|mock)\/(gates|models)\/([^/]+)$/.exec(pathname) ?? []
      const name = Option.getOrElse(decodeName(encoded ?? ""), () => "")
      switch (`${request.method} ${place === "mock" && name !== "" ? `/mock/${kind}/*` : pathname}`) {
        case "POST /v1/chat/completions":
          return completions(request, response)
        case "GET /v1/models":
          return Effect.sync(() => sendJson(response, 200, listed()))
        case "GET /health":
          return Effect.sync(() => sendJson(response, 200, { status: "healthy" }))
        case "GET /mock/requests":
          return Effect.sync(() => sendJson(response, 200, journal.state()))
        case "POST /mock/gates/*":
          return Effect.sync(() => {
            gates.open(name)
            sendJson(response, 200, gates.state(name))
          })
        case "GET /mock/gates/*":
          return gate(response, name, searchParams.get("waiting"))
        case "POST /mock/models/*":
          return patch(request, response, name)
        default:
          return Effect.sync(() => notFound(response))
      }
    }

    const fibers = new Set<Fiber.RuntimeFiber<void>>()
    const server = NodeHttp.createServer((request, response) => {
      const broken = Effect.sync(() => {
        response.destroy()
      })
      const fiber = run(Effect.catchAllDefect(route(request, response), () => broken))
      fibers.add(fiber)
      fiber.addObserver(() => fibers.delete(fiber))
      response.once("close", () => fiber.unsafeInterruptAsFork(FiberId.none))
    })

    const listen = Effect.async<void, MockLlmUnavailable>((resume) => {
      const failed = (error: Error) => resume(new MockLlmUnavailable({ detail: error.message }))
      server.once("error", failed)
      server.listen({ host: options.host, port: options.port, backlog: 1024 }, () => {
        server.off("error", failed)
        resume(Effect.void)
      })
    })
    const close = Effect.async<void>((resume) => {
      server.close(() => resume(Effect.void))
      server.closeAllConnections()
    })
    yield* Effect.acquireRelease(listen, () => Effect.zipRight(close, Fiber.interruptAll(fibers)))

    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : options.port
    const host = options.host.includes(":") ? `[${options.host}]` : options.host
    return { baseUrl: `http://${host}:${port}/v1`, gates, journal, models }
  })
