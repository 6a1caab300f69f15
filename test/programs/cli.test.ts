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

  it("names each command whole in its help, and shows how it is called", async () => {
    const helpOf = async (words: ReadonlyArray<string>) => {
      const logged = vi.spyOn(console, "log").mockReturnValue()
      assert.strictEqual(await Effect.runPromise(cli(["node", "conduit", ...words, "--help"])), 0)
      const text = logged.mock.calls.map(([part]) => String(part)).join("\n")
      logged.mockRestore()
      return text
    }
    const listed = Array.from((await helpOf([])).matchAll(/^  - ([a-z-]+(?: [a-z]+)?)/gm), ([, name = ""]) => name)
    assert.includeMembers(listed, ["serve", "models disable", "state verify", "mock-llm"])
    for (const name of listed) {
      const help = await helpOf(name.split(" "))
      assert.include(help, `$ conduit ${name}`)
      assert.match(help, new RegExp(`EXAMPLE\\n\\n  .*conduit ${name}`), name)
    }
  })

  it("logs from the level of --log-level on, whatever LOG_LEVEL says", () => {
    // A data directory that is a file: it says so and ends.
    const env = { PATH: process.env["PATH"], CONDUIT_DATA_DIRECTORY: binary, CONDUIT_PORT: "0", LOG_FORMAT: "json" }
    const levelsOf = (level: string, args: ReadonlyArray<string>) => {
      const { stdout } = spawnSync(process.execPath, [binary, "serve", ...args], {
        encoding: "utf8",
        env: { ...env, LOG_LEVEL: level }
      })
      return new Set(Array.from(stdout.matchAll(/"level":"(\w+)"/g), ([, name]) => name))
    }
    assert.isTrue(levelsOf("ERROR", ["--log-level", "info"]).has("INFO"))
    assert.deepStrictEqual([...levelsOf("DEBUG", ["--log-level", "error"])], ["ERROR"])
    assert.deepStrictEqual([...levelsOf("ERROR", [])], ["ERROR"])
  })

  it("writes no colour into a pipe", () => {
    const help = spawnSync(process.execPath, [binary, "state", "--help"], { encoding: "utf8" })
    assert.include(help.stdout, "USAGE")
    const wrong = spawnSync(process.execPath, [binary, "stat"], { encoding: "utf8" })
    assert.include(wrong.stderr + wrong.stdout, "healthcheck")
    for (const text of [help.stdout, wrong.stdout, wrong.stderr]) assert.notInclude(text, "\u001b")
  })
})
