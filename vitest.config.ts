import { defineConfig } from "vitest/config"
import { LongestFirst } from "./test/support/sequencer.ts"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/globalSetup.ts"],
    sequence: { sequencer: LongestFirst },
    pool: "forks",
    // A process for each file: metrics live in one registry of a process, and a file would see what another one counted.
    // With fewer workers at least than at most the pool ends those that are idle twice, and the run with them.
    poolOptions: { forks: { minForks: 3, maxForks: 3 } },
    // What a test waits for has a limit of its own, with a message; these only end what hangs, on a busy machine as well.
    testTimeout: 240_000,
    hookTimeout: 240_000,
    reporters: ["default"]
  }
})
