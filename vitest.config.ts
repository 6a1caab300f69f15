import { defineConfig } from "vitest/config"
import { LongestFirst } from "./test/support/sequencer.ts"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/globalSetup.ts"],
    setupFiles: ["test/support/eachFile.ts"],
    sequence: { sequencer: LongestFirst },
    pool: "forks",
    // A worker reads a module once, not again for each file: that was a fifth of a run. With fewer at least than at most the
    // pool ends workers that are idle twice, and the run with them.
    poolOptions: { forks: { minForks: 4, maxForks: 4, isolate: false } },
    // What a test waits for has a limit of its own, with a message; these only end what hangs, on a busy machine as well.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    reporters: ["default"]
  }
})
