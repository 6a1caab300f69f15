import { configDefaults, defineConfig } from "vitest/config"

/** `npm run test:fast`: what needs no database, no Redis and no process of its own. */
export default defineConfig({
  test: {
    include: ["test/domain/**/*.test.ts", "test/layers/**/*.test.ts", "test/*.test.ts"],
    exclude: [
      ...configDefaults.exclude,
      "test/layers/storage/{postgres,redis}/**",
      "test/layers/routing/SessionsRedis.test.ts"
    ],
    setupFiles: ["test/support/eachFile.ts"],
    pool: "threads",
    // Half of the time of a run went into reading the same modules for each file again.
    isolate: false,
    testTimeout: 600_000,
    hookTimeout: 600_000
  }
})
