import { afterEach, assert, describe, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import * as Http from "node:http"
import { cli } from "../../src/programs/cli.ts"

/** A service that answers everything with this status, and its port. */
const answering = (status: number) =>
  Effect.acquireRelease(
    Effect.async<Http.Server>((resume) => {
      const server = Http.createServer((_, response) => response.writeHead(status).end())
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  ).pipe(Effect.map((server) => server.address()))

const binary = new URL("../../dist/bin/conduit.js", import.meta.url).pathname

afterEach(() => void vi.unstubAllEnvs())

describe("the command line", () => {
  it.scopedLive.each([
    [200, 0, ""],
    [503, 1, "answers 503"]
  ] as const)("takes a health check's result home as the exit code (HTTP %i)", ([status, code, said]) =>
    Effect.gen(function* () {
      const address = yield* answering(status)
      assert(address !== null && typeof address === "object")
      vi.stubEnv("CONDUIT_PORT", String(address.port))
      const written = vi.spyOn(process.stderr, "write").mockReturnValue(true)
      const ended = yield* cli(["node", "conduit", "healthcheck", "--log-level", "none"])
      const text = written.mock.calls.map(([chunk]) => String(chunk)).join("")
      written.mockRestore()
      assert.strictEqual(ended, code)
      assert.include(text, said)
    })
  )

  it("writes no colour into a pipe", () => {
    const help = spawnSync(process.execPath, [binary, "state", "--help"], { encoding: "utf8" })
    assert.include(help.stdout, "USAGE")
    const wrong = spawnSync(process.execPath, [binary, "stat"], { encoding: "utf8" })
    assert.include(wrong.stderr + wrong.stdout, "healthcheck")
    for (const text of [help.stdout, wrong.stdout, wrong.stderr]) assert.notInclude(text, "\u001b")
  })
})
