import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/globalSetup.ts"],
    pool: "forks",
    poolOptions: { forks: { maxForks: 3 } },
    // What a test waits for has a limit of its own, with a message; these only end what hangs, on a busy machine as well.
    testTimeout: 240_000,
    hookTimeout: 240_000,
    reporters: ["default"]
  }
})
