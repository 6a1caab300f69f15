import { assert, describe, it } from "@effect/vitest"
import * as Command from "@effect/cli/Command"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import { route } from "../../src/programs/route.ts"

const candidate = (model: string, more: object = {}) => ({
  model,
  eligible: true,
  excluded_by: null,
  quality: 0.91,
  quality_sd: 0.04,
  cost_usd: 0.0004,
  latency_seconds: 1.2,
  score: 0.83,
  parts: { quality: 0.64, cost: 0.13, latency: 0.06 },
  propensity: 0.71,
  ...more
})
const decision = {
  id: "0199",
  candidates: [
    candidate("A"),
    candidate("B", { score: 0.8, propensity: 0.29 }),
    candidate("C", { eligible: false, excluded_by: "context", score: 0, propensity: 0 })
  ],
  chosen: "A",
  propensity: 0.71,
  reason: "best",
  exploration: false
}

/** A service that answers every request with this. */
const answering = (status: number, body: unknown) =>
  Effect.acquireRelease(
    Effect.async<{ readonly url: string; readonly bodies: Array<string>; readonly server: http.Server }>((resume) => {
      const bodies: Array<string> = []
      const server = http.createServer((request, response) => {
        request.setEncoding("utf8")
        request.on("data", (chunk: string) => bodies.push(chunk))
        request.on("end", () => response.writeHead(status, { connection: "close" }).end(JSON.stringify(body)))
      })
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as AddressInfo
        resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, bodies, server }))
      })
    }),
    ({ server }) => Effect.async<void>((resume) => void server.close(() => resume(Effect.void)))
  )

const run = (...args: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    const silent = yield* Console.consoleWith(Effect.succeed)
    yield* Command.run(route, { name: "conduit", version: "0" })(["node", "route", ...args]).pipe(
      Effect.withConsole({ ...silent, log: (...parts) => Effect.sync(() => void lines.push(parts.join(" "))) }),
      Effect.provide(NodeContext.layer)
    )
    return lines.join("\n")
  })

describe("conduit route", () => {
  it.live("explains the choice of a running service", () =>
    Effect.gen(function* () {
      const { bodies, url } = yield* answering(200, decision)
      const text = yield* run("--url", url, "--preference", "cost", "--task", "code", "add two numbers")
      assert.deepStrictEqual(JSON.parse(bodies[0] ?? ""), {
        prompt: "add two numbers",
        conduit: { task: "code", preference: "cost" }
      })
      assert.include(
        text,
        "chose A (best): score 0.83 (quality 0.91, $0.0004, 1.2 s), runner-up B 0.80, chance of this choice 71 %, exploration no"
      )
      assert.match(text, /^\* {2}A .*71 %/m)
      assert.match(text, /^ {3}C .*excluded by context$/m)
    }).pipe(Effect.scoped)
  )

  it.live("prints the decision as it came on request", () =>
    Effect.gen(function* () {
      const { url } = yield* answering(200, decision)
      assert.deepStrictEqual(JSON.parse(yield* run("--url", url, "--json", "hello")), decision)
    }).pipe(Effect.scoped)
  )

  it.live("says what the service objects to", () =>
    Effect.gen(function* () {
      const { url } = yield* answering(401, { error: { message: "a key is needed" } })
      const error = yield* Effect.flip(run("--url", url, "hello"))
      assert.include(String(error), "HTTP 401: a key is needed")
    }).pipe(Effect.scoped)
  )

  it.live("says so when nothing answers", () =>
    Effect.gen(function* () {
      const url = yield* answering(200, {}).pipe(
        Effect.map((service) => service.url),
        Effect.scoped
      )
      const error = yield* Effect.flip(run("--url", url, "hello"))
      assert.include(String(error), "nothing answers there")
    })
  )
})
