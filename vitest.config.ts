import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/globalSetup.ts"],
    pool: "forks",
    poolOptions: { forks: { maxForks: 3 } },
    testTimeout: 30_000,
    hookTimeout: 60_000,
    reporters: ["default"]
  }
})
